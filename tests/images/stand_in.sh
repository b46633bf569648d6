#!/bin/sh
# Make an image of a Debian release that stands in for the official Python image, where that cannot be pulled.
# Usage: stand_in.sh SUITE IMAGE
set -eu
suite=$1 image=$2

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase --include=python3,python3-pip,ca-certificates "$suite" "$root" >"$root.log" 2>&1 ||
    { tail -n 20 "$root.log" >&2; exit 1; }
rm "$root.log"

# As the official image has it: no bytecode of the standard library, no lists of packages.
find "$root/usr/lib/python3"* -name __pycache__ -prune -exec rm -rf {} +
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/archives/*.deb

# What this machine trusts, pip trusts too: there may be a mirror between it and the package index.
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >"$root/etc/pip.conf"

tar -C "$root" -c . | docker import --change 'CMD ["python3"]' - "$image"
