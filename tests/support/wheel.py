"""Bakehouse as a wheel, installed where nothing of this checkout is: what people have who never open it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator, Sequence
from email import message_from_bytes
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from tests.support.bench import ROOT


def built(folder: Path) -> Path:
    """The wheel that pip makes of a copy of what it is made from; the tree keeps no build folder."""
    source = folder / "source"
    shutil.copytree(ROOT / "pipeline", source / "pipeline", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, source)
    _pip("wheel", "--no-deps", "--wheel-dir", str(folder), str(source))
    (made,) = folder.glob("*.whl")
    return made


def installed(wheel: Path, folder: Path, sites: Sequence[Path]) -> Path:
    """The command `bakehouse` of a new environment in `folder`: `wheel`, and all that lies in the folders `sites`."""
    venv.create(folder, with_pip=False, symlinks=sys.platform != "win32")
    programs = folder / ("Scripts" if sys.platform == "win32" else "bin")
    python = str(programs / "python")
    where = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip())
    (site / "others.pth").write_text("".join(f"{path}\n" for path in sites), encoding="utf-8")
    _pip("--python", python, "install", "--no-deps", "--no-index", "--ignore-installed", str(wheel))
    found = subprocess.run([python, "-P", "-c", "import bakehouse; print(bakehouse.__file__)"], capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()).is_relative_to(site)
    return programs / "bakehouse"


def everything() -> list[Path]:
    """The folders of all that is installed for these tests; a checkout on the path is not among them."""
    return [Path(path) for path in sys.path if Path(path).name == "site-packages"]


def base(wheel: Path, folder: Path) -> Path:
    """A folder with links to what the base install brings, without any extra."""
    folder.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        requires = message_from_bytes(archive.read(name)).get_all("Requires-Dist", [])
    for distribution in _closure(requires, {}).values():
        for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(Path(str(distribution.locate_file(top))))
    return folder


def _closure(requires: Sequence[str], found: dict[str, metadata.Distribution]) -> dict[str, metadata.Distribution]:
    """The distributions that these requirements come to on this machine, by name."""
    for requirement in _wanted(requires):
        if requirement.name not in found:
            found[requirement.name] = distribution = metadata.distribution(requirement.name)
            _closure(distribution.requires or (), found)
    return found


def _wanted(requires: Sequence[str]) -> Iterator[Requirement]:
    for requirement in map(Requirement, requires):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement


def _pip(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", "--quiet", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
