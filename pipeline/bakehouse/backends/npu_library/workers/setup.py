"""Makes the environment of the Intel NPU Acceleration Library: pinned wheels, this environment's torch, and on Linux a compiled library.

The packages, which this backend's environments pin by hash, go to the folder `site`. The library has wheels for Windows only; on Linux
its one C++ file is compiled from the sources on the package index against OpenVINO's libraries, out of the package that it was written for.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
import py_compile
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from bakehouse.backends.npu_library.seams import CheckRequest, CheckResult, SetupRequest, SetupResult
from bakehouse.child import environment, events, pinned, start
from bakehouse.records import Distribution

LOCKS = Path(__file__).resolve().parent.parent / "environments"
WHEELS, SOURCES = LOCKS / "npulib.txt", LOCKS / "npulib-linux.txt"
LIBRARY = "intel_npu_acceleration_library"
# What libintel_npu_acceleration_library.so loads at run time: the runtime, two devices, the reader for compiled graphs, threads.
RUNTIME = re.compile(r"libopenvino\.so\.\d+|libopenvino_intel_[cn]pu_plugin\.so|libopenvino_ir_frontend\.so\.\d+|lib(tbb|hwloc).*\.so.*")
# As in the library's CMakeLists.txt, but for the processors that it asks for (include/.../conversion.h uses AVX2 and F16C) instead
# of this very one (-march=native), so that the store can be carried to another machine.
FLAGS = ("-std=c++14", "-O3", "-fPIC", "-shared", "-pthread", "-mavx2", "-mf16c", "-mfma", "-D_GLIBCXX_USE_CXX11_ABI=0")
# Parts of torch that nothing at run time reads.
UNUSED = ("torch/include/", "torch/test/")


def run(request: SetupRequest) -> SetupResult:
    """Fill the folder `site`, and check that the library in it multiplies."""
    site = request.files / "site"
    packages = pinned.install(site, WHEELS)
    events.progress("copying torch")
    for name in sorted(torch_distributions(site)):
        copy_distribution(name, site)
        packages.append(Distribution(name=name, version=metadata.version(name)))
    built_by = None
    if sys.platform != "win32":
        packages += compile_library(site, SOURCES)
        built_by = compiler_version()
    events.progress("checking the library")
    found = check(site)
    compile_modules(site, found.modules)
    return SetupResult(device=found.device, versions=found.versions, packages=tuple(packages), compiler=built_by)


# --- packages -----------------------------------------------------------------------------------------------------------------


def torch_distributions(site: Path) -> set[str]:
    """torch and all that it requires here and that is not in `site`: of a CUDA build these are NVIDIA's libraries."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    present = {canonicalize_name(one.metadata["Name"]) for one in metadata.distributions(path=[str(site)])}
    found: set[str] = set()

    def visit(name: str) -> None:
        if name in present or name in found:
            return
        try:
            requirements = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            return  # if it was needed, the check at the end says so
        found.add(name)
        for requirement in map(Requirement, requirements):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                visit(canonicalize_name(requirement.name))

    visit("torch")
    return found


def copy_distribution(name: str, site: Path) -> None:
    """Copy what pip installed as `name`, each file compared with the hash that came with its wheel."""
    for path in metadata.distribution(name).files or ():
        inside = path.as_posix()
        if ".." in path.parts or path.suffix == ".pyc" or path.name == "direct_url.json" or inside.startswith(UNUSED):
            continue
        target = site / path
        target.parent.mkdir(parents=True, exist_ok=True)
        data = path.read_binary()
        if path.hash:
            digest = base64.urlsafe_b64encode(hashlib.new(path.hash.mode, data).digest()).rstrip(b"=").decode()
            if digest != path.hash.value:
                events.refuse(
                    f"{inside} of {name} was changed after it was installed.", f"Install {name} again: pip install --force-reinstall {name}"
                )
        target.write_bytes(data)


# --- the library on Linux -----------------------------------------------------------------------------------------------------


