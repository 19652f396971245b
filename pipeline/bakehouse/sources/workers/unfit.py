"""The failure of files that are not a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable


class Unfit(Exception):
    """The files are not a checkpoint that can be taken: what is wrong, what to do, and the names that it is about."""

    def __init__(self, what: str, remedy: str, details: Iterable[str] = ()) -> None:
        super().__init__(what)
        self.what, self.remedy, self.details = what, remedy, tuple(details)
