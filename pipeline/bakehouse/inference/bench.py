"""Measures a loaded package: the median of several answers to prompts of given lengths, after a warm-up."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from bakehouse.backends.table import BACKENDS
from bakehouse.executor import session, version
from bakehouse.inference.busy import Watch
from bakehouse.inference.found import Found
from bakehouse.inference.runner import Runner
from bakehouse.records import Written
from bakehouse.store import files
from bakehouse.tasks.text_generation.workers.jobs import Answered, Job, Loaded

Say = Callable[[str], None]


class AtLength(Written):
    """What was measured with prompts of so many tokens: medians, with the least and the most of all runs."""

    prompt_tokens: int
    new_tokens: int
    first_token_s: float
    first_token_range_s: tuple[float, float]
    tokens_per_s: float | None  # after the first token; None for answers of one token
    tokens_per_s_range: tuple[float, float] | None
    accepted: float | None = None  # of a model with a draft: the share of the draft's tokens that it chose, too, in all runs


class Bench(Written):
    """The measurement of one package, as it is kept in `bench/NAME.json`. It is no part of the package and of no key.

    `load_s` is of one load, with the files in the system's cache or not; `others_cores` is what other programs used meanwhile.
    """

    schema_version: Literal[1] = 1
    name: str
    key: str
    runtime: str
    device: str
    device_name: str
    note: str = ""
    load_s: float
    peak_memory_bytes: int
    runs: int
    lengths: tuple[AtLength, ...]
    others_cores: float
    others: tuple[str, ...] = ()  # the names of the busiest of them
    machine: dict[str, str]
    tools: dict[str, str]
    bakehouse: str
    made_at: datetime


def measure(found: Found, runner: Runner, lengths: Sequence[int], new_tokens: int, runs: int, say: Say) -> Bench:
    """Measure a loaded package; `say` gets what is being done.

    Raises:
        Failure: the model does not take such prompts, or has ended.
    """
    watch, rows, peak = Watch(), [], runner.loaded.peak_memory_bytes
    variant = 0
    for length in fitting(lengths, new_tokens, runner.loaded):
        taken: list[Answered] = []
        for number in range(runs + 1):  # the first is the warm-up
            say(f"{found.name}: {length} tokens, {f'run {number} of {runs}' if number else 'warm-up'}")
            variant += 1  # no prompt begins like another, so that no runtime can reuse what it has computed
            job = Job(max_new_tokens=new_tokens, filler_tokens=length, filler_variant=variant)
            taken.append(next(one for one in runner.stream(job) if isinstance(one, Answered)))
        peak = max(peak, taken[-1].peak_memory_bytes)
        rows.append(_row(length, taken[1:]))
    options, others = found.manifest.build.options, watch.others()
    return Bench(
        name=found.name,
        key=found.manifest.key,
        runtime=options.runtime,
        device=runner.loaded.device,
        device_name=runner.loaded.device_name,
        note=runner.loaded.note,
        load_s=runner.loaded.load_s,
        peak_memory_bytes=peak,
        runs=runs,
        lengths=tuple(rows),
        others_cores=round(others.cores, 2),
        others=tuple(name for name, _ in others.programs),
        machine=session.machine(),
        tools=BACKENDS[options.runtime].generate_tools(options),
        bakehouse=version.installed(),
        made_at=datetime.now(UTC),
    )


def fitting(lengths: Sequence[int], new_tokens: int, loaded: Loaded) -> list[int]:
    """The lengths that the model takes, each once: a longer one becomes the longest that it takes."""
    rooms = [loaded.longest_prompt, loaded.context - new_tokens if loaded.context else None]
    most = min((room for room in rooms if room is not None), default=None)
    return sorted({length if most is None else max(1, min(length, most)) for length in lengths})


def keep(bench: Bench, artifacts: Path) -> Path:
    """Write the measurement next to the packages, over an older one; its path."""
    path = _place(bench.name, artifacts)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, bench.model_dump_json(indent=2) + "\n")
    return path


def kept(name: str, artifacts: Path) -> Bench | None:
    """The measurement of a package that was kept; None if there is none, or none that this version reads."""
    try:
        return Bench.model_validate_json(_place(name, artifacts).read_bytes())
    except (OSError, ValueError):  # a ValidationError is a ValueError
        return None


def _place(name: str, artifacts: Path) -> Path:
    return artifacts / "bench" / f"{name}.json"


def _row(length: int, taken: Sequence[Answered]) -> AtLength:
    first = [one.first_token_s for one in taken]
    speeds = [one.tokens_per_s for one in taken if one.tokens_per_s is not None]
    return AtLength(
        prompt_tokens=length,
        new_tokens=taken[0].tokens,
        first_token_s=statistics.median(first),
        first_token_range_s=(min(first), max(first)),
        tokens_per_s=statistics.median(speeds) if speeds else None,
        tokens_per_s_range=(min(speeds), max(speeds)) if speeds else None,
        accepted=_accepted(taken),
    )


def _accepted(taken: Sequence[Answered]) -> float | None:
    """The share of a draft's tokens that the model chose, too; None without a draft, or where it proposed none."""
    proposed = sum(one.proposed or 0 for one in taken)
    return sum(one.accepted or 0 for one in taken) / proposed if proposed else None
