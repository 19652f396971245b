"""Failures that a person can act on. All other exceptions are bugs and keep their traceback."""

from __future__ import annotations

import errno

from bakehouse.text import sentence


class Failure(Exception):
    """Something the user can fix: it names where, what and what to do, in sentences, and is shown without a traceback.

    `what` and `remedy` become sentences with a capital letter and a full stop here, so that all errors come out in one style.

    Args:
        what: what is wrong, one sentence.
        where: the build, step or file it is about ("" if the whole run).
        remedy: what to do about it, one sentence.
        details: further lines, shown indented (a child's last lines, a list of files).
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "", details: tuple[str, ...] = ()) -> None:
        self.what = sentence(what)
        self.where = where
        self.remedy = sentence(remedy)
        self.details = details
        super().__init__(self.what)

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        lines = [head, *(f"    {line}" for line in self.details)]
        if self.remedy:
            lines.append(f"  what to do: {self.remedy}")
        return "\n".join(lines)


class NotInstalled(Failure):
    """What is missing is a distribution that an extra of Bakehouse brings; `remedy` names it. The exit code is another than for damage."""


FULL = (errno.ENOSPC, errno.EDQUOT)


def disk_full(written_bytes: int, free_bytes: int, where: str) -> Failure:
    """The failure to raise when the disk becomes full while `where` is made."""
    return Failure(
        f"The disk is full: {written_bytes / 1e6:,.0f} MB were written, and {free_bytes / 1e6:,.0f} MB are free now.",
        where=where,
        remedy="Free space (`bakehouse prune` removes what no recipe uses) or set PIPELINE_ARTIFACTS to a larger disk, and run it again.",
    )
