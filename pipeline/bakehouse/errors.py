"""Failures that a person can act on. All other exceptions are bugs and keep their traceback."""

from __future__ import annotations

import errno


class Failure(Exception):
    """Something the user can mend: says where, what, and what to do, in sentences, without a traceback.

    Args:
        what: what is wrong, one sentence.
        where: the build, step or file it is about ("" if the whole run).
        remedy: what to do about it, one sentence.
        details: further lines, shown indented (a child's last lines, a list of files).
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "", details: tuple[str, ...] = ()) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy
        self.details = details

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        lines = [head, *(f"    {line}" for line in self.details)]
        if self.remedy:
            lines.append(f"  what to do: {self.remedy}")
        return "\n".join(lines)


FULL = (errno.ENOSPC, errno.EDQUOT)


def disk_full(written_bytes: int, free_bytes: int, where: str) -> Failure:
    """What is said of a disk that became full while `where` was made."""
    return Failure(
        f"the disk is full: {written_bytes / 1e6:,.0f} MB were written, {free_bytes / 1e6:,.0f} MB are free now",
        where=where,
        remedy="free space (`doit prune` drops what no recipe reaches) or point PIPELINE_ARTIFACTS at a larger disk, and run it again",
    )
