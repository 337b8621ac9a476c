#!/bin/sh
# The base image where no registry can be reached: a minimal Debian 13 as a tar on stdout,
# made from Debian's own packages and checked by Debian's archive keys. See emulator/engine/image.py.
set -eu
here=$(dirname "$(readlink -f "$0")")
exec mmdebstrap --variant=apt --components=main \
    --keyring=/usr/share/keyrings \
    --aptopt='Acquire::Retries "3"' \
    --aptopt='Acquire::Languages "none"' \
    --dpkgopt="$here/dpkg-excludes" \
    --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/log/*' \
    --format=tar trixie -
