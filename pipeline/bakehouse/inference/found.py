"""A package that is to be run: by the name of a build here, or by the folder that somebody has downloaded it to."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from bakehouse.backends.base import Device
from bakehouse.errors import Failure
from bakehouse.package.file_names import DELIVERY
from bakehouse.package.manifest import PackageManifest
from bakehouse.recipe.kinds import DEFAULT_TASK
from bakehouse.records import FileRecord
from bakehouse.store import package_files
from bakehouse.store.package_files import MANIFEST, Listed
from bakehouse.text import count_text

_SHOWN = 5  # files of a package that are missing or incomplete


@dataclass(frozen=True)
class Found:
    """A package whose files are all there: its folder, and the manifest of the build to run (of a bundle, of one of its builds)."""

    folder: Path
    manifest: PackageManifest

    @property
    def name(self) -> str:
        return str(self.manifest.name)


def find(name: str, packages: Path, device: Device | None = None, *, any_task: bool = False) -> Found:
    """The package `name`: a folder, or the name of one below `packages`; of a bundle the first build that `device` suits, else the first.

    Nothing is hashed, and no file is read but the manifest: every file that it lists is there and has its size.
    `any_task`: it need not be a model that writes text.

    Raises:
        Failure: there is no such package, it is incomplete, or its manifest cannot be read.
    """
    folder = _folder(name, packages)
    manifest = _manifest(folder)
    if (folder / DELIVERY).is_file():
        raise Failure(
            "this is a package laid out for another program, by `bakehouse deliver`",
            where=str(folder),
            remedy="follow the README.md in it, or name the package itself",
        )
    if faults := list(_faults(folder, manifest.files)):
        more = [f"and {count_text(len(faults) - _SHOWN, 'more file')}"] if len(faults) > _SHOWN else []
        raise Failure(
            "the package is incomplete",
            where=str(folder),
            details=(*faults[:_SHOWN], *more),
            remedy=f"download or build it again; `bakehouse check {folder}` compares every byte",
        )
    if manifest.build.task != DEFAULT_TASK and not any_task:
        raise Failure(
            f"{manifest.name} is a model of {manifest.build.task}, and writes no text",
            where=str(folder),
            remedy="use `bakehouse run`, or the program in its README.md; the other commands are for models that write text",
        )
    return Found(folder, _member(manifest, device))


def _folder(name: str, packages: Path) -> Path:
    here, built = Path(name).expanduser().absolute(), packages / name
    if here.is_dir() and package_files.file_in(here).is_file():
        return here
    if name not in ("", ".", "..") and not {"/", "\\"} & set(name):
        if package_files.file_in(built).is_file():
            return built
        if not here.is_dir():
            raise _not_built(name, packages)
    if not here.is_dir():
        raise Failure(f"there is no folder {name}", remedy="name a build, or the folder of a package")
    raise Failure(f"the folder has no {MANIFEST}, so it is not a package", where=name, remedy=f"name the folder that holds {MANIFEST}")


def _not_built(name: str, packages: Path) -> Failure:
    known = sorted(path.name for path in packages.iterdir() if path.is_dir()) if packages.is_dir() else []
    near = difflib.get_close_matches(name, known, 3, 0.5)
    makes = f"`bakehouse build {name}` makes it if a recipe has it; `bakehouse list` shows the builds"
    hint = f"perhaps {' or '.join(near)}" if near else makes
    return Failure(f"there is no package {name} in {packages}, and no folder of that name", remedy=hint)


def _manifest(folder: Path) -> PackageManifest:
    path = package_files.file_in(folder)
    try:
        return PackageManifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise Failure(f"{path.name} cannot be read: {error.strerror}", where=str(folder)) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    try:
        newer = Listed.model_validate_json(path.read_bytes())
    except ValidationError:
        raise Failure(
            f"{path.name} is not the manifest of a package: {first['msg']}", where=str(folder), remedy="download or build the package again"
        ) from None
    raise Failure(
        f"this version of Bakehouse does not understand the package's manifest ({'.'.join(map(str, first['loc']))}: {first['msg']})",
        where=str(folder),
        details=(f"package: {newer.name!r}, manifest of version {newer.schema_version}",),
        remedy="install a newer Bakehouse, or follow the package's README.md",
    )


def _faults(folder: Path, files: tuple[FileRecord, ...]) -> Iterator[str]:
    """A sentence for each listed file that is not a regular file of its size in the folder."""
    for file in files:
        name, path = PurePosixPath(file.path), folder / file.path
        if name.is_absolute() or ".." in name.parts:
            yield f"{file.path!r}: is not in the package"
        elif not path.is_file():
            yield f"{file.path}: missing"
        elif (size := path.stat().st_size) != file.size:
            yield f"{file.path}: has {size:,} bytes, should have {file.size:,}"


def _member(manifest: PackageManifest, device: Device | None) -> PackageManifest:
    """Of a bundle the build to run: where a GPU is requested one that is not made for the CPU, else one that is."""
    if not manifest.members:
        return manifest
    fits = [one for one in manifest.members if ("CPU" in one.targets) is (device != "GPU")]
    return (fits or list(manifest.members))[0]
