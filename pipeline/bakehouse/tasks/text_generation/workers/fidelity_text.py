"""The text on which fidelity is measured, the shipped one or the user's own, and how it is cut into windows of tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import Path

FIRST_SCORED = 16  # a window's first distributions have too little text before them: nothing is compared below this position
LONGEST = 256  # tokens of a window
OWN = "own"  # the set of a user's samples

MOST = 16  # windows of a user's own text; 2,000 to 4,000 positions give the mean to 5-8 %
VERSION = 1  # of the shipped text
SHIPPED = Path(__file__).resolve().parent.parent / "evaluation" / f"text-{VERSION}.yaml"


@dataclass(frozen=True)
class Passage:
    """A text of one kind ("prose", "technical", "code", "languages", or OWN)."""

    set: str
    text: str


@dataclass(frozen=True)
class Shipped:
    """The text that comes with the program, and the prompts whose answers by the source model are scored, too."""

    version: int
    passages: tuple[Passage, ...]
    prompts: tuple[str, ...]


@dataclass(frozen=True)
class Window:
    """Token ids that a model gets from an empty state; compared are the distributions of positions FIRST_SCORED to the last but one."""

    set: str
    ids: tuple[int, ...]


def shipped() -> Shipped:
    """The newest shipped text."""
    import yaml

    read = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    passages = tuple(Passage(set=passage["set"], text=passage["text"]) for passage in read["passages"])
    return Shipped(version=read["version"], passages=passages, prompts=tuple(read["prompts"]))


def own(path: Path) -> tuple[Passage, ...]:
    """The samples of a file in UTF-8, one a line, as calibration files have them; blank lines are none.

    Raises:
        UnicodeDecodeError: it is not UTF-8.
    """
    return tuple(Passage(OWN, line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip())


def windows(
    passages: Iterable[Passage], encode: Callable[[str], Sequence[int]], longest: int = LONGEST, most: int | None = None
) -> list[Window]:
    """The windows of these passages, in their order; of a passage with more tokens, consecutive ones of about equal length.

    Samples of OWN are joined with line ends as long as they fit into one window. A window in which nothing could be compared is left out.

    Args:
        encode: gives a text's ids, with the special tokens that the tokenizer puts around it. Every window begins with those that it
            puts before; none ends with those that it puts after.
        longest: tokens of a window at most, special ones included.
        most: windows at most; further passages are not encoded.

    Raises:
        ValueError: `longest` leaves no position to compare.
    """
    begin, end = around(encode)
    room = longest - len(begin)
    if longest <= FIRST_SCORED + 1 or room < 1:
        raise ValueError(f"a window of {longest} tokens has no position to compare")

    def bare(text: str) -> tuple[int, ...]:
        ids = tuple(encode(text))
        return ids[len(begin) : len(ids) - len(end)]

    cut = (
        Window(name, (*begin, *piece))
        for name, ids in _texts(passages, bare, room)
        for piece in _pieces(ids, room)
        if len(begin) + len(piece) > FIRST_SCORED + 1
    )
    return list(islice(cut, most))


def around(encode: Callable[[str], Sequence[int]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The special tokens that a tokenizer puts before and after a text: what texts without a common letter, or any, have in common."""
    samples = [tuple(encode(text)) for text in ("", "a", "b")]
    begin = _shared(samples)
    rest = [ids[len(begin) :][::-1] for ids in samples]
    return begin, _shared(rest)[::-1]


def _shared(rows: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The ids with which all begin."""
    return tuple(column[0] for column in takewhile(lambda column: len(set(column)) == 1, zip(*rows, strict=False)))


def _texts(passages: Iterable[Passage], bare: Callable[[str], tuple[int, ...]], room: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The set and the ids of each passage; samples of OWN joined up to `room` ids."""
    text = ""
    joined: tuple[int, ...] = ()
    for passage in passages:
        if passage.set != OWN:
            yield passage.set, bare(passage.text)
            continue
        longer = f"{text}\n{passage.text}" if text else passage.text
        ids = bare(longer)
        if text and len(ids) > room:
            yield OWN, joined
            longer, ids = passage.text, bare(passage.text)
        text, joined = longer, ids
    if text:
        yield OWN, joined


def _pieces(ids: tuple[int, ...], room: int) -> Iterator[tuple[int, ...]]:
    """The ids in as few pieces of at most `room` as possible, the first ones the longer by at most one."""
    count = -(-len(ids) // room)
    at = 0
    for piece in range(count):
        size = len(ids) // count + (piece < len(ids) % count)
        yield ids[at : at + size]
        at += size
