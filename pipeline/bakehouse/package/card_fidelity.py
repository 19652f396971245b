"""What a model card says of the distance between a model and its source: one sentence for everybody, tables, how it was measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from bakehouse.package.manifest import PackageManifest
from bakehouse.package.markdown import code, text
from bakehouse.recipe import bounds as bounds_of
from bakehouse.records import Estimated, Fidelity, FidelityFigures, GraphsFidelity, UsedFidelity
from bakehouse.text import count_text, figure_text

_KINDS: Mapping[str, str] = {
    "technical": "technical text",
    "languages": "other languages",
    "answers": "the source's answers",
    "own": "the recipe's text",
}
_SHIPPED = "bakehouse-"  # what the names of the texts that Bakehouse brings begin with


def section(manifest: PackageManifest) -> dict[str, object] | None:
    """`sentence`, `figures` and `kinds` (rows of tables) and `notes` for the template; None if nothing was measured."""
    found = manifest.fidelity
    if found is None:
        return None
    notes = [_how(found), *_in_use(found), *_graphs(found.graphs), *_bounds(manifest)]
    rows = _rows(found.figures, found.sets.get("answers"))
    return {"sentence": _sentence(found.figures), "figures": rows, "kinds": _kinds(found.sets), "notes": notes}


def percent(share: float) -> str:
    """A share with one digit: 77.6; 100 only if it is all."""
    return "100" if share == 1 else f"{min(100 * share, 99.9):.1f}"


def ratio(value: float) -> str:
    """Perplexity in multiples of the source's, with three digits."""
    return f"{value:.3f}"


def one_digit(value: float) -> str:
    """A number of tokens on average."""
    return f"{value:.1f}"


def interval(found: Estimated, form: Callable[[float], str] = figure_text) -> str:
    """The 95 % interval: "0.155 to 0.190"."""
    return f"{form(found.low)} to {form(found.high)}"


def _with_interval(found: Estimated, form: Callable[[float], str] = figure_text, unit: str = "") -> str:
    return f"{form(found.value)}{unit} ({interval(found, form)}{unit})"


def _sentence(figures: FidelityFigures) -> str:
    mean = figures.kl_mean.value
    factor = f"{math.exp(min(mean, 100)):.3f}"
    shown = figure_text(mean)
    means = f", and {shown} means that a token which the source chooses is typically {factor} times as probable to the source as here"
    return (
        f"At {figures.positions:,} positions of text, the probabilities that this model gives to all possible next tokens were compared "
        f"with the source's. The most likely next token is the source's at {percent(figures.top1.value)} % of the positions. The mean "
        f"Kullback-Leibler (KL) divergence from the source is {shown} nats: 0 would be the same probabilities"
        f"{means if factor != '1.000' else ''}."
    )


def _rows(figures: FidelityFigures, answers: FidelityFigures | None) -> list[tuple[str, str, str]]:
    rows = [
        ("Mean KL divergence, in nats", figure_text(figures.kl_mean.value), interval(figures.kl_mean)),
        ("Its 99th percentile", figure_text(figures.kl_p99.value), interval(figures.kl_p99)),
        ("Its largest value: noise, as one position decides it", figure_text(figures.kl_max), "-"),
        ("Same most likely next token", f"{percent(figures.top1.value)} %", f"{interval(figures.top1, percent)} %"),
        ("Perplexity, in multiples of the source's", ratio(figures.ppl_ratio.value), interval(figures.ppl_ratio, ratio)),
    ]
    if figures.prefix is not None:
        shared = "Leading tokens of the source's answers that this model chooses too, on average"
        of = f" of {one_digit(answers.positions / answers.windows)}" if answers else ""
        rows.append((shared, f"{one_digit(figures.prefix.value)}{of}", interval(figures.prefix, one_digit)))
    return rows


def _kinds(sets: Mapping[str, FidelityFigures]) -> list[tuple[str, ...]]:
    """One row for each kind of text, if there are several."""
    if len(sets) < 2:
        return []
    return [
        (
            text(_KINDS.get(name, name)),
            f"{one.positions:,}",
            _with_interval(one.kl_mean),
            _with_interval(one.kl_p99),
            _with_interval(one.top1, percent, " %"),
            _with_interval(one.ppl_ratio, ratio),
        )
        for name, one in sets.items()
    ]


def _how(found: Fidelity) -> str:
    shipped = found.text.startswith(_SHIPPED)
    on = f"the text {code(found.text)}, which Bakehouse brings" if shipped else f"{text(found.text)} text"
    instead = ", in place of the device that it is made for" if found.stand_in else ""
    figures = found.figures
    parts = [
        f"Measured on {on}, by version {found.version} of the definitions: {figures.positions:,} positions in "
        f"{count_text(figures.windows, 'window')}, on {text(found.device)}{instead}.",
        f"The source was computed in transformers, in {text(found.reference_precision)}{_floor(found.floor_kl)}.",
    ]
    if found.stepped:
        parts.append("Its tokens were given one by one, because this runtime gives the probabilities after the last token only.")
    parts.append(
        "The intervals (95 %) come from drawing complete windows again; those of one kind of text rest on few windows and are rough."
    )
    parts.append("Figures of packages compare only if text and version are the same.")
    return " ".join(parts)


def _floor(floor_kl: float) -> str:
    return f", which by itself is {figure_text(floor_kl)} nats from float32: less than twice that cannot be seen" if floor_kl else ""


def _in_use(found: Fidelity) -> list[str]:
    used: UsedFidelity | None = found.in_use
    if used is None:
        return []
    options = ", ".join(code(f"{name}={value}") for name, value in used.runtime_options.items())
    mode = f"With the options of the program above ({options})" if options else "With the runtime's defaults, as in the program above"
    where = f", computed in {text(used.precision)} on that machine" if used.precision else ""
    own, now = found.figures, used.figures
    return [
        f"The figures above are those of the model's own precision. {mode}{where}, the mean KL divergence is "
        f"{_with_interval(now.kl_mean)} instead of {figure_text(own.kl_mean.value)}, and the most likely next token is the source's at "
        f"{percent(now.top1.value)} % of the positions instead of {percent(own.top1.value)} %."
    ]


def _graphs(found: GraphsFidelity | None) -> list[str]:
    if found is None:
        return []
    graphs, model = found.graphs, found.model
    return [
        f"The figures above are those of the model before it is made into the NPU's graphs of fixed shape. At "
        f"{count_text(graphs.positions, 'position')} of the source's answers these graphs, run on the CPU, have a mean KL divergence of "
        f"{_with_interval(graphs.kl_mean)} and the source's most likely next token at {percent(graphs.top1.value)} % of the positions; "
        f"the model has {figure_text(model.kl_mean.value)} and {percent(model.top1.value)} % at the same positions."
    ]


def _bounds(manifest: PackageManifest) -> list[str]:
    """What the recipe allows, and that the model keeps to it."""
    bounds = manifest.build.options.bounds
    if bounds is None or manifest.fidelity is None:
        return []
    if faults := bounds_of.beyond(bounds, manifest.fidelity.figures):
        return [f"**The model is beyond the bounds of its recipe:** {text('; '.join(faults))}."]
    allowed = ", ".join(code(f"{name}: {value:g}") for name, value in bounds.given().items())
    return [f"Its recipe sets bounds ({allowed}). The far end of each interval is within its bound."]
