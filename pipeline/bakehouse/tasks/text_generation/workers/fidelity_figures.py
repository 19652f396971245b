"""Fidelity: what is kept of a source's next-token distributions, and how far a model's are from them. numpy alone.

Version 1 of the definitions: Kullback-Leibler divergence, source to model, in nats, over the 1,024 most likely tokens of the source and
one bucket for all others (measured at 2.5 % below the divergence over all tokens, for good and bad builds alike); the text's token and
the source's choice are kept exactly. Intervals (95 %) come from resampling complete windows: positions of one text are not independent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakehouse.resampling import TAIL, resampled

VERSION = 1
KEPT = 1024  # of the source's distribution, the most likely tokens
REFERENCE = "reference.npz"
POSITIONS = "positions.npz"
ANSWERS = "answers"  # the set of windows that are answers of the source
_ROWS = 32  # logits that are compared at once: a row of 200,000 in float64 takes 1.6 MB
_LEAST = -100.0  # log-probability of what a model rules out, so that a divergence stays a number
_DIGITS = 6


@dataclass(frozen=True)
class Window:
    """Tokens of one text. At each position from `first` on but the last, the next token is scored; `set` is the kind of text."""

    set: str
    ids: tuple[int, ...]
    first: int

    @property
    def scored(self) -> range:
        """The positions whose logits are compared."""
        return range(self.first, len(self.ids) - 1)

    def cut(self, positions: int | None) -> Window:
        """The same with at most so many scored positions."""
        return self if positions is None else Window(self.set, self.ids[: self.first + positions + 1], self.first)


@dataclass(frozen=True)
class Kept:
    """What is kept of the source at N positions: the most likely tokens (N x K, int32) with their log-probabilities (N x K, float32),
    that of all others together (N), that of the text's token (N), and the most likely token (N)."""

    tokens: Any
    log_probabilities: Any
    rest: Any
    target: Any
    choice: Any

    def rows(self, start: int, end: int) -> Kept:
        """Of some positions."""
        return Kept(*(getattr(self, name)[start:end] for name in _ARRAYS))

    def at(self, places: Sequence[int]) -> Kept:
        """Of these positions."""
        return Kept(*(getattr(self, name)[list(places)] for name in _ARRAYS))


_ARRAYS = ("tokens", "log_probabilities", "rest", "target", "choice")


@dataclass(frozen=True)
class Compared:
    """At each position of a window: divergence in nats, whether the choice is the source's, the source's log-probability of the text's
    token minus the model's."""

    set: str
    kl: Any
    same: Any
    nll: Any

    def cut(self, positions: int) -> Compared:
        """The same with at most so many positions."""
        return Compared(self.set, self.kl[:positions], self.same[:positions], self.nll[:positions])


Logits = Callable[[Window], Any]  # of a window's scored positions: an array, positions x vocabulary


def keep(logits: Any, targets: Sequence[int]) -> Kept:
    """What is kept of a source's logits (positions x vocabulary)."""
    import numpy as np

    logs = log_softmax(np.asarray(logits, np.float64))
    size = min(KEPT, logs.shape[1])
    found = np.argpartition(-logs, size - 1, axis=1)[:, :size]
    order = np.lexsort((found, -np.take_along_axis(logs, found, 1)), axis=1)
    tokens = np.take_along_axis(found, order, 1)
    kept = np.take_along_axis(logs, tokens, 1)
    left = 1.0 - np.exp(kept).sum(axis=1) if size < logs.shape[1] else np.zeros(len(logs))
    rest = np.log(np.maximum(left, np.exp(_LEAST)))
    target = logs[np.arange(len(logs)), np.asarray(targets)]
    return Kept(
        tokens.astype(np.int32),
        np.maximum(kept, _LEAST).astype(np.float32),
        rest.astype(np.float32),
        np.maximum(target, _LEAST).astype(np.float32),
        logs.argmax(axis=1).astype(np.int32),
    )


def log_softmax(logits: Any) -> Any:
    """In the precision of the logits."""
    import numpy as np

    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def write(folder: Path, kept: Iterable[Kept]) -> int:
    """Write reference.npz; how many positions it has."""
    import numpy as np

    parts = list(kept)
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS}
    np.savez(folder / REFERENCE, **arrays)
    return len(arrays["target"])


def read(folder: Path) -> Kept:
    """What reference.npz keeps of all windows, one after another."""
    import numpy as np

    with np.load(folder / REFERENCE) as arrays:
        return Kept(*(arrays[name] for name in _ARRAYS))


