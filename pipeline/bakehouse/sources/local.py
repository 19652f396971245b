"""A checkpoint directory or a single file on this machine, known by what is in it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bakehouse.errors import Failure
from bakehouse.formats import safetensors_files
from bakehouse.sources.seams import CopyRequest, CopyResult, LocalSpec
from bakehouse.sources.workers import checkpoint_files
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Notes, Step

UNTRUSTED = "PIPELINE_UNTRUSTED"
_RACY_NS = 2_000_000_000  # a file changed so lately may change again within the file system's clock tick


@dataclass(frozen=True)
class Content:
    """What a path of a recipe leads to: the file or folder, and its `fingerprint`."""

    path: Path
    fingerprint: str


def download(label: str, content: Content) -> Step:
    """The step that copies the files; their content is in its options, where they lie is in its notes."""
    path = content.path
    spec = LocalSpec(fingerprint=content.fingerprint, gguf=path.name if path.suffix == ".gguf" else None)
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


def untrusted(environ: Mapping[str, str]) -> bool:
    """Whether recipes come from somebody else, and so may read nothing outside their folder.

    PIPELINE_UNTRUSTED decides (0 or 1); without it, recipes are somebody else's where GitHub or GitLab run a pull or merge request.
    """
    if given := environ.get(UNTRUSTED):
        return given != "0"
    return environ.get("GITHUB_EVENT_NAME") in ("pull_request", "pull_request_target") or bool(environ.get("CI_MERGE_REQUEST_ID"))


def path_of(base: Path, written: str, *, confined: bool) -> Path:
    """Where a path of a recipe in the folder `base` is; `~` is the home of who runs this.

    Args:
        confined: whether it must lie in `base`, as it must where recipes are `untrusted`.

    Raises:
        Failure: it is confined and lies outside: then nothing is said of what is there, not even whether anything is.
    """
    path = Path(os.path.normpath(base / Path(written).expanduser()))
    if confined:
        _refuse_outside(written, base, [path])
    return path


def resolve(base: Path, written: str, *, confined: bool) -> Path:
    """The absolute path of what a recipe in the folder `base` calls `written`.

    Args:
        confined: whether all of it must lie in `base`, as it must where recipes are `untrusted`.

    Raises:
        Failure: it does not exist, or it is confined and it (or a file of it) lies outside `base`, be it through a symbolic link.
    """
    path = path_of(base, written, confined=confined)
    if not path.exists():
        raise Failure(f"{written} does not exist.", where=str(base), remedy="Put it in that place, or correct the path in the recipe.")
    if not (path.is_dir() or path.is_file()):
        raise Failure(f"{written} is neither a folder nor a file.", where=str(base), remedy="Correct the path in the recipe.")
    _refuse_strange(written, base, path)
    found = _with_adapters(path)
    if confined:
        _refuse_outside(written, base, found.values())
    return path


def resolve_file(base: Path, written: str, kind: str, *, confined: bool) -> Path:
    """`resolve` for what must be one file, of a `kind` such as "a text file".

    Raises:
        Failure: it is a directory, or as `resolve`.
    """
    if path_of(base, written, confined=confined).is_dir():
        raise Failure(f"{written} is a directory.", where=str(base), remedy=f"Write the path of {kind} into the recipe.")
    return resolve(base, written, confined=confined)


def is_as_planned(step: Step, fingerprint: str, copied_sha256: str) -> bool:
    """Whether the one file that a step copied is the file that was planned with; its name counts, too."""
    return combined({place(step).name: copied_sha256}) == fingerprint


def _refuse_strange(written: str, base: Path, path: Path) -> None:
    """A Failure for a part of a checkpoint that is no ordinary file: left out unseen, it would be missing from the model."""
    names = sorted(other for other in path.iterdir() if checkpoint_files.may_belong(other.name)) if path.is_dir() else []
    if strange := [other for other in names if not other.is_file()]:
        raise Failure(
            f"{written} has parts that are not ordinary files.",
            where=str(base),
            remedy="Put ordinary files in their place; where links of the hub's cache lead nowhere, get the model again.",
            details=tuple(
                f"{one.name} is a link that leads nowhere" if one.is_symlink() and not one.exists() else one.name for one in strange
            ),
        )


def _refuse_outside(written: str, base: Path, paths: Iterable[Path]) -> None:
    floor = base.resolve()
    if outside := [path for path in paths if not path.resolve().is_relative_to(floor)]:
        raise Failure(
            f"{written} lies outside the recipe's folder, and this recipe is not trusted.",
            where=str(base),
            remedy=f"Put the files themselves, not links to them, next to the recipe; or set {UNTRUSTED}=0 if the recipe is your own.",
            details=tuple(f"{name} is {name.resolve()}" for name in outside if name.resolve() != name),
        )


def resolve_model(base: Path, written: str, *, confined: bool, pickles: bool = False) -> Path:
    """`resolve` for a source: a checkpoint directory or a GGUF file.

    Args:
        pickles: whether its weights are pickles, to be converted.

    Raises:
        Failure: it is neither, its weights are of the other kind, or as `resolve`.
    """
    path = path_of(base, written, confined=confined)
    if path.is_file() and path.suffix != ".gguf":
        raise Failure(
            f"{written} is neither a checkpoint directory nor a GGUF file.",
            where=str(base),
            remedy="Write the path of one of them into the recipe.",
        )
    found = resolve(base, written, confined=confined)
    files_of(found)  # which is no adapter
    if found.is_dir() and pickled(found) != pickles:
        unfit = (
            checkpoint_files.Unfit(checkpoint_files.NO_PICKLES, checkpoint_files.LEAVE_OUT)
            if pickles
            else checkpoint_files.only_pickles(sorted(name for name in files_of(found) if checkpoint_files.PICKLE.fullmatch(name)))
        )
        raise Failure(unfit.what, where=str(found), remedy=unfit.remedy, details=unfit.details)
    return found


def resolve_adapter(base: Path, written: str, *, confined: bool) -> Path:
    """`resolve` for a LoRA adapter.

    Raises:
        Failure: it is none, or as `resolve`.
    """
    found = resolve(base, written, confined=confined)
    if found.is_file() or checkpoint_files.ADAPTER not in _with_adapters(found):
        raise Failure(
            f"{written} is not a folder with a LoRA adapter.",
            where=str(base),
            remedy=f"Name a folder with {checkpoint_files.ADAPTER_CONFIG} and {checkpoint_files.ADAPTER}, as peft writes it.",
        )
    return found


def pickled(folder: Path) -> bool:
    """Whether the weights of a checkpoint directory are pickles only."""
    return not safetensors_files.weight_files(folder)


def files_of(path: Path) -> dict[str, Path]:
    """What belongs to a source at `path`, by name: a checkpoint's files, or one file with the licences next to it.

    Raises:
        Failure: the directory is not a safetensors checkpoint.
    """
    return _explained(checkpoint_files.belonging, path)


def _with_adapters(path: Path) -> dict[str, Path]:
    return _explained(checkpoint_files.with_adapters, path)


def _explained(find: Callable[[Path], dict[str, Path]], path: Path) -> dict[str, Path]:
    try:
        return find(path)
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
    for name, file in _with_adapters(path).items():
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
    except OSError:  # a disk that is full or not ours to write: `bakehouse list` works all the same
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
    if not spec.gguf and not pickled(files):
        faults += safetensors_files.faults(files)
    return Verification({"fingerprint": combined(copied)}, tuple(faults))


def lost(files: Path, names: Iterable[str]) -> list[str]:
    """A sentence for each of `names` that is not in `files`."""
    return [f"{name} is missing." for name in sorted(names) if not (files / name).is_file()]
