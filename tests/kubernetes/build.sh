#!/bin/sh
# Build what a Kubernetes cluster of one node needs, from Debian 12's packages alone: the sources of Kubernetes 1.20, Go
# to compile them, etcd, containerd, runc, kubectl. Nothing is installed but tools; all else is unpacked into the folder,
# and made anew when this script has changed. About 550 CPU seconds, once.
# Usage: build.sh FOLDER
set -eu
folder=$1
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
made=$(cat "$0" "$here/pause.c" | sha256sum)
exec 9>"$folder/lock"
flock 9 # of two, one builds, and the other one finds what it has built
[ "$(cat "$folder/made" 2>/dev/null)" != "$made" ] || exit 0

missing=""
for tool in rsync:rsync jq:jq make:make gcc:gcc dpkg-source:dpkg-dev; do
    command -v "${tool%:*}" >/dev/null || missing="$missing ${tool#*:}"
done
[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || missing="$missing debian-archive-keyring"
if [ -n "$missing" ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "The tests on Kubernetes need$missing. Install that, or run make as root on Debian, which does it." >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update
    # shellcheck disable=SC2086 # each word is a package
    apt-get -qq install --yes --no-install-recommends $missing libc6-dev
fi

# Debian 12's archive, with lists and packages kept apart from this machine's own: the next releases have none of it.
work=$(mktemp -d "$folder/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/root"
signed="[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
for kind in deb deb-src; do
    echo "$kind $signed http://deb.debian.org/debian bookworm main"
done >"$work/sources.list"
apt="apt-get -qq -o Dir::Etc::sourcelist=$work/sources.list -o Dir::Etc::sourceparts=/dev/null
    -o Dir::State::lists=$work/lists -o Dir::Cache::archives=$work/archives -o APT::Sandbox::User=root
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache="
cd "$work"
# shellcheck disable=SC2086 # each word is an option
$apt update
# shellcheck disable=SC2086
$apt download golang-1.19-go golang-1.19-src golang-github-modern-go-reflect2-dev \
    etcd-server containerd runc kubernetes-client
for package in *.deb; do
    dpkg-deb --extract "$package" root
done
# shellcheck disable=SC2086
$apt source --download-only kubernetes
dpkg-source --no-check --extract kubernetes_*.dsc source >/dev/null

# With the version that comes along the API server dies of SIGSEGV after a while.
rm -r source/vendor/github.com/modern-go/reflect2
cp -r root/usr/share/gocode/src/github.com/modern-go/reflect2 source/vendor/github.com/modern-go/

# Debian's GOROOT has links into /usr/share, where it lies when it is installed.
cp -r root/usr/lib/go-1.19 go
find go -type l -delete
cp -r root/usr/share/go-1.19/. go

cd source
mkdir -p .go/src/k8s.io
ln -s ../../.. .go/src/k8s.io/kubernetes
export GOROOT="$work/go" GOPATH="$PWD/.go" GOCACHE="$work/cache" GOPROXY=off GO111MODULE=off CGO_ENABLED=0 GOFLAGS=
PATH="$GOROOT/bin:$PATH"
make WHAT="cmd/kube-apiserver cmd/kube-controller-manager cmd/kube-scheduler cmd/kubelet" >"$folder/build.log" 2>&1 ||
    { tail -n 20 "$folder/build.log" >&2; exit 1; }

mkdir -p "$folder/bin"
for name in kube-apiserver kube-controller-manager kube-scheduler kubelet; do
    cp "_output/bin/$name" "$folder/bin/$name"
done
for name in bin/etcd bin/kubectl bin/containerd bin/containerd-shim-runc-v2 bin/ctr sbin/runc; do
    cp "$work/root/usr/$name" "$folder/bin/${name#*/}"
done
gcc -static -O2 -o "$folder/bin/pause" "$here/pause.c"
echo "$made" >"$folder/made"
