"""Operations on files: hash, sync, seal, link, replace, remove. The store decides where files are."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import shutil
import stat
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bakehouse.records import FileRecord

# All sealed files have this time (2020-01-01 UTC): any later write shows without hashing.
SEALED_AT_NS = 1_577_836_800 * 10**9
_BLOCK_BYTES = 4 * 1024 * 1024
ASIDE = ".aside"  # the end of the name that a folder has for a moment while two are exchanged
# winerror.h: access denied, sharing violation, directory not empty (what was removed in it is still open somewhere)
_HELD = (5, 32, 145)
_PATIENCE_S, _PAUSE_S = 5.0, 0.05
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h


def walk(folder: Path) -> Iterator[Path]:
    """Every file below `folder`, sorted by path. A symlink or a special file is an error: packages hold real files only."""
    for path, mode in _below(folder):
        if not stat.S_ISREG(mode):
            raise ValueError(f"{path} is neither a regular file nor a folder")
        yield path


def _below(folder: Path) -> Iterator[tuple[Path, int]]:
    """Everything below `folder` except folders, sorted, with its mode; links are not followed."""
    for entry in sorted(folder.iterdir()):
        mode = entry.lstat().st_mode
        if stat.S_ISDIR(mode):
            yield from _below(entry)
        else:
            yield entry, mode


Stamp = tuple[str, int, int, int]
Stamps = tuple[Stamp, ...]


def stamp(path: Path) -> Stamp:
    """What changes when a file is replaced or written again: its name, inode, size in bytes and time in ns."""
    seen = path.stat()
    return path.name, seen.st_ino, seen.st_size, seen.st_mtime_ns


def stamps(folder: Path) -> Stamps:
    """The stamps of all files directly in a folder."""
    return tuple(stamp(path) for path in sorted(folder.iterdir()) if path.is_file())


def sha256(path: Path, on_bytes: Callable[[int], None] | None = None) -> str:
    """sha256 of a file in hex; `on_bytes` gets the size in bytes of each block as it is read."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            if on_bytes:
                on_bytes(len(block))
    return digest.hexdigest()


def records(folder: Path) -> tuple[FileRecord, ...]:
    """Path, size and sha256 of every file below `folder`, sorted."""
    return records_of(folder, walk(folder))


def records_of_new(folder: Path) -> tuple[FileRecord, ...]:
    """The same of files that were just written and will be sealed: the disk is kept writing while they are hashed.

    Raises:
        OSError: one of them could not be written to the disk. A later sync might not say so again.
    """
    if sys.platform == "win32":  # where a file that a tool left read-only cannot be synced; `seal` sees to that
        return records(folder)
    paths = list(walk(folder))
    with ThreadPoolExecutor(1) as pool:
        written = pool.map(sync, paths)
        found = records_of(folder, paths)
        list(written)
    return found


def records_of(folder: Path, paths: Iterable[Path]) -> tuple[FileRecord, ...]:
    """Path, size and sha256 of some files below `folder`; two files at a time (hashing releases the GIL)."""
    paths = list(paths)
    with ThreadPoolExecutor(2) as pool:
        digests = list(pool.map(sha256, paths))
    return tuple(
        FileRecord(path=path.relative_to(folder).as_posix(), size=path.stat().st_size, sha256=digest)
        for path, digest in zip(paths, digests, strict=True)
    )


def seal(folder: Path, *, read_only: bool = True) -> None:
    """Sync everything below `folder` and give every file the sealing time; make files read-only if requested, except on Windows.

    A file that already has that time is a link to one that was sealed before.
    """
    # On Windows a read-only file can be neither synced nor removed, and making one of its names writable does so to all of them.
    sealed = 0o444 if read_only and sys.platform != "win32" else 0o644
    for path in walk(folder):
        if path.stat().st_mtime_ns != SEALED_AT_NS:
            path.chmod(0o644)
            sync(path)
            os.utime(path, ns=(SEALED_AT_NS, SEALED_AT_NS))
        path.chmod(sealed)
    for below, _, _ in os.walk(folder):
        sync(Path(below))


def unseal(folder: Path) -> None:
    """Make every file below `folder` writable again, so that a download can continue with what a killed run had sealed."""
    for path in walk(folder):
        path.chmod(0o644)