def compile_library(site: Path, lock: Path) -> list[Distribution]:
    """Put the library into `site`: its Python files, what its C++ file compiles to, and OpenVINO's libraries next to that.

    Returns what it was made of.
    """
    from packaging.utils import parse_sdist_filename, parse_wheel_filename

    scratch = Path.cwd() / "sources"
    # Its sources are built here and not by pip, which wants them unpacked only to read their name: that takes any setuptools.
    pinned.pip("downloading the library's sources", "download", "--no-build-isolation", "--dest", str(scratch), "-r", str(lock))
    sdist, wheel = next(scratch.glob("*.tar.gz")), next(scratch.glob("*.whl"))
    made_of = [
        Distribution(name=name, version=str(version), sha256=sha256(path))
        for path, (name, version) in ((sdist, parse_sdist_filename(sdist.name)), (wheel, parse_wheel_filename(wheel.name)[:2]))
    ]
    with tarfile.open(sdist) as archive:
        archive.extractall(scratch, filter="data")
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(scratch)
    source, openvino = next(path.parent for path in scratch.glob("*/setup.py")), scratch / "openvino"
    shutil.copytree(source / LIBRARY, site / LIBRARY)
    shutil.copyfile(source / "LICENSE", site / LIBRARY / "LICENSE")
    libraries = site / LIBRARY / "lib"
    libraries.mkdir()
    for path in (openvino / "libs").iterdir():
        if RUNTIME.fullmatch(path.name):
            # backend/bindings.py loads the runtime by its bare name; all others ask for the name inside it.
            name = "libopenvino.so" if path.name.startswith("libopenvino.so.") else path.name
            shutil.copyfile(path, libraries / name)
    compile_bindings(source, openvino, libraries)
    return made_of


def sha256(path: Path) -> str:
    """The hash of a file, in hex."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def compiler() -> str:
    """The C++ compiler's command."""
    return os.environ.get("CXX") or "c++"


def compiler_version() -> str:
    """What the C++ compiler calls itself, on one line."""
    output = subprocess.run((compiler(), "--version"), capture_output=True, text=True, check=True).stdout
    return output.partition("\n")[0].strip()


def compile_bindings(source: Path, openvino: Path, libraries: Path) -> None:
    """Compile src/bindings.cpp."""
    events.progress("compiling the library's bindings")
    includes = (f"-I{source / 'include'}", f"-isystem{openvino / 'include'}")
    made = libraries / f"lib{LIBRARY}.so"
    done = subprocess.run(
        (compiler(), *FLAGS, *includes, str(source / "src" / "bindings.cpp"), "-o", str(made), f"-L{libraries}", "-lopenvino"),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        events.refuse(
            f"{compiler()} could not compile the library.", "Install a C++ compiler: apt-get install g++", done.stderr.splitlines()[-12:]
        )


# --- is it good? --------------------------------------------------------------------------------------------------------------


def check(site: Path) -> CheckResult:
    """Run the worker `check` with the new packages; its result."""
    request, result = Path.cwd() / "check-request.json", Path.cwd() / "check-result.json"
    request.write_text(CheckRequest().model_dump_json(), encoding="utf-8", newline="\n")
    done = subprocess.run(
        environment.argv(site, "backends.npu_library.workers.check", str(request), str(result)),
        env={**os.environ, "BAKEHOUSE_PARENT": str(os.getpid())},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0 or not result.is_file():
        details = [*done.stdout.splitlines(), *done.stderr.splitlines()][-12:]
        events.refuse("The environment was made, and the library does not work in it.", "Please report it with these lines.", details)
    return CheckResult.model_validate_json(result.read_bytes())


def compile_modules(site: Path, modules: Sequence[str]) -> None:
    """Compile what the library imports, once; unchecked, since the store gives all files one and the same time."""
    events.progress("compiling Python modules")
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    for name in modules:
        file = site / name
        target = importlib.util.cache_from_source(str(file))
        py_compile.compile(str(file), target, dfile=name, doraise=True, invalidation_mode=unchecked)


if __name__ == "__main__":
    start.run(run, SetupRequest, online=True)
