#!/usr/bin/env bash
# Unpacks Mesa's software Vulkan driver, lavapipe, out of Debian's backports into the folder $1, which it makes: Debian 12's own is too
# old for WebGPU. Nothing is installed and no list of packages of the system is changed.
set -euo pipefail

VERSION="25.0.7-2~bpo12+1"
SHA256="$(dirname "$0")/lavapipe.sha256"
target="$1"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

mkdir -p "$work/parts" "$work/lists/partial" "$work/cache/archives/partial"
# the machine's own source of Debian's packages, with the backports in place of its suites
awk 'BEGIN { RS = ""; ORS = "\n\n" } /\nSuites: bookworm( |\n)/ { sub(/\nSuites: [^\n]*/, "\nSuites: bookworm-backports"); print }' \
  /etc/apt/sources.list.d/*.sources >"$work/parts/backports.sources"
options=(-qq -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$work/parts" -o "Dir::State::lists=$work/lists"
  -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
apt-get "${options[@]}" update
(cd "$work" && apt-get "${options[@]}" download "mesa-vulkan-drivers=$VERSION")
(cd "$work" && mv ./*.deb driver.deb && sha256sum --check --quiet) <"$SHA256"
mkdir -p "$target.unpacked"
dpkg -x "$work/driver.deb" "$target.unpacked"
library="$target/usr/lib/x86_64-linux-gnu/libvulkan_lvp.so"
printf '{"ICD": {"api_version": "1.4.305", "library_path": "%s"}, "file_format_version": "1.0.0"}\n' "$library" >"$target.unpacked/lavapipe.json"
mv "$target.unpacked" "$target"
