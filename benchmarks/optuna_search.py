"""Whether Optuna finds the best build of a search with fewer candidates than `bakehouse search` does, on SmolLM2-135M-Instruct.

    pip install --target FOLDER optuna
    PYTHONPATH=FOLDER python -m benchmarks.optuna_search
    PYTHONPATH=FOLDER python -m benchmarks.optuna_search --figures figures.json     measure once, and compare again from the file

Measures every candidate of a search once: int4 in groups of 32, five ratios, with and without AWQ. Then both are given these figures, as
often as they ask: our decisions once, for they draw no lots, Optuna's samplers with 20 seeds each. Counts how many different candidates are
measured until the smallest within the bound has been; ours goes on until it is sure, so that count is given too. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna

from bakehouse.recipe.bounds import Bounds
from bakehouse.records import Fidelity
from bakehouse.search.candidates import Candidate
from bakehouse.search.decide import Goal, Next, decide
from bakehouse.search.results import Result
from benchmarks import shapes
from benchmarks.fidelity import measure
from tests.support import standin

GROUP, RATIOS, AWQ = 32, (0.6, 0.7, 0.8, 0.9, 1.0), (False, True)
BOUNDS = (0.14, 0.18, 0.22, 0.26, 0.30)  # nats: from one that a single candidate keeps to one that nearly all do
SEEDS = 20
Options = tuple[float, bool]
SPACE: tuple[Options, ...] = tuple(itertools.product(RATIOS, AWQ))


def name_of(options: Options) -> str:
    ratio, awq = options
    return f"g{GROUP}-r{ratio}-{'awq' if awq else 'plain'}"


def build_of(options: Options) -> dict[str, Any]:
    ratio, awq = options
    quantization = {"weights": "int4", "symmetric": False, "group_size": GROUP, "ratio": ratio, "awq": awq}
    return {"runtime": "openvino", "quantization": quantization}


def figures(scratch: Path, model: Path) -> dict[str, Any]:
    """Size in bytes and fidelity of every candidate, by name."""
    builds = {name_of(options): build_of(options) for options in SPACE}
    records = measure(model, scratch, builds, kinds=("-fidelity",))
    found: dict[str, dict[str, Any]] = {name: {} for name in builds}
    for record in records:
        name = record["label"].removeprefix("f-")
        if name in found and record["kind"] == "fidelity":
            found[name]["fidelity"] = record["measured"]
        if name in found and record["kind"] == "compress":
            found[name]["size"] = sum(file["size"] for file in record["files"])
    return found


def candidate(options: Options, size: int) -> Candidate:
    ratio, awq = options
    return Candidate(name_of(options), {"ratio": ratio, "awq": awq}, {"ratio": ratio}, size)


def ours(known: Mapping[str, Any], bound: float) -> tuple[int, int]:
    """How many candidates our search has begun when the winner has been measured, and when it is sure."""
    candidates = [candidate(options, known[name_of(options)]["size"]) for options in SPACE]
    goal = Goal("size", Bounds.model_validate({"kl_mean": bound}), max_candidates=len(SPACE))
    results: dict[str, Result] = {}
    while isinstance(step := decide(goal, candidates, results), Next):
        one = known[step.candidate.name]
        fidelity = Fidelity.model_validate(one["fidelity"])
        results[step.candidate.name] = Result(one["size"], fidelity, fidelity if step.action == "confirm" else None)
    assert step.winner is not None
    assert step.winner.name in best(known, bound)
    return list(results).index(step.winner.name) + 1, len(results)


def best(known: Mapping[str, Any], bound: float) -> set[str]:
    """The smallest candidates whose interval is within the bound: of one size within half a percent all count."""
    within = {name: one["size"] for name, one in known.items() if one["fidelity"]["figures"]["kl_mean"]["high"] <= bound}
    return {name for name, size in within.items() if size <= min(within.values()) * 1.005}


def optunas(known: Mapping[str, Any], bound: float, sampler: Callable[[int], optuna.samplers.BaseSampler]) -> list[int]:
    """For each seed how many different candidates Optuna has measured when one of the best has been."""
    return [_optuna(known, bound, sampler(seed)) for seed in range(SEEDS)]


def _optuna(known: Mapping[str, Any], bound: float, sampler: optuna.samplers.BaseSampler) -> int:
    wanted, seen = best(known, bound), list[str]()
    study = optuna.create_study(sampler=sampler)
    while not wanted & set(seen):
        trial = study.ask()
        ratio = trial.suggest_float("ratio", min(RATIOS), max(RATIOS), step=0.1)
        name = name_of((round(ratio, 1), trial.suggest_categorical("awq", AWQ)))
        if name not in seen:
            seen.append(name)
        trial.set_user_attr("beyond", known[name]["fidelity"]["figures"]["kl_mean"]["high"] - bound)
        study.tell(trial, known[name]["size"])
    return len(seen)


def _beyond(trial: optuna.trial.FrozenTrial) -> list[float]:
    return [trial.user_attrs["beyond"]]


SAMPLERS: Mapping[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    "Optuna, TPE": lambda seed: optuna.samplers.TPESampler(seed=seed, constraints_func=_beyond),
    "Optuna, TPE from the fifth on": lambda seed: optuna.samplers.TPESampler(seed=seed, n_startup_trials=4, constraints_func=_beyond),
    "Optuna, at random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
}


def rows(known: Mapping[str, Any]) -> Iterator[str]:
    """The table: for each bound how many of the candidates are measured until the best has been."""
    yield "| search | " + " | ".join(f"bound {bound}" for bound in BOUNDS) + " |"
    yield "|---|" + "---|" * len(BOUNDS)
    counts = [ours(known, bound) for bound in BOUNDS]
    yield "| bakehouse, until found | " + " | ".join(str(found) for found, _ in counts) + " |"
    yield "| bakehouse, until sure | " + " | ".join(str(sure) for _, sure in counts) + " |"
    for name, sampler in SAMPLERS.items():
        found = [optunas(known, bound, sampler) for bound in BOUNDS]
        yield f"| {name}, until found: median (worst) | " + " | ".join(f"{statistics.median(one):.0f} ({max(one)})" for one in found) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shapes.add_options(parser)
    parser.add_argument("--figures", type=Path, help="read the measured figures from this file; if it does not exist, write it")
    options = parser.parse_args()
    options.model = options.model or standin.smollm2_checkpoint()
    if options.figures and options.figures.exists():
        known = json.loads(options.figures.read_bytes())
    else:
        with shapes.made(options) as (model, scratch):
            known = figures(scratch, model)
        if options.figures:
            options.figures.write_text(json.dumps(known), encoding="utf-8")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for kind in (optuna.exceptions.ExperimentalWarning, FutureWarning):  # of constraints_func, which Optuna 5 has under another name, too
        warnings.simplefilter("ignore", kind)
    print("\n".join(rows(known)))


if __name__ == "__main__":
    main()
