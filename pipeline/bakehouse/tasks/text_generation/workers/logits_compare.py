"""Compares the logits of an artifact, input by input, with those that reference_logits wrote; for workers that run one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from bakehouse.child import events
from bakehouse.tasks.text_generation.seams import Checked, Failed, Figures, NotChecked, Numeric, NumericResult, Precision
from bakehouse.tasks.text_generation.workers.logits_tolerance import is_wrong, limits
from bakehouse.tasks.text_generation.workers.positions_to_check import Run

CHECK, LOGITS = "check.json", "logits.npz"
NUMERIC = "numeric.json"
_CHUNK = 8  # from so many tokens on, those that are not compared may come together
# Runs `ids`, the first `prefill` at once and the others one by one; a row of logits for (at least some of) the wanted positions.
Evaluate = Callable[[list[int], int, Sequence[int]], Mapping[int, Any]]
Compared = tuple[list[Figures | Failed], list[NotChecked]]  # the figures of runs, and what was left out


@dataclass(frozen=True)
class Group:
    """The runs on so many of the first layers, and the source's logits of each (positions x vocabulary, float32).

    `joined`: one long input serves all runs whose tokens are given at once.
    """

    layers: int
    of: int
    joined: bool
    pruned: bool
    ids: list[int]
    runs: Sequence[Run]
    logits: list[Any]

    @property
    def is_whole(self) -> bool:
        """Whether these are all layers."""
        return self.layers == self.of


def read(reference: Path) -> tuple[list[Group], list[NotChecked]]:
    """The groups of a reference_logits step, and what it leaves out: name and reason."""
    import numpy as np

    checked = Checked.model_validate_json((reference / CHECK).read_bytes())
    with np.load(reference / LOGITS) as arrays:
        groups = [
            Group(
                one.layers,
                checked.of,
                checked.joined,
                one.pruned,
                list(checked.ids),
                one.runs,
                [arrays[f"{number}-{place}"] for place in range(len(one.runs))],
            )
            for number, one in enumerate(checked.groups)
        ]
    return groups, list(checked.not_checked)


def compare(group: Group, evaluate: Evaluate, precision: Precision, limit: int | None = None) -> Compared:
    """The figures of every run of a group, and the runs that are longer than the artifact's context, `limit`, and why they are left out.

    Inputs that are given at once are joined where that gives the same, and taken one by one when the joined one goes wrong: the
    shortest that is wrong is what a person wants to know.
    """
    fits = [index for index, run in enumerate(group.runs) if limit is None or run.tokens <= limit]
    beyond = [
        (f"{run.tokens:,} tokens ({run.name})", f"the artifact's context ends at {limit:,} tokens")
        for index, run in enumerate(group.runs)
        if index not in fits
    ]
    found: dict[int, Figures | Failed] = {}
    at_once = [index for index in fits if not group.runs[index].stepped]
    if group.joined and not group.pruned and len(at_once) > 1:
        longest = max(at_once, key=lambda index: group.runs[index].tokens)
        joined = _joined(group, at_once, longest, evaluate)
        most = limits(joined.values(), precision)
        if not any(is_wrong(one, most) for one in joined.values()):
            found = joined
    # What is left of a joined one begins as it did: the longest first, so that a runtime's cache of it can be cut back again and again.
    for index in sorted(fits, key=lambda index: (group.runs[index].tokens, index), reverse=bool(found)):
        if index not in found:
            events.progress("comparing logits", len(found), len(fits), "inputs")
            found[index] = _one(group, index, evaluate, group.runs[index])
    return [found[index] for index in fits], beyond


def ends(tokens: int, prefill: int, scored: Sequence[int], together: bool) -> list[int]:
    """Where each call of a runtime ends: the first after the tokens that come at once, the others after one token.

    `together`: many tokens in a row that are not compared come in one call, but for the first of them.
    """
    wanted = [prefill, *(at for at in scored if at >= prefill), tokens]
    idle = {end for low, high in pairwise(wanted) if high - low > _CHUNK for end in range(low + 2, high)}
    return [end for end in range(prefill, tokens + 1) if not (together and end in idle)]


def any_wrong(found: Sequence[Figures | Failed], precision: Precision) -> bool:
    """Whether one of these runs, all of the same layers, is another computation."""
    most = limits(found, precision)
    return any(is_wrong(run, most) for run in found)


def _joined(group: Group, indexes: list[int], longest: int, evaluate: Evaluate) -> dict[int, Figures | Failed]:
    tokens = group.runs[longest].tokens
    wanted = sorted({at for index in indexes for at in group.runs[index].scored})
    try:
        rows = evaluate(group.ids[:tokens], tokens, wanted)
    except RuntimeError as error:
        return {longest: _failed(group, longest, error)}
    return {index: _figures(group, index, rows) for index in indexes}


def _one(group: Group, index: int, evaluate: Evaluate, run: Run) -> Figures | Failed:
    try:
        return _figures(group, index, evaluate(group.ids[: run.tokens], run.prefill, run.scored))
    except RuntimeError as error:  # the only type that any runtime raises; a user of the artifact would get it too
        return _failed(group, index, error)


def _failed(group: Group, index: int, error: RuntimeError) -> Failed:
    run = group.runs[index]
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return Failed(
        name=run.name,
        tokens=run.tokens,
        prefill=run.prefill,
        crosses=run.crosses,
        layers=group.layers,
        of=group.of,
        error=lines[-1][:500].rstrip("."),
    )


def _figures(group: Group, index: int, rows: Mapping[int, Any]) -> Figures:
    """Divergence, relative difference and whether the next token is the same, at each position that was computed."""
    import numpy as np

    run = group.runs[index]
    present = [place for place, at in enumerate(run.scored) if at in rows]
    source = group.logits[index][present].astype(np.float64)
    made = np.stack([rows[run.scored[place]] for place in present]).astype(np.float64)
    if made.shape[1] < source.shape[1]:
        raise RuntimeError(f"it has {made.shape[1]:,} logits for the next token, and the source {source.shape[1]:,}")
    possible = np.isfinite(source).all(axis=0)  # some models rule out tokens; and a runtime may pad the vocabulary
    source, made = source[:, possible], made[:, : len(possible)][:, possible]
    source_log, made_log = _log_softmax(source), _log_softmax(made)
    kld = np.sum(np.exp(source_log) * (source_log - made_log), axis=1)
    centred = (made - made.mean(axis=1, keepdims=True)) - (source - source.mean(axis=1, keepdims=True))
    relative = np.sqrt(np.mean(centred**2, axis=1)) / (source.std(axis=1) + 1e-12)
    same = source.argmax(axis=1) == made.argmax(axis=1)
    return Figures(
        name=run.name,
        tokens=run.tokens,
        prefill=run.prefill,
        crosses=run.crosses,
        layers=group.layers,
        of=group.of,
        kld=_plain(kld),
        relative=_plain(relative),
        same=int(same.sum()),
        positions=len(present),
    )


def _plain(values: Any) -> tuple[float, ...]:
    """Numbers for JSON, where what is not a number is as wrong as can be."""
    return tuple(float(f"{value:.3g}") if value == value and abs(value) < 1e30 else 1e30 for value in values)


def _log_softmax(logits: Any) -> Any:
    import numpy as np

    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))


def write(files: Path, runs: Sequence[Figures | Failed], not_checked: Sequence[NotChecked], precision: Precision) -> NumericResult:
    """Write numeric.json; the same is the worker's result."""
    found = Numeric(runs=tuple(runs), not_checked=tuple(not_checked), precision=precision)
    (files / NUMERIC).write_text(json.dumps(found.model_dump(mode="json"), indent=2) + "\n", encoding="utf-8", newline="\n")
    return NumericResult(numeric=found)
