"""Copies the files of a local source, hashing what was copied; shares the blocks where the file system can.

Which files belong to it, is decided by the same rules as for a repository on the hub.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import sys
from collections.abc import Collection
from pathlib import Path

from bakehouse.child import events, start
from bakehouse.formats import config_json
from bakehouse.sources.seams import CopyRequest, CopyResult
from bakehouse.sources.workers import checkpoint_files, model_type

FICLONE = 0x40049409  # linux/fs.h
CHUNK = 1 << 20
CANNOT_SHARE = {errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM}


def run(request: CopyRequest) -> CopyResult:
    """Copy the source's files into the folder, which is emptied before."""
    path, files = request.path, request.files
    for left in files.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    if not path.exists():
        events.refuse(f"{path} does not exist any more.", "Put it back, or correct the path in the recipe.")
    try:
        belonging = checkpoint_files.with_adapters(path)
    except checkpoint_files.Unfit as unfit:
        events.refuse(f"{path}: {unfit.what}", unfit.remedy, list(unfit.details))
    if path.is_dir() and not {checkpoint_files.ADAPTER_CONFIG, config_json.PIPELINE} & belonging.keys():
        model_type.refuse_unlisted_code(json.loads((path / config_json.NAME).read_text(encoding="utf-8")), (), model_type.LOCAL)
    total, done, hashes = sum(file.stat().st_size for file in belonging.values()), 0, {}
    for name, file in belonging.items():
        events.progress(f"copying {name}", done, total, "B")
        target = request.name or name
        (files / target).parent.mkdir(exist_ok=True)
        hashes[target] = copy(file, files / target)
        done += (files / target).stat().st_size
    return CopyResult(files=hashes)


def copy_others(checkpoint: Path, files: Path, without: Collection[str]) -> None:
    """Copy all files of a checkpoint but those of these names, which are made anew."""
    for path in sorted(one for one in checkpoint.rglob("*") if one.is_file()):
        name = path.relative_to(checkpoint).as_posix()
        if name not in without:
            (files / name).parent.mkdir(parents=True, exist_ok=True)
            copy(path, files / name)


def copy(source: Path, target: Path) -> str:
    """Copy one file, without its permissions; the sha256 of what is at `target` now."""
    digest = hashlib.sha256()
    with source.open("rb") as origin, target.open("w+b") as copied:
        if not shares_blocks(origin.fileno(), copied.fileno()):
            while chunk := origin.read(CHUNK):
                copied.write(chunk)
                digest.update(chunk)
            return digest.hexdigest()
        return hashlib.file_digest(copied, "sha256").hexdigest()


def shares_blocks(origin: int, copied: int) -> bool:
    """Make `copied` the same as `origin` without copying a byte, where the file system can (btrfs, XFS); else False."""
    if sys.platform != "linux":
        return False
    import fcntl

    try:
        fcntl.ioctl(copied, FICLONE, origin)
    except OSError as error:
        if error.errno in CANNOT_SHARE:
            return False
        raise
    return True


if __name__ == "__main__":
    start.run(run, CopyRequest)
