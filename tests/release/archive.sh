#!/usr/bin/env bash
# Puts the programs of one target, the licences and the README into target/archive/model-router-VERSION-TARGET.tar.gz.
# It builds nothing: the programs of the profile `dist` must be there.
set -euo pipefail

cd "$(dirname "$0")/../.."
target=$1
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
built=target/$target/dist
[ -d "$built" ] || built=target/dist
name=model-router-$version-$target
rm -rf "target/stage/$name"
mkdir -p "target/stage/$name" target/archive
cp "$built/router-server" "$built/azure-emulator" README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE "target/stage/$name/"
cp -R configs "target/stage/$name/configs"
tar -C target/stage -czf "target/archive/$name.tar.gz" "$name"
echo "target/archive/$name.tar.gz"
