"""Looking after what was made: hash all of it again, and drop what no recipe uses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from bakehouse.app.reach import Reach
from bakehouse.errors import Failure
from bakehouse.package import inspect as inspection
from bakehouse.plan.plan import Build, unique
from bakehouse.store import files
from bakehouse.store.store import Store
from bakehouse.text import count_text, size_text

_LOCKS = {"packages": "package-name"}  # folder: how its locks are called; the others are called as the kind


@dataclass(frozen=True)
class Report:
    """How many files of how many bytes were hashed, and what was wrong, a sentence each; `damaged` are the tasks to do again."""

    files: int
    size_bytes: int
    faults: tuple[str, ...]
    damaged: tuple[str, ...] = ()

    @property
    def repair(self) -> str:
        """The command that makes again what is damaged; "" if nothing is."""
        tasks = " ".join(self.damaged)
        return f"bakehouse clean {tasks} && bakehouse build {tasks}" if tasks else ""


def check(builds: Iterable[Build], store: Store, names: dict[str, str], say: Callable[[str], None]) -> Report:
    """Hash every file of these builds' steps and packages again; gives each result to `say`, and how to repair it."""
    builds = tuple(builds)
    count = size = 0
    faults: list[str] = []
    damaged: list[str] = []

    def tell(what: str, task: str, found: Iterable[str]) -> None:
        lines = [f"{what}: {fault}" for fault in found]
        say("\n".join(f"damaged  {fault}" for fault in lines) or f"ok       {what}")
        faults.extend(lines)
        damaged.extend([task] if lines else [])

    for step in unique(build.package for build in builds):
        record, damage = store.record(step), store.damage(step, thorough=True)
        if record:
            count += len(record.files)
            size += sum(file.size for file in record.files)
        if record or damage:
            tell(names[step.key], names[step.key], damage)
    for build in builds:
        record, package = store.record(build.package), store.package(build.name)
        if not package.exists():
            continue
        if record and store.is_copy(record, build.name):
            found = files.faults(package, record.files, thorough=True)
        else:
            hashed, hashed_bytes, found = _by_its_own_lists(package)
            count, size = count + hashed, size + hashed_bytes
        tell(f"packages/{build.name}", f"build:{build.name}", found)
    report = Report(count, size, tuple(faults), tuple(damaged))
    if report.repair:
        say(f"to repair it: {report.repair}")
    return report


def _by_its_own_lists(package: Path) -> tuple[int, int, tuple[str, ...]]:
    """Files, bytes and faults of a package that is not the one in the store: of an older recipe, made before that one was made again, or
    one whose record or manifest is damaged."""
    try:
        found = inspection.inspect(package)
    except Failure as failure:
        return 0, 0, (failure.what,)
    return found.files, found.size_bytes, found.faults


def packages_to_drop(own: Reach, store: Store, others: Iterable[Reach]) -> list[str]:
    """The names of the packages that a prune would drop."""
    return [path.name for path in _unreached(own, store, others) if path.parent == store.root / "packages" and store.is_ours(path)]


def _unreached(own: Reach, store: Store, others: Iterable[Reach]) -> list[Path]:
    """What neither our recipes reach nor those of the other folders."""
    others = tuple(others)
    foreign = {step for one in others for step in one.steps}
    names = {name for one in (own, *others) for name in one.packages}
    return store.prunable({*own.steps, *foreign}, names, foreign - {*own.steps})


def prune(own: Reach, store: Store, *, others: Iterable[Reach] = (), dry_run: bool, say: Callable[[str], None]) -> int:
    """Drop every step, package, failure and leaving that our recipes do not reach; returns the bytes that frees.

    What the recipes of `others` reach is kept and counted. A directory that another run works on just now, and what was not made here,
    is left alone. A file counts where its last name goes: one that also lies in a package that stays frees nothing.

    Raises:
        Failure: something cannot be removed; what came before it is.
    """
    others = tuple(others)
    left: dict[int, int] = {}  # inode -> names that are not dropped yet
    freed = 0
    alone = _unreached(own, store, ())
    for one in others:
        if kept := set(alone) - set(_unreached(own, store, [one])):
            say(f"kept     {count_text(len(kept), 'folder')}, reached by the recipes in {one.recipes}")
    for folder in _unreached(own, store, others):
        shown = folder.relative_to(store.root).as_posix()
        if not store.is_ours(folder):
            say(f"left     {shown}: not known to be made here; remove it yourself if nobody needs it")
            continue
        with _idle(folder, store) as idle:
            if not idle:
                say(f"in use   {shown}")
                continue
            size = _given_back(folder, left)
            if not dry_run:
                _remove(folder)
        say(f"{'would drop' if dry_run else 'dropped'}  {shown}  {size_text(size)}")
        freed += size
    return freed


def _remove(path: Path) -> None:
    try:
        files.remove(path)
    except OSError as error:
        raise Failure(
            f"{path} cannot be removed: {error.strerror}", remedy="run it as the owner of the artifacts, on a disk that can be written"
        ) from error


@contextmanager
def _idle(folder: Path, store: Store) -> Iterator[bool]:
    """Hold the lock that goes with a folder, so that no run begins with it meanwhile; False if a run holds it now."""
    kind, name = folder.parent.name, folder.name.removesuffix(files.ASIDE)
    if kind != ".staging":
        name = f"{_LOCKS.get(kind, kind)}-{name}"
    with ExitStack() as held:
        try:
            for path in sorted((store.root / ".locks").glob(f"{name}*")):
                held.enter_context(FileLock(path, timeout=0))
        except Timeout:
            yield False
            return
        yield True


def _given_back(folder: Path, left: dict[int, int]) -> int:
    """Bytes that removing a folder gives back: of files that have no other name then; `left` counts names down over folders."""
    size = 0
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            status = path.stat()
            left[status.st_ino] = left.get(status.st_ino, status.st_nlink) - 1
            size += 0 if left[status.st_ino] else status.st_size
    return size
