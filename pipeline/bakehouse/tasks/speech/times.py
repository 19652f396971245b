"""Whether segments and words are heard when the source hears them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from bakehouse.records import Timed, Times, Timestamps
from bakehouse.tasks.speech.golden import Recording, most_seconds
from bakehouse.tasks.speech.words import words

_EQUAL_S = 0.011  # half of the 0.02 seconds between two of Whisper's timestamps, and what float32 rounds


def compared(kind: Timestamps, found: Sequence[Timed], source: Sequence[Timed]) -> Times:
    """How far starts and ends are from the source's, wherever both have one at the same word of the text."""
    said, marks = _marks(found)
    of_source, known = _marks(source)
    blocks = SequenceMatcher(None, said, of_source, autojunk=False).get_matching_blocks()
    place = {block.a + step: block.b + step for block in blocks for step in range(block.size)}
    pairs = ((second, known.get((side, place[at]))) for (side, at), second in marks.items() if at in place)
    apart = [abs(second - other) for second, other in pairs if other is not None]
    mean, largest = (sum(apart) / len(apart), max(apart)) if apart else (None, None)
    return Times(kind=kind, timed=tuple(found), mean_difference_s=mean, largest_difference_s=largest)


def _marks(timed: Sequence[Timed]) -> tuple[list[str], dict[tuple[str, int], float]]:
    """All words, and the seconds at which a segment or word starts or ends, by the number of its first or last word."""
    said: list[str] = []
    marks: dict[tuple[str, int], float] = {}
    for one in timed:
        if own := words(one.text).split():
            marks["start", len(said)] = one.start_s
            said += own
            if one.end_s is not None:
                marks["end", len(said) - 1] = one.end_s
    return said, marks


def reasons(golden: Recording, times: Times, source: Sequence[Timed], weights: str, *, exact: bool) -> Iterator[str]:
    """Why the times are not good enough; `exact`: segments must be the source's."""
    if not times.timed:
        yield f"no {times.kind} with times were heard"
    elif times.kind == "segments" and exact:
        yield from _unequal(times.timed, source)
    elif times.mean_difference_s is None:
        yield f"none of the {times.kind} can be found in the source's text, so their times cannot be compared"
    elif times.mean_difference_s > (allowed := most_seconds(golden, weights)):
        yield f"the {times.kind} are {times.mean_difference_s:.2f} seconds away from the source's in the mean, {allowed:g} may be"


def _unequal(found: Sequence[Timed], source: Sequence[Timed]) -> Iterator[str]:
    if len(found) != len(source):
        yield f"{len(found)} segments were heard, and by the source {len(source)}: in floating point they must be the same"
        return
    for number, (one, other) in enumerate(zip(found, source, strict=True), start=1):
        ends = abs(one.end_s - other.end_s) if one.end_s is not None and other.end_s is not None else 0.0
        if max(abs(one.start_s - other.start_s), ends) > _EQUAL_S:
            yield f"segment {number} is heard {_when(one)}, and by the source {_when(other)}: in floating point both must be the same"
            return


def _when(one: Timed) -> str:
    return f"from {one.start_s:.2f} s " + ("on" if one.end_s is None else f"to {one.end_s:.2f} s")