def compare(window: Window, kept: Kept, logits: Any) -> Compared:
    """A model's logits (positions x vocabulary) at the scored positions of a window, with what is kept of the source there."""
    import numpy as np

    targets = window.ids[window.first + 1 :]
    rows = [
        _of_rows(kept.rows(start, start + _ROWS), logits[start : start + _ROWS], targets[start : start + _ROWS])
        for start in range(0, len(window.scored), _ROWS)
    ]
    return Compared(window.set, *(np.concatenate(part) for part in zip(*rows, strict=True)))


def _of_rows(kept: Kept, logits: Any, targets: Sequence[int]) -> tuple[Any, Any, Any]:
    import numpy as np

    own = np.nan_to_num(np.asarray(logits, np.float64), nan=-1e9, posinf=1e9, neginf=-1e9)
    logs = np.maximum(log_softmax(own), _LEAST)
    source = kept.log_probabilities.astype(np.float64)
    at_tokens = np.take_along_axis(logs, kept.tokens.astype(np.int64), 1)
    kl = np.sum(np.exp(source) * (source - at_tokens), axis=1)
    if kept.tokens.shape[1] < logs.shape[1]:
        rest = kept.rest.astype(np.float64)
        left = np.log(np.maximum(1.0 - np.exp(at_tokens).sum(axis=1), np.exp(_LEAST)))
        kl = kl + np.exp(rest) * (rest - left)
    nll = kept.target.astype(np.float64) - logs[np.arange(len(logs)), np.asarray(targets)]
    return np.maximum(kl, 0.0), logs.argmax(axis=1) == kept.choice, nll


def measure(windows: Sequence[Window], kept: Kept, logits: Logits, positions: int | None = None) -> Iterator[Compared]:
    """Compare a model with the source window by window; `positions`: at most so many of each window."""
    start = 0
    for window in windows:
        part = window.cut(positions)
        yield compare(part, kept.rows(start, start + len(part.scored)), logits(part))
        start += len(window.scored)


def each(windows: int, positions: int | None) -> int | None:
    """How many positions of each window make about so many in all."""
    return None if positions is None else max(1, -(-positions // max(1, windows)))


def figures(compared: Sequence[Compared]) -> dict[str, object]:
    """The fields of records.FidelityFigures."""
    import numpy as np

    answers = [prefix(one) for one in compared if one.set == ANSWERS]
    sums = np.array([(len(one.kl), one.kl.sum(), one.same.sum(), one.nll.sum()) for one in compared])
    everything = np.concatenate([one.kl for one in compared])
    means = [sums[list(chosen)].sum(axis=0) for chosen in resampled(len(compared))]
    p99 = [np.quantile(np.concatenate([compared[at].kl for at in chosen]), 0.99) for chosen in resampled(len(compared))]
    size, kl, same, nll = sums.sum(axis=0)
    found = {
        "positions": int(size),
        "windows": len(compared),
        "kl_mean": _estimated(kl / size, [one[1] / one[0] for one in means]),
        "kl_p99": _estimated(np.quantile(everything, 0.99), p99),
        "kl_max": _plain(everything.max()),
        "top1": _estimated(same / size, [one[2] / one[0] for one in means]),
        "ppl_ratio": _estimated(np.exp(nll / size), [np.exp(one[3] / one[0]) for one in means]),
    }
    if answers:
        drawn = [sum(answers[at] for at in chosen) / len(answers) for chosen in resampled(len(answers))]
        found["prefix"] = _estimated(sum(answers) / len(answers), drawn)
    return found


def sets(compared: Sequence[Compared]) -> dict[str, dict[str, object]]:
    """The figures of each kind of text, in the order in which they come."""
    names = dict.fromkeys(one.set for one in compared)
    return {name: figures([one for one in compared if one.set == name]) for name in names}


def rows(compared: Iterable[Compared]) -> list[dict[str, object]]:
    """The fields of records.FidelityWindow for each window."""
    return [
        {
            "set": one.set,
            "positions": len(one.kl),
            "kl_sum": _plain(one.kl.sum()),
            "same": int(one.same.sum()),
            "nll_sum": _plain(one.nll.sum()),
            **({"prefix": prefix(one)} if one.set == ANSWERS else {}),
        }
        for one in compared
    ]


def prefix(one: Compared) -> int:
    """How many leading choices are the source's."""
    wrong = (~one.same).nonzero()[0]
    return int(wrong[0]) if len(wrong) else len(one.same)


def _estimated(value: Any, samples: Sequence[Any]) -> dict[str, float]:
    import numpy as np

    low, high = np.quantile(np.asarray(samples), (TAIL, 1 - TAIL))
    return {"value": _plain(value), "low": _plain(min(low, value)), "high": _plain(max(high, value))}


def _plain(value: Any) -> float:
    return float(f"{float(value):.{_DIGITS}g}")
