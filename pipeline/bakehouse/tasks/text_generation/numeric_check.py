"""The numeric check: logits of what a converter makes, compared with the source's; what the two runtimes' checks have in common.

The worker measures, and here it is judged: a position by logits_tolerance, a run by how many of its positions are off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from bakehouse.records import NumericCheck
from bakehouse.steps.maker import Verification
from bakehouse.steps.seam import Loose, Report
from bakehouse.steps.step import Step
from bakehouse.tasks.text_generation.workers.logits_tolerance import TOLERANCES, is_wrong, limits

_WHAT = "the converted model does not compute what its source computes"
_REMEDY = "build this model for another runtime; the evidence has the figures of every length"
KIND = "numeric_check"
RESULT = "numeric.json"
FORMAT = 1  # raise it with the tolerances: they judge what is in the store


def step(maker: str, label: str, options: Mapping[str, Any], needs: tuple[tuple[str, Step], ...], tools: dict[str, str]) -> Step:
    """The step that compares; `needs` has the roles "checkpoint" and "logits", and what is compared."""
    return Step(kind="numeric_check", maker=maker, label=label, spec=Loose(**dict(options)), needs=needs, tools=tools, format=FORMAT)


def verify(files: Path, report: Report) -> Verification:
    """Judge the figures that the worker measured."""
    if not (files / RESULT).is_file():
        return Verification(faults=(f"{RESULT} was not made",))
    found = report.values["numeric"]
    wrong = faults(found["runs"], found["precision"])
    return Verification(summary(found).model_dump(mode="json"), wrong, _WHAT, _REMEDY)


def summary(found: Mapping[str, Any]) -> NumericCheck:
    """What manifest and card say of a check."""
    runs = [run for run in found["runs"] if not run.get("error")]
    return NumericCheck(
        layers=min((run["layers"] for run in found["runs"]), default=0),
        of=max((run["of"] for run in found["runs"]), default=0),
        lengths=tuple(sorted({run["tokens"] for run in runs})),
        crossed=tuple(dict.fromkeys(f"{run['crosses']['name']} ({run['crosses']['tokens']:,})" for run in runs if run["crosses"])),
        whole_on=max((run["tokens"] for run in runs if run["layers"] == run["of"]), default=0),
        positions=sum(run["positions"] for run in runs),
        same=sum(run["same"] for run in runs),
        largest_kld=max((value for run in runs for value in run["kld"]), default=0.0),
        largest_difference=max((value for run in runs for value in run["relative"]), default=0.0),
        tolerance_kld=TOLERANCES[found["precision"]].kld,
        tolerance_difference=TOLERANCES[found["precision"]].relative,
        not_checked=tuple(f"{name}: {why}" for name, why in found["not_checked"]),
    )


def faults(runs: Sequence[Mapping[str, Any]], precision: str) -> tuple[str, ...]:
    """Sentences on the runs that are wrong: at which length it begins, and how far off it is.

    Of runs that are wrong in one way only the shortest is named, and how many others there are.
    """
    ordered = sorted(runs, key=lambda run: (run["tokens"], run["prefill"] < run["tokens"]))
    most = {layers: limits((run for run in runs if run["layers"] == layers), precision) for layers in {run["layers"] for run in runs}}
    wrong = [run for run in ordered if is_wrong(run, most[run["layers"]])]
    if not wrong:
        return ()
    if len(wrong) == len(ordered) and not any(run.get("error") for run in wrong):
        return (f"it computes something else than the source: on {wrong[0]['tokens']:,} tokens {_figures(wrong[0])}",)
    told = []
    for _, alike in groupby(sorted(wrong, key=lambda run: bool(run.get("error"))), key=lambda run: bool(run.get("error"))):
        first, *others = alike
        more = f"; so it is with {len(others)} longer input{'s' if len(others) > 1 else ''}" if others else ""
        told.append(f"{_sentence(first)}{more}")
    return tuple(told)


def _sentence(run: Mapping[str, Any]) -> str:
    where = run["crosses"]
    named = f" ({where['name']})" if where else ""
    stepped = run["prefill"] < run["tokens"]
    if error := run.get("error"):
        how = f"{run['prefill']:,} tokens and then one by one up to {run['tokens']:,}" if stepped else f"{run['tokens']:,} tokens"
        return f"it does not run with {how}{named}: {error}"
    at = f"from {where['tokens']:,} tokens on{named}" if where else f"on {run['tokens']:,} tokens"
    how = " when tokens come one by one" if stepped else ""
    return f"its logits differ from the source's {at}{how}: {_figures(run)}"


def _figures(run: Mapping[str, Any]) -> str:
    mean = sum(run["kld"]) / len(run["kld"])
    far = max(run["relative"])
    same = f"{run['same']} of {run['positions']} next tokens the same"
    return f"mean KLD {mean:.2g}, {same}, a difference of up to {far:.2g} standard deviations"
