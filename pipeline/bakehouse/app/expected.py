"""How long steps may take: as long as earlier ones of the same kind took, for the bytes that they read."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from bakehouse.records import StepRecord
from bakehouse.steps.step import Step
from bakehouse.store.store import Store


@dataclass(frozen=True)
class _Rate:
    """What steps of one kind and maker took and left for each byte that they read; None for what starts no program, and takes moments."""

    seconds: float | None
    size: float


class Expected:
    """What the records in a store have to say about times; they are read once, when the first step asks."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @cached_property
    def _rates(self) -> dict[tuple[str, str], _Rate]:
        """Kind and maker of steps -> the medians of those in the store."""
        records = {f"{record.kind}/{record.key}": record for _, record in self._store.all_records() if record}
        times, sizes = defaultdict[tuple[str, str], list[float]](list), defaultdict[tuple[str, str], list[float]](list)
        for record in records.values():
            read = sum(_size(records[needed]) for needed in record.needs.values() if needed in records)
            if read:
                sizes[record.kind, record.maker].append(_size(record) / read)
                times[record.kind, record.maker] += [sum(ran.seconds for ran in record.ran) / read] * bool(record.ran)
        return {made: _Rate(median(times[made]) if times[made] else None, median(found)) for made, found in sizes.items()}

    def seconds(self, step: Step) -> float | None:
        """The median of what steps of this kind and maker took for a byte, times the bytes that this one reads.

        None without such a record, and for a step that reads nothing from the store, as a download: only its network knows.
        """
        own = sum(map(_size, filter(None, (self._store.record(needed) for _, needed in step.needs))))
        rate = self._rates.get((step.kind, step.maker))
        return rate.seconds * own if rate is not None and rate.seconds is not None and own else None

    def left(self, steps: Iterable[Step], running: Mapping[str, float], jobs: int) -> float | None:
        """How long it takes from now until all of these steps are made.

        None if earlier runs do not tell of each of them, or if one takes longer already than they tell.

        Args:
            steps: what is not made yet, each after what it needs.
            running: key of a step -> the seconds since it began.
            jobs: how many run at once.
        """
        sizes, ends, free = dict[str, float](), dict[str, float](), [0.0] * jobs
        for step in sorted(steps, key=lambda one: one.key not in running):
            read = sum(sizes.get(needed.key) or self._made_size(needed) for _, needed in step.needs)
            rate = self._rates.get((step.kind, step.maker))
            if rate is None or not read:
                return None
            sizes[step.key] = rate.size * read
            rest = (rate.seconds or 0.0) * read - running.get(step.key, 0.0)
            if rest < 0 and rate.seconds is not None:
                return None
            ready = max((ends.get(needed.key, 0.0) for needed in step.reads), default=0.0)
            ends[step.key] = max(ready, free[0]) + max(rest, 0.0)
            heapq.heapreplace(free, ends[step.key])
        return max(ends.values(), default=None)

    def _made_size(self, step: Step) -> float:
        record = self._store.record(step)
        return _size(record) if record else 0.0


def _size(record: StepRecord) -> int:
    return sum(file.size for file in record.files)
