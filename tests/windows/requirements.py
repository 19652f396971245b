"""Write anew which wheels Windows Python gets, each with its version and sha256: light.txt, and full.txt for what that leaves out.

    .venv/bin/python -m tests.windows.requirements

pip takes markers for the system it runs on, so what Windows needs is worked out here. Versions are those of constraints.txt; every wheel
is downloaded once for its sha256.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from tests.windows.place import FULL, LIGHT, ROOT

_WINDOWS = {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt", "platform_machine": "AMD64", "python_version": "3.11"}
_FOR_WINDOWS = ("--no-deps", "--platform", "win_amd64", "--python-version", "3.11", "--implementation", "cp", "--only-binary=:all:")

# what the light suite imports: nothing of it loads torch or a runtime
_TESTS = ("pytest", "pytest-xdist", "pytest-timeout", "inline-snapshot", "cyclonedx-python-lib[json-validation]", "in-toto-attestation")
_LIGHT = ("bakehouse[serve,sign]", *_TESTS, "numpy", "safetensors", "tokenizers", "gguf", "onnx")
_FULL = (*_LIGHT, "bakehouse[build]")


def closure(roots: Sequence[str]) -> dict[str, str]:
    """The distributions that these requirements need on Windows, with the versions of constraints.txt; "" for what is not in there."""
    versions = _versions()
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    environment = {**default_environment(), **_WINDOWS}

    def walk(requirement: Requirement) -> None:
        name = canonicalize_name(requirement.name)
        if name != "bakehouse":
            found[name] = versions.get(name, "")
        for extra in sorted({"", *requirement.extras} - {extra for one, extra in seen if one == name}):
            seen.add((name, extra))
            for line in _requires(name):
                needed = Requirement(line)
                if needed.marker is None or needed.marker.evaluate({**environment, "extra": extra}):
                    walk(needed)

    for root in roots:
        walk(Requirement(root))
    return found


def _requires(name: str) -> Sequence[str]:
    """What a distribution needs; of one that only Windows has there is nothing here to ask, and it needs nothing."""
    try:
        return metadata.distribution(name).requires or ()
    except metadata.PackageNotFoundError:
        return ()


def _versions() -> dict[str, str]:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    return {canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)$", text, re.MULTILINE)}


def _hashed(wanted: dict[str, str]) -> Iterator[str]:
    """The lines of a file for `pip install --require-hashes`."""
    with tempfile.TemporaryDirectory() as folder:
        lines = [f"{name}=={version}" if version else name for name, version in wanted.items()]
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", *_FOR_WINDOWS, "--dest", folder, *lines], check=True)
        for wheel in sorted(Path(folder).iterdir()):
            name, version, _, _ = parse_wheel_filename(wheel.name)
            yield f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"


def main() -> None:
    """Write both files."""
    light = closure(_LIGHT)
    rest = {name: version for name, version in closure(_FULL).items() if name not in light}
    for path, wanted in ((LIGHT, light), (FULL, rest)):
        path.write_text("\n".join(sorted(_hashed(wanted))) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
