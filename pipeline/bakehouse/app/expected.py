"""How long a step may take: by the records of earlier steps of its kind, scaled by the bytes that they read."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from statistics import median

from bakehouse.records import StepRecord
from bakehouse.steps.step import Step
from bakehouse.store.store import Store


class Expected:
    """What the records in a store have to say about times; they are read once, when the first step asks."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @cached_property
    def _rates(self) -> dict[tuple[str, str], float]:
        """Kind and maker of steps -> the median of the seconds that those in the store took for a byte."""
        records = {f"{record.kind}/{record.key}": record for _, record in self._store.all_records() if record}
        rates = defaultdict[tuple[str, str], list[float]](list)
        for record in records.values():
            read = sum(_size(records[needed]) for needed in record.needs.values() if needed in records)
            if record.ran and read:
                rates[record.kind, record.maker].append(sum(ran.seconds for ran in record.ran) / read)
        return {made: median(found) for made, found in rates.items()}

    def seconds(self, step: Step) -> float | None:
        """The median of what steps of this kind and maker took for a byte, times the bytes that this one reads.

        None without such a record, and for a step that reads nothing from the store, as a download: only its network knows.
        """
        own = sum(map(_size, filter(None, (self._store.record(needed) for _, needed in step.needs))))
        rate = self._rates.get((step.kind, step.maker))
        return rate * own if rate is not None and own else None


def _size(record: StepRecord) -> int:
    return sum(file.size for file in record.files)
