"""What a step takes and what a worker has, in Dask's terms: MEM in bytes, and a tag for what not every machine has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bakehouse.errors import Failure
from bakehouse.text import size_text

MEMORY = "MEM"
# A tag is a switch: a worker has so many of it that all its steps can hold one.
_ALWAYS = 1e6


@dataclass(frozen=True)
class Worker:
    """A worker of the cluster: its name, and what it said that it has."""

    name: str
    resources: Mapping[str, float]


def taken(memory_bytes: int, tags: Iterable[str]) -> dict[str, float]:
    """What a step takes of a worker; no memory where that is not known before its checkpoint is downloaded."""
    return {**({MEMORY: float(memory_bytes)} if memory_bytes else {}), **dict.fromkeys(tags, 1.0)}


def offered(memory_bytes: int, tags: Iterable[str]) -> dict[str, float]:
    """What a worker has."""
    return {MEMORY: float(memory_bytes), **dict.fromkeys(tags, _ALWAYS)}


def refuse_impossible(steps: Mapping[str, Mapping[str, float]], workers: Iterable[Worker]) -> None:
    """Refuse steps that no worker can take; Dask would have them wait without a word.

    Args:
        steps: what each takes, by its name.

    Raises:
        Failure: with which worker lacks what.
    """
    workers = tuple(workers)
    if steps and not workers:
        raise Failure("the cluster has no workers", remedy="start some with `bakehouse worker ADDRESS`")
    details: list[str] = []
    for name, takes in steps.items():
        lacks = {worker.name: list(_lacks(takes, worker.resources)) for worker in workers}
        if all(lacks.values()):
            details += [f"{name}: {worker} has {', '.join(what)}" for worker, what in lacks.items()]
    if details:
        raise Failure(
            "no worker of the cluster can take every step", details=tuple(details), remedy="start a worker that has what is named"
        )


def _lacks(takes: Mapping[str, float], has: Mapping[str, float]) -> Iterable[str]:
    for what, amount in takes.items():
        if what == MEMORY and has.get(what, 0.0) < amount:
            yield f"{size_text(has.get(what, 0.0))} of memory where {size_text(amount)} are needed"
        elif has.get(what, 0.0) < amount:
            yield f"no {what}"
