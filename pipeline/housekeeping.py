"""Looking after what was made: hash all of it again, and drop what no recipe reaches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline import files
from pipeline.plan import Build, Plan, unique
from pipeline.progress import size_text
from pipeline.store import Store


@dataclass(frozen=True)
class Report:
    """How many files of how many bytes were hashed, and what was wrong, a sentence each."""

    files: int
    size_bytes: int
    faults: tuple[str, ...]


def verify(builds: Iterable[Build], store: Store, names: dict[str, str], say: Callable[[str], None]) -> Report:
    """Hash every file of these builds' steps and packages again; tells each result through `say`."""
    builds = tuple(builds)
    count = size = 0
    faults: list[str] = []
    for step in unique(build.package for build in builds):
        if (record := store.record(step)) is None:
            continue
        count += len(record.files)
        size += sum(file.size for file in record.files)
        name = names[step.key]
        found = [f"{name}: {fault}" for fault in store.damage(step, thorough=True)]
        say(
            "\n".join(f"damaged  {fault}" for fault in found) + f"\n         to mend it: doit clean {name} && doit {name}"
            if found
            else f"ok       {name}"
        )
        faults += found
    for build in builds:
        record = store.record(build.package)
        if record is None or not store.package(build.name).exists():
            continue
        found = [f"packages/{build.name}: {fault}" for fault in files.faults(store.package(build.name), record.files, thorough=True)]
        say(
            "\n".join(f"damaged  {fault}" for fault in found) + f"\n         to mend it: doit build:{build.name}"
            if found
            else f"ok       packages/{build.name}"
        )
        faults += found
    return Report(count, size, tuple(faults))


def prune(plan: Plan, store: Store, *, dry_run: bool, say: Callable[[str], None]) -> int:
    """Drop every step, package, failure and leaving that the plan does not reach; returns the bytes that frees.

    A directory that another run works on just now is left alone. A file with another name elsewhere
    (a package that stays) frees nothing and is not counted.
    """
    keep = [*plan.steps, *(build.survey for build in plan.builds if build.survey)]
    freed = 0
    for folder in store.prunable(keep, [build.name for build in plan.builds]):
        if not _idle(folder, store):
            say(f"in use   {folder.relative_to(store.root)}")
            continue
        size = _only_here_bytes(folder)
        say(f"{'would drop' if dry_run else 'dropped'}  {folder.relative_to(store.root)}  {size_text(size)}")
        freed += size
        if not dry_run:
            files.remove(folder)
    return freed


def _idle(folder: Path, store: Store) -> bool:
    """Whether no run holds the lock that goes with a folder."""
    held = [folder.name] if folder.parent.name == ".staging" else [f"{folder.parent.name}-{folder.name}"]
    for path in sorted((store.root / ".locks").glob(f"{held[0]}*")):
        try:
            with FileLock(path, timeout=0):
                pass
        except Timeout:
            return False
    return True


def _only_here_bytes(folder: Path) -> int:
    """Bytes that removing a folder gives back: files whose every name lies in it."""
    names: dict[int, list[int]] = {}
    for path in folder.rglob("*"):
        if path.is_file():
            status = path.stat()
            entry = names.setdefault(status.st_ino, [0, status.st_nlink, status.st_size])
            entry[0] += 1
    return sum(size for here, total, size in names.values() if here == total)
