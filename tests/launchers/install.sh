#!/bin/sh
# Install what the tests of the launchers need: Slurm with munge. What is there already is used. Where nothing can be
# installed this says what to do, and those tests say why they were skipped.
set -eu

PATH=$PATH:/usr/sbin:/sbin
missing=""
for program in slurmctld slurmd sbatch; do
    command -v "$program" >/dev/null || missing="slurm-wlm"
done
command -v munged >/dev/null || missing="$missing munge"
if [ -z "$missing" ]; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "The tests of the Slurm launcher need Slurm and munge." \
        "Install them (slurm.schedmd.com/quickstart_admin.html), or run make as root on Debian, which does it." >&2
    exit 0
fi

export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
# shellcheck disable=SC2086 # each word is a package
apt-get -qq install --yes --no-install-recommends $missing
