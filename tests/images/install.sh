#!/bin/sh
# Install what the tests of the images need: a Docker engine with buildx and Compose, Podman, a registry, debootstrap. What is there already
# is used. Where nothing can be installed this says what to do, and those tests say why they were skipped.
set -eu

missing=""
docker info >/dev/null 2>&1 || command -v dockerd >/dev/null || missing="docker.io iptables"
command -v docker-registry >/dev/null || missing="$missing docker-registry"
command -v debootstrap >/dev/null || missing="$missing debootstrap"
command -v podman >/dev/null || missing="$missing podman"
command -v jq >/dev/null || missing="$missing jq" # for runc_without_rlimits.sh
command -v curl >/dev/null || missing="$missing curl" # for what docs/platforms.md has to copy
plugins=""
docker buildx version >/dev/null 2>&1 || plugins="docker-buildx"
docker compose version >/dev/null 2>&1 || plugins="$plugins docker-compose"
if [ -z "$missing$plugins" ]; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "The tests of the images need a Docker engine with buildx and Compose, Podman, docker-registry and debootstrap." \
        "Install them (docs.docker.com/engine/install), or run make as root on Debian, which does it." >&2
    exit 0
fi

export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
# shellcheck disable=SC2086 # each word is a package
[ -z "$missing" ] || apt-get -qq install --yes --no-install-recommends $missing
[ -n "$plugins" ] || exit 0

# Debian 12 has neither plugin. The packages of the next release hold one binary each, which is put where the docker client
# looks for plugins whatever HOME is; lists and package are kept apart from this machine's own.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/lists/partial" "$folder/archives/partial"
# shellcheck disable=SC2016 # apt puts in the address
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' | grep -v security | head -n 1)
echo "deb $mirror trixie main" >"$folder/sources.list"
next="-qq -o Dir::Etc::sourcelist=$folder/sources.list -o Dir::Etc::sourceparts=/dev/null
    -o Dir::State::lists=$folder/lists -o Dir::Cache::archives=$folder/archives -o APT::Sandbox::User=root
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache="
# shellcheck disable=SC2086 # each word is an option, or a plugin
(
    cd "$folder" && apt-get $next update && apt-get $next download $plugins
    for plugin in $plugins; do
        dpkg-deb --extract "$plugin"_*.deb .
        install -D --mode=755 "usr/libexec/docker/cli-plugins/$plugin" "/usr/local/lib/docker/cli-plugins/$plugin"
    done
)
