"""A checkpoint directory or a single file of this machine, known by what is in it.

The store gets a copy that shares blocks where the file system can (reflink), and never a hard link: an edit of the user's file in place
would change what a key stands for.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat as modes
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from bakehouse.errors import Failure
from bakehouse.formats import safetensors_files
from bakehouse.recipe.recipe import Local
from bakehouse.recipe.types import CONFINED, leads_out
from bakehouse.sources.seams import CopyRequest, CopyResult, LocalSpec
from bakehouse.sources.workers import checkpoint_files
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Notes, Step

_RACY_NS = 2_000_000_000  # a file changed so lately may change again within the file system's clock tick


class Outside(Failure):
    """A recipe that is not the user's own names something outside its folder."""


def download(source: Local, label: str, path: Path, fingerprint: str) -> Step:
    """The step that copies the files; their content is in its options, where they lie is in its notes."""
    spec = LocalSpec(fingerprint=fingerprint, gguf=path.name if path.suffix == ".gguf" else None)
    return Step(kind="download", maker="local", label=label, spec=spec, notes=Notes(path=path))


def place(step: Step) -> Path:
    """Where the files of a step lie that copies them from next to the recipe."""
    assert step.notes.path is not None, f"{step.kind} of {step.label} is planned without its path"
    return step.notes.path


def file_name(step: Step) -> str:
    """Name of the GGUF file in the step's directory."""
    gguf = step.spec_as(LocalSpec).gguf
    assert gguf is not None
    return gguf


def resolve(base: Path, relative: str, *, trusted: bool = False) -> Path:
    """The absolute path of what a recipe in the folder `base` calls `relative`.

    A recipe that is the user's own (`trusted`) may name any place.

    Raises:
        Failure: it is missing, or is neither a folder nor an ordinary file.
        Outside: it (or a file of it) lies outside `base`, be it through a symbolic link, and is not trusted.
    """
    if not trusted and (what := leads_out(relative)):
        raise Outside(f"The path {relative} {what}.", where=str(base), remedy=CONFINED)
    path, floor = _named(base, relative), base.resolve()
    _refuse_unreadable(path, base, relative)
    outside = [] if path.resolve().is_relative_to(floor) else [path]
    if not trusted:
        outside = outside or [file for file in files_of(path).values() if not file.resolve().is_relative_to(floor)]
        if outside:
            raise Outside(
                f"{relative} lies outside the recipe's folder.",
                where=str(base),
                remedy="Put the files themselves, not links to them, next to the recipe.",
                details=tuple(f"{file} is {file.resolve()}" for file in outside),
            )
    # The hub's cache links NAME.gguf to a file without a suffix: what a file is called is then the link's name.
    keeps_name = path.is_file() and (outside or path.resolve().suffix != path.suffix)
    return path.parent.resolve() / path.name if keeps_name else path.resolve()


def resolve_model(base: Path, relative: str, *, trusted: bool = False) -> Path:
    """`resolve` for a source: a checkpoint directory or a GGUF file.

    Raises:
        Failure: it is neither, or as `resolve`.
    """
    path = resolve(base, relative, trusted=trusted)
    if path.is_file() and path.suffix != ".gguf":
        raise Failure(
            f"{relative} is neither a checkpoint directory nor a GGUF file.",
            where=str(base),
            remedy="Write the path of one of them into the recipe.",
        )
    return path


def _named(base: Path, relative: str) -> Path:
    try:
        return base / Path(relative).expanduser()
    except RuntimeError as error:  # no home folder is known
        raise Failure(f"{relative} cannot be found: {error}", where=str(base), remedy="Write an absolute path into the recipe.") from error


def _refuse_unreadable(path: Path, base: Path, relative: str) -> None:
    """A Failure if `path`, or what belongs to a checkpoint in it, is missing, or is something that is not read."""
    if not (path.exists() or path.is_symlink()):
        raise Failure(f"{relative} does not exist.", where=str(base), remedy="Put it in that place, or correct the path in the recipe.")
    inside = [other for other in path.iterdir() if checkpoint_files.may_belong(other.name)] if path.is_dir() else []
    strange = [(one, what) for one in (path, *sorted(inside)) if (what := _strange(one))]
    if strange:
        raise Failure(
            f"{relative} cannot be read.",
            where=str(base),
            details=tuple(f"{one} {what}" for one, what in strange),
            remedy="Put ordinary files in that place; get a snapshot of the hub's cache again if its links lead nowhere.",
        )


