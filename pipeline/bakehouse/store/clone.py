"""Copies of files, for programs that refuse a file with two names: they share blocks if the file system can, else bytes are copied."""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
import uuid
from pathlib import Path

from bakehouse.records import FileRecord
from bakehouse.store import files

_FICLONE = 0x40049409  # linux/fs.h: _IOW(0x94, 9, int)
_BLOCK_BYTES = 4 * 1024 * 1024
_TRIAL_BYTES = 64 * 1024  # whole blocks everywhere


def copy(source: Path, target: Path) -> str | None:
    """Make the new file `target` with the bytes of `source`; returns the sha256 of copied bytes in hex, None if blocks are shared.

    It does not get the source's time and mode, and nothing is synced.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if shared(source, target):
        return None
    digest = hashlib.sha256()
    with source.open("rb", buffering=0) as old, target.open("xb", buffering=0) as new:
        while block := old.read(_BLOCK_BYTES):
            digest.update(block)
            rest = memoryview(block)
            while rest:
                rest = rest[new.write(rest) :]
    return digest.hexdigest()


def tree(source: Path, target: Path, made: tuple[FileRecord, ...]) -> str:
    """Copy all files of a folder into the new folder `target`, sealed but writable.

    Returns:
        The path of the first file that was read and has changed; "" if none has.
    """
    digests = {file.path: file.sha256 for file in made}
    for path in files.walk(source):
        place = path.relative_to(source)
        digest = copy(path, target / place)
        if digest not in (None, digests.get(place.as_posix(), digest)):
            return place.as_posix()
    files.seal(target, read_only=False)
    return ""


def shared(source: Path, target: Path) -> bool:
    """Whether the file system could make the new file `target` one that shares the blocks of `source`; if not, `target` does not exist."""
    if sys.platform == "linux":  # btrfs, XFS, bcachefs, ZFS 2.2 and later
        import fcntl

        with source.open("rb") as old, target.open("xb") as new:
            try:
                fcntl.ioctl(new.fileno(), _FICLONE, old.fileno())
                return True
            except OSError:  # a different one for each reason: EOPNOTSUPP, ENOTTY, EXDEV, EINVAL, EPERM in some containers
                pass
        target.unlink()
    elif sys.platform == "darwin":  # APFS
        call = getattr(ctypes.CDLL(None), "clonefile", None)
        if call is not None and call(os.fsencode(source), os.fsencode(target), ctypes.c_uint32(0)) == 0:
            os.utime(target)  # it has the source's time, which would make it look synced
            return True
    return False


def can_share(folder: Path) -> bool:
    """Whether files in `folder` can share blocks, tried with one of 64 KiB; False if none can be written."""
    source, target = (folder / f".{uuid.uuid4().hex[:8]}.trial" for _ in range(2))
    try:
        source.write_bytes(bytes(_TRIAL_BYTES))
        return shared(source, target)
    except OSError:
        return False
    finally:
        for path in (source, target):
            path.unlink(missing_ok=True)
