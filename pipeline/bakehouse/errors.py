"""Failures that a person can act on. All other exceptions are bugs and keep their traceback."""

from __future__ import annotations

import errno

from bakehouse.text import printable_lines, sentence


class Failure(Exception):
    """Something the user can fix: it names where, what and what to do, in sentences, and is shown without a traceback.

    `what` and `remedy` become sentences with a capital letter and a full stop here, so that all errors come out in one style. Names and
    values in it may come from a stranger's file: control characters are written as escapes, so that they do nothing to a terminal.

    Args:
        what: what is wrong, one sentence.
        where: the build, step or file it is about ("" if the whole run).
        remedy: what to do about it, one sentence.
        details: further lines, shown indented (a child's last lines, a list of files).
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "", details: tuple[str, ...] = ()) -> None:
        self.what = sentence(printable_lines(what))
        self.where = printable_lines(where)
        self.remedy = sentence(printable_lines(remedy))
        self.details = tuple(map(printable_lines, details))
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