def _strange(path: Path) -> str:
    """Why a path is neither a folder nor an ordinary file; "" if it is one of them."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return f"is a link that leads nowhere: {path.readlink()}" if path.is_symlink() else f"cannot be looked at: {error.strerror}"
    kinds = {modes.S_IFIFO: "is a named pipe", modes.S_IFSOCK: "is a socket", modes.S_IFCHR: "is a device", modes.S_IFBLK: "is a device"}
    return kinds.get(modes.S_IFMT(mode), "")


def files_of(path: Path) -> dict[str, Path]:
    """What belongs to a source at `path`, by name: a checkpoint's files, or one file with the licences next to it.

    Raises:
        Failure: the directory is not a safetensors checkpoint.
    """
    try:
        return checkpoint_files.belonging(path)
    except checkpoint_files.Unfit as unfit:
        raise Failure(unfit.what, where=str(path), remedy=unfit.remedy, details=unfit.details) from unfit


def fingerprint(path: Path, cache: Path) -> str:
    """sha256 over names and sha256 of all files of the source at `path`.

    A file's sha256 is kept in the JSON file `cache` and taken from there as long as path, size, times and inode are the same.

    Raises:
        Failure: `path` does not exist, or is not a safetensors checkpoint.
    """
    if not path.exists():
        raise Failure("This does not exist.", where=str(path), remedy="Put it in that place, or correct the path in the recipe.")
    known = _remembered(cache)
    hashes: dict[str, str] = {}
    fresh: dict[str, list[int | str]] = {}
    for name, file in files_of(path).items():
        stat = file.stat()
        identity = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
        entry = known.get(str(file.absolute()))
        if entry and entry[:-1] == identity:
            hashes[name] = str(entry[-1])
            continue
        with file.open("rb") as opened:
            hashes[name] = hashlib.file_digest(opened, "sha256").hexdigest()
        if time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) > _RACY_NS:
            fresh[str(file.absolute())] = [*identity, hashes[name]]
    if fresh:
        _remember(cache, known | fresh)
    return combined(hashes)


def combined(hashes: Mapping[str, str]) -> str:
    """One sha256 for files of these names and sha256."""
    return hashlib.sha256("".join(f"{hashes[name]}  {name}\n" for name in sorted(hashes)).encode()).hexdigest()


def _remembered(cache: Path) -> dict[str, list[int | str]]:
    with contextlib.suppress(FileNotFoundError, ValueError):  # it only saves time: a damaged one is made anew
        known = json.loads(cache.read_text(encoding="utf-8"))
        return known if isinstance(known, dict) else {}
    return {}


def _remember(cache: Path, known: Mapping[str, list[int | str]]) -> None:
    staged = cache.with_name(f"{cache.name}.{os.getpid()}")
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        staged.write_text(json.dumps(known, indent=0), encoding="utf-8", newline="\n")
        staged.replace(cache)
    except OSError:  # a disk that is full or not ours to write: `doit list` works all the same
        with contextlib.suppress(OSError):
            staged.unlink(missing_ok=True)


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that copies the files into `files`."""
    return worker("sources.workers.copy_local", request=CopyRequest(path=place(step), files=files))


def verify(step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    """Compare what was copied with the fingerprint that was planned with."""
    spec, copied = step.spec_as(LocalSpec), report.read(CopyResult).files
    faults = lost(files, copied)
    if combined(copied) != spec.fingerprint:
        faults.append("The source's files changed while they were being read: run the same command again.")
    if not spec.gguf:
        faults += safetensors_files.faults(files)
    return Verification({"fingerprint": combined(copied)}, tuple(faults))


def lost(files: Path, names: Iterable[str]) -> list[str]:
    """A sentence for each of `names` that is not in `files`."""
    return [f"{name} is missing." for name in sorted(names) if not (files / name).is_file()]