def sync(path: Path) -> None:
    """fsync a file or, where the system has it, a folder."""
    if path.is_dir() and sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY if sys.platform != "win32" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def faults(folder: Path, expected: tuple[FileRecord, ...], *, thorough: bool = False) -> tuple[str, ...]:
    """How the files below `folder` differ from `expected`, a sentence each; by size and time, or (thorough) by sha256.

    A file that does not have the sealing time was written later, or copied: it is always hashed.
    """
    below = {path.relative_to(folder).as_posix(): (path, mode) for path, mode in _below(folder)} if folder.is_dir() else {}
    found = {name: path for name, (path, mode) in below.items() if stat.S_ISREG(mode)}
    wrong = [f"{record.path}: missing" for record in expected if record.path not in below]
    for name in sorted(below.keys() - found.keys()):
        wrong.append(f"{name}: is {'a link' if stat.S_ISLNK(below[name][1]) else 'neither a file nor a folder'}")
    for record in expected:
        if (path := found.pop(record.path, None)) is None:
            continue
        size, mtime_ns = (status := path.stat()).st_size, status.st_mtime_ns
        if size != record.size:
            wrong.append(f"{record.path}: {size:,} bytes, should be {record.size:,}")
        elif (thorough or mtime_ns != SEALED_AT_NS) and (digest := sha256(path)) != record.sha256:
            wrong.append(f"{record.path}: content changed (sha256 {digest[:12]}…, should be {record.sha256[:12]}…)")
    return (*wrong, *(f"{path}: does not belong here" for path in found))


def link(source: Path, target: Path) -> None:
    """Give `source` a second name; a copy if the file system has no hard links or the two are on different ones."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EACCES):
            raise
        shutil.copyfile(source, target)
        sync(target)
        shutil.copystat(source, target)


def write(path: Path, text: str) -> None:
    """Write a text file completely or not at all, UTF-8 with plain line feeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        part.write_text(text, encoding="utf-8", newline="\n")
        sync(part)
        patiently(lambda: part.replace(path))
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync(path.parent)


def patiently(work: Callable[[], object], patience_s: float = _PATIENCE_S) -> None:
    """Repeat for some seconds what Windows refuses while another program, such as a virus scanner, has a file open; then let it fail."""
    until = time.monotonic() + patience_s
    while True:
        try:
            work()
            return
        except OSError as error:
            if getattr(error, "winerror", None) not in _HELD or time.monotonic() >= until:
                raise
        time.sleep(_PAUSE_S)


def move(source: Path, target: Path) -> None:
    """Rename a folder into place, durably; `target` must not exist."""
    target.parent.mkdir(parents=True, exist_ok=True)
    patiently(lambda: source.rename(target))
    sync(target.parent)
    sync(source.parent)


def exchange(new: Path, old: Path) -> None:
    """Exchange the names of two folders, durably; in one operation if the system can (Linux), else in three."""
    aside = new.with_name(f"{new.name}{ASIDE}")
    remove(aside)
    if not _exchanged(new, old):
        patiently(lambda: old.rename(aside))
        patiently(lambda: new.rename(old))
        patiently(lambda: aside.rename(new))
    sync(old.parent)
    sync(new.parent)


def put_back(new: Path, old: Path) -> None:
    """Give `old` its name again, if an exchange was killed after it had renamed `old`."""
    aside = new.with_name(f"{new.name}{ASIDE}")
    if aside.exists() and not old.exists():
        move(aside, old)


def _exchanged(one: Path, other: Path) -> bool:
    """Whether two names were exchanged in one system call (Linux 3.15, glibc 2.28), which the file system must support."""
    if sys.platform != "linux":
        return False
    call = getattr(ctypes.CDLL(None), "renameat2", None)
    here = ctypes.c_int(_AT_FDCWD)
    return call is not None and call(here, os.fsencode(one), here, os.fsencode(other), ctypes.c_uint(_RENAME_EXCHANGE)) == 0


def remove(path: Path) -> None:
    """Remove a folder with everything in it, read-only files too, or a file or a link; nothing if it does not exist."""
    if path.is_symlink() or path.is_file():
        patiently(path.unlink)
    elif path.exists():
        if (
            sys.platform == "win32"
        ):  # where read-only files cannot be removed; a tool may leave one, although sealed files are not read-only
            for file, mode in _below(path):
                if stat.S_ISREG(mode):
                    file.chmod(0o644)
        patiently(lambda: shutil.rmtree(path))


def size_bytes(folder: Path) -> int:
    """Bytes of all files below `folder`; links, which a scratch folder may hold, are not followed."""
    found = (Path(where) / name for where, _, names in os.walk(folder) for name in names)
    return sum(path.lstat().st_size for path in found)
