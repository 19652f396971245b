"""Says that the disk is full in words, for workers that write large files."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.workers import events

REMEDY = "Free some space there, or let PIPELINE_ARTIFACTS name a folder on a larger disk, and run the same command again."


@contextmanager
def refusing_a_full_disk(files: Path) -> Iterator[None]:
    """End with a sentence and a remedy if writing below `files` fails for lack of space; let every other error through."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        refuse_full_disk(files)


def refuse_full_disk(files: Path) -> None:
    """End because the disk below `files` is full."""
    free = shutil.disk_usage(files).free
    events.refuse(f"The disk that holds {files} is full ({free / 1e6:.1f} MB are left).", REMEDY)
