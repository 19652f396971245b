#!/usr/bin/env bash
# Makes amx.so of amx.c in a folder that must not be there yet, with the compiler of tools.txt:
#   amx.sh FOLDER PYTHON
set -euo pipefail

folder=$1 python=$2
here=$(cd "$(dirname "$0")" && pwd)
made=$folder.unfinished
rm -rf "$made"
mkdir -p "$made/parts"

grep '^ziglang==' "$here/tools.txt" >"$made/parts/one.txt"
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes -r "$made/parts/one.txt" -d "$made/parts"
"$python" -m zipfile -e "$made"/parts/ziglang-*.whl "$made/parts"
chmod +x "$made/parts/ziglang/zig"
export ZIG_GLOBAL_CACHE_DIR=$made/parts/cache ZIG_LOCAL_CACHE_DIR=$made/parts/cache
"$made/parts/ziglang/zig" cc -target x86_64-linux-gnu.2.31 -Os -g0 -s -shared -fPIC -o "$made/amx.so" "$here/amx.c"
rm -rf "$made/parts"
mv "$made" "$folder"
