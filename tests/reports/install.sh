#!/bin/sh
# Install what the tests of the pages need: a Chromium that is driven without a screen, and a font. What is there already
# is used. Where nothing can be installed this says what to do, and those tests say why they were skipped.
set -eu

for program in chromium-headless-shell chromium google-chrome; do
    if command -v "$program" >/dev/null; then
        exit 0
    fi
done
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "The tests of the pages need Chromium: install it, or run make as root on Debian, which does it." >&2
    exit 0
fi

export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install --yes --no-install-recommends chromium-headless-shell fonts-liberation
