"""The store: whether a step's directory exists and is complete; make it under a lock, commit it, remove it. Stages know what is in it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pydantic import ValidationError

from bakehouse.errors import FULL, Failure, disk_full
from bakehouse.records import StepRecord
from bakehouse.steps.step import Kind, Step
from bakehouse.store import clone, files, package_files

RECORD = "manifest.json"  # of a step; a package's own manifest is `package_files.MANIFEST`
_CACHEDIR_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# Made by bakehouse; see https://bford.info/cachedir/\n"


@dataclass(frozen=True)
class Staging:
    """A directory in the making: `files` becomes the artifact, `scratch` is removed, `log` is kept."""

    folder: Path

    @property
    def files(self) -> Path:
        return self.folder / "files"

    @property
    def scratch(self) -> Path:
        return self.folder / "scratch"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"


class Store:
    """The artifacts folder: `store/<kind>/<key>/`, `packages/<build>/`, `failed/<kind>/<key>/`.

    If a directory under `store/` exists, it is complete: it is filled in `.staging/`, synced, and renamed into place.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._shares_blocks: bool | None = None

    # --- what exists ---

    def refuse_unreadable(self) -> None:
        """Check that the folder can be read, if it exists.

        Raises:
            Failure: it cannot.
        """
        try:
            list(self.root.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise Failure(
                f"The artifacts folder {self.root} cannot be read: {error.strerror}.",
                remedy="Set PIPELINE_ARTIFACTS to a folder of your own.",
            ) from error

    def folder(self, step: Step) -> Path:
        """Where `step`'s directory is or would be."""
        return self.root / "store" / step.kind / step.key

    def files(self, step: Step) -> Path:
        """The files of a step; only meaningful if the store has it."""
        return self.folder(step) / "files"

    def log(self, step: Step) -> Path:
        """The log of the step's child processes."""
        return self.folder(step) / "log.txt"

    def record(self, step: Step) -> StepRecord | None:
        """The record next to the step's files; None if the step was never made, or if the record cannot be read."""
        return read_record(self.folder(step))

    def damage(self, step: Step, *, thorough: bool = False) -> tuple[str, ...]:
        """What is wrong with a step's record and files, by size and time or (thorough) by sha256; () also if it was never made."""
        if record := self.record(step):
            return files.faults(self.files(step), record.files, thorough=thorough)
        return (f"{RECORD} cannot be read",) if self.folder(step).exists() else ()

    def has(self, step: Step) -> bool:
        """Whether the step is made and, by size and time, complete."""
        return self.record(step) is not None and not self.damage(step)

    def all_records(self) -> Iterator[tuple[Path, StepRecord | None]]:
        """Every directory of the store with its record (None if that cannot be read)."""
        for folder in sorted((self.root / "store").glob("*/*")):
            yield folder, read_record(folder)

    # --- making ---

    def staging(self, step: Step) -> Staging:
        """Where a step is made; it is there only while that goes on, and after a kill."""
        return Staging(self.root / ".staging" / f"{step.kind}-{step.key[:24]}")

    @contextmanager
    def making(self, step: Step, on_wait: Callable[[], None]) -> Iterator[Staging | None]:
        """Hold the step's lock; yields the directory to make it in, or None if it exists by now.

        `on_wait` is called once if another process makes the same step. What a killed run left in the
        staged directory is kept: a download continues from it, other steps remove it.
        """
        self._prepare()
        with self.lock(f"{step.kind}-{step.key}", on_wait):
            if self.has(step):
                yield None
                return
            staging = self.staging(step)
            staging.folder.mkdir(parents=True, exist_ok=True)
            for left in staging.folder.iterdir():
                if left != staging.files:
                    files.remove(left)
            yield staging

    @contextmanager
    def lock(self, name: str, on_wait: Callable[[], None]) -> Iterator[None]:
        """Hold a lock of this store; the system releases it when its holder ends."""
        from filelock import FileLock, Timeout  # here, so that a command that makes nothing need not wait for it

        path = self.root / ".locks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, mode=0o666)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            on_wait()
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def commit(self, step: Step, staging: Staging, record: StepRecord) -> None:
        """Move a finished directory to its final name. A damaged one that has this name goes to `failed/`."""
        files.remove(staging.scratch)
        files.seal(staging.files)
        files.write(staging.folder / RECORD, record.model_dump_json(indent=2) + "\n")
        final = self.folder(step)
        if final.exists():
            self._set_aside(final, self.failed(step))
        files.move(staging.folder, final)

    def fail(self, step: Step, staging: Staging, *, keep_files: bool) -> Path:
        """Move the log and, if requested, the files of a failed step to `failed/`; returns the new folder."""
        files.remove(staging.scratch)
        if not keep_files:
            files.remove(staging.files)
        target = self.failed(step)
        self._set_aside(staging.folder, target)
        return target

    def failed(self, step: Step) -> Path:
        """The folder with what the step's last failure left."""
        return self.root / "failed" / step.kind / step.key

    def drop(self, step: Step) -> None:
        """Forget a step: the next build makes it again."""
        files.remove(self.folder(step))

    # --- packages ---

    def package(self, name: str) -> Path:
        """The folder of the newest good package of a build."""
        return self.root / "packages" / name

    def expose(self, step: Step, name: str, on_wait: Callable[[], None]) -> None:
        """Make `packages/<name>` the files of a package step; if that fails, the old package stays.

        They are copies: onnx 1.23.2 refuses weights that have two names, and an edit of a package must not reach the store.

        Raises:
            Failure: the disk is full, or a file in the store has changed.
        """
        self._prepare()
        with self.lock(f"package-name-{name}", on_wait):
            new = self.root / ".staging" / f"package-name-{name}"
            final = self.package(name)
            files.put_back(new, final)
            files.remove(new)
            record = self.record(step)
            try:
                wrong = clone.tree(self.files(step), new, record.files if record else ())
            except OSError as error:
                if error.errno not in FULL:
                    raise
                written = files.size_bytes(new)
                files.remove(new)
                raise disk_full(written, self.free_bytes(), f"packages/{name}") from error
            if wrong:
                files.remove(new)
                raise Failure(
                    f"{wrong} in the store has changed.",
                    where=f"package of {name}",
                    remedy=f"Run `bakehouse check {name}`, which names the repair.",
                )
            if final.exists():
                files.exchange(new, final)
                files.remove(new)
            else:
                files.move(new, final)

    def is_exposed(self, step: Step, name: str) -> bool:
        """Whether `packages/<name>` is, by size and time, exactly what the package step made, and the store has that completely."""
        record = self.record(step)
        if record is None or not self.is_copy(record, name):
            return False
        return not any(files.faults(folder, record.files) for folder in (self.files(step), self.package(name)))

    def is_copy(self, record: StepRecord, name: str) -> bool:
        """Whether `packages/<name>` is a copy, complete or not, of what the store has now, and not of what it had under this key before.

        Files that are made again may have the same size and time: the manifest, which is always read, has the time of the package.
        """
        manifests = [(self.package(name) / file.path, file.sha256) for file in record.files if file.path in package_files.MANIFESTS]
        return all(path.is_file() and files.sha256(path) == digest for path, digest in manifests)

    def shares_blocks(self) -> bool:
        """Whether the file system lets a package share the blocks of the store; tried once."""
        if self._shares_blocks is None:
            with suppress(Failure):  # whoever needs the space gets the error
                self._prepare()
            self._shares_blocks = clone.can_share(self.root)
        return self._shares_blocks

    def withdraw(self, name: str) -> None:
        """Remove a package; the store keeps what it is made from."""
        files.remove(self.package(name))

    # --- removing ---

    def prunable(self, keep: Collection[str], packages: Iterable[str], evidence: Collection[str] = ()) -> list[Path]:
        """What no recipe uses: steps by `kind/key`, packages and signed copies by name, and what failures and kills left.

        `evidence` are the steps whose failures are kept.
        `is_ours` decides whether Bakehouse made it. A package that a killed exchange left under another name is not in the list: the next
        build gives it its name again.
        """
        kept = {self.root / "store" / step for step in keep}
        names = set(packages)
        waiting = {f"package-name-{name}{files.ASIDE}" for name in names if not self.package(name).exists()}
        store = [folder for folder, _ in self.all_records() if folder not in kept]
        made = [path for kind in ("packages", "signed", "signatures") for path in sorted((self.root / kind).glob("*"))]
        stale = [folder for folder in made if folder.name not in names]
        staged = [path for path in sorted((self.root / ".staging").glob("*")) if path.name not in waiting]
        failed = [path for path in sorted((self.root / "failed").glob("*/*")) if f"{path.parent.name}/{path.name}" not in evidence]
        return [*store, *stale, *failed, *staged]

    def is_ours(self, folder: Path) -> bool:
        """Whether Bakehouse made something prunable, by its place and its manifest: others may use an artifacts folder too."""
        place = folder.relative_to(self.root).parts
        match place[0]:
            case ".staging":
                return True
            case "store" | "failed":
                return place[1] in get_args(Kind) and re.fullmatch("[0-9a-f]{64}", place[2]) is not None
            case _:
                return package_files.is_package(folder) or (folder / "signed.json").is_file()

    def free_bytes(self) -> int:
        """Bytes free on the disk of the store."""
        self._prepare()
        return shutil.disk_usage(self.root).free

    def _prepare(self) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            for name, text in (("CACHEDIR.TAG", _CACHEDIR_TAG), (".gitignore", "*\n")):
                if not (self.root / name).exists():
                    files.write(self.root / name, text)
        except OSError as error:
            raise Failure(
                f"The artifacts folder {self.root} cannot be used: {error.strerror}.",
                remedy="Set PIPELINE_ARTIFACTS to a folder that can be written.",
            ) from error

    def _set_aside(self, folder: Path, target: Path) -> None:
        files.remove(target)
        files.move(folder, target)


def read_record(folder: Path) -> StepRecord | None:
    """The record in a directory of the store; None if it is missing, or if Bakehouse did not write it."""
    try:
        return StepRecord.model_validate_json((folder / RECORD).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None
