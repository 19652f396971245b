"""The numeric check: logits of what a converter makes, compared with the source's; what the checks of all runtimes have in common.

The worker measures, and here it is judged: a position by logits_tolerance, a run by how many of its positions are off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bakehouse.records import NumericCheck
from bakehouse.steps.maker import Verification
from bakehouse.steps.seam import Report, Spec
from bakehouse.steps.step import Step
from bakehouse.tasks.text_generation.seams import Failed, Figures, Numeric, NumericResult, Precision
from bakehouse.tasks.text_generation.workers.logits_compare import NUMERIC as RESULT
from bakehouse.tasks.text_generation.workers.logits_tolerance import TOLERANCES, is_wrong, limits

_WHAT = "the converted model does not compute what its source computes"
_REMEDY = "build this model for another runtime; the evidence has the figures of every length"
KIND = "numeric_check"
FORMAT = 1  # raise it with the tolerances: they judge what is in the store


def step(maker: str, label: str, spec: Spec, needs: tuple[tuple[str, Step], ...], tools: dict[str, str]) -> Step:
    """The step that compares; `needs` has the roles "checkpoint" and "logits", and what is compared."""
    return Step(kind="numeric_check", maker=maker, label=label, spec=spec, needs=needs, tools=tools, format=FORMAT)


def verify(files: Path, report: Report) -> Verification:
    """Judge the figures that the worker measured."""
    if not (files / RESULT).is_file():
        return Verification(faults=(f"{RESULT} was not made",))
    found = report.read(NumericResult).numeric
    wrong = faults(found.runs, found.precision)
    return Verification(summary(found).model_dump(mode="json"), wrong, _WHAT, _REMEDY)


def summary(found: Numeric) -> NumericCheck:
    """What manifest and card have on a check."""
    runs = [run for run in found.runs if isinstance(run, Figures)]
    return NumericCheck(
        layers=min((run.layers for run in found.runs), default=0),
        of=max((run.of for run in found.runs), default=0),
        lengths=tuple(sorted({run.tokens for run in runs})),
        crossed=tuple(dict.fromkeys(f"{run.crosses.name} ({run.crosses.tokens:,})" for run in runs if run.crosses)),
        whole_on=max((run.tokens for run in runs if run.layers == run.of), default=0),
        positions=sum(run.positions for run in runs),
        same=sum(run.same for run in runs),
        largest_kld=max((value for run in runs for value in run.kld), default=0.0),
        largest_difference=max((value for run in runs for value in run.relative), default=0.0),
        tolerance_kld=TOLERANCES[found.precision].kld,
        tolerance_difference=TOLERANCES[found.precision].relative,
        not_checked=tuple(f"{name}: {why}" for name, why in found.not_checked),
    )


def faults(runs: Sequence[Figures | Failed], precision: Precision) -> tuple[str, ...]:
    """Sentences on the runs that are wrong: at which length it begins, and how far off it is.

    Of runs that are wrong in one way only the shortest is named, and how many others there are.
    """
    ordered = sorted(runs, key=lambda run: (run.tokens, run.stepped))
    most = {layers: limits((run for run in runs if run.layers == layers), precision) for layers in {run.layers for run in runs}}
    wrong = [run for run in ordered if is_wrong(run, most[run.layers])]
    off = [run for run in wrong if isinstance(run, Figures)]
    if off and len(off) == len(ordered):
        return (f"it computes something else than the source: on {off[0].tokens:,} tokens {_figures(off[0])}",)
    return (*_first(off), *_first([run for run in wrong if isinstance(run, Failed)]))


def _first(alike: Sequence[Figures | Failed]) -> Iterator[str]:
    """A sentence on the shortest of these runs, if there are any, with the number of the others."""
    if alike:
        first, *others = alike
        more = f"; so it is with {len(others)} longer input{'s' if len(others) > 1 else ''}" if others else ""
        yield f"{_sentence(first)}{more}"


def _sentence(run: Figures | Failed) -> str:
    where = run.crosses
    named = f" ({where.name})" if where else ""
    if isinstance(run, Failed):
        how = f"{run.prefill:,} tokens and then one by one up to {run.tokens:,}" if run.stepped else f"{run.tokens:,} tokens"
        return f"it does not run with {how}{named}: {run.error}"
    at = f"from {where.tokens:,} tokens on{named}" if where else f"on {run.tokens:,} tokens"
    how = " when tokens come one by one" if run.stepped else ""
    return f"its logits differ from the source's {at}{how}: {_figures(run)}"


def _figures(run: Figures) -> str:
    mean = sum(run.kld) / len(run.kld)
    far = max(run.relative)
    same = f"{run.same} of {run.positions} next tokens the same"
    return f"mean KLD {mean:.2g}, {same}, a difference of up to {far:.2g} standard deviations"
