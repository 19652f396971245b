"""What is known of a candidate that was begun."""

from __future__ import annotations

from dataclasses import dataclass

from bakehouse.records import Fidelity


@dataclass(frozen=True)
class Result:
    """What was measured of a candidate so far.

    Attributes:
        size_bytes: of the model's files as made.
        screened: its fidelity at a few positions; `confirmed` at all of them.
        speed: the median time to the first token in seconds, or tokens a second, whichever the search is for.
        failed: why it could not be made, in a sentence; "" if it could.
    """

    size_bytes: int | None = None
    screened: Fidelity | None = None
    confirmed: Fidelity | None = None
    speed: float | None = None
    failed: str = ""
