"""The files of fidelity: reference.json and reference.npz of a source, fidelity.json of a model. Plain JSON, for every environment."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from bakehouse.child import events
from bakehouse.tasks.text_generation.workers import fidelity_figures
from bakehouse.tasks.text_generation.workers.fidelity_figures import Compared, Kept, Window

WINDOWS = "reference.json"
FIDELITY = "fidelity.json"


@dataclass(frozen=True)
class Facts:
    """On which text the source was computed, in which precision, and how far that by itself is from float32, in nats."""

    text: str
    precision: str
    floor_kl: float


@dataclass(frozen=True)
class Reference:
    """A source's windows with what is kept of its distributions in them."""

    facts: Facts
    windows: tuple[Window, ...]
    kept: Kept


def write_reference(folder: Path, facts: Facts, windows: Sequence[Window], kept: Sequence[Kept]) -> int:
    """Write both files; how many positions they have."""
    found = {"version": fidelity_figures.VERSION, **asdict(facts), "windows": [asdict(window) for window in windows]}
    (folder / WINDOWS).write_text(json.dumps(found) + "\n", encoding="utf-8", newline="\n")
    return fidelity_figures.write(folder, kept)


def read_reference(folder: Path) -> Reference:
    """What `write_reference` wrote."""
    found = json.loads((folder / WINDOWS).read_text(encoding="utf-8"))
    windows = tuple(Window(one["set"], tuple(one["ids"]), one["first"]) for one in found["windows"])
    return Reference(Facts(found["text"], found["precision"], found["floor_kl"]), windows, fidelity_figures.read(folder))


def select(reference: Reference, wanted: Callable[[Window], bool]) -> Reference:
    """The windows that are wanted, with what is kept in them."""
    starts = accumulate((len(window.scored) for window in reference.windows), initial=0)
    parts = [(window, start) for window, start in zip(reference.windows, starts, strict=False) if wanted(window)]
    rows = [at for window, start in parts for at in range(start, start + len(window.scored))]
    return Reference(reference.facts, tuple(window for window, _ in parts), reference.kept.at(rows))


def within(reference: Reference, tokens: int) -> Reference:
    """The windows for which a model's context has room: a runtime's can be shorter than its source's."""
    found = select(reference, lambda window: len(window.ids) <= tokens)
    if not found.windows:
        events.refuse(
            f"The model's context of {tokens} tokens has room for no window of the evaluation text.",
            "Make the context longer in the recipe, or give shorter evaluation texts.",
        )
    return found


def measure(
    reference: Reference, logits: Callable[[Window], Any], positions: int | None, doing: str = "measuring fidelity"
) -> list[Compared]:
    """Compare a model's logits in every window; `positions`: about how many in all, where a part is enough."""
    total, done = len(reference.windows), 0

    def counted(window: Window) -> Any:
        nonlocal done
        events.progress(doing, done, total, "windows")
        done += 1
        return logits(window)

    each = fidelity_figures.each(total, positions)
    return list(fidelity_figures.measure(reference.windows, reference.kept, counted, each))


def write(files: Path, reference: Reference, compared: Sequence[Compared], device: str, **more: Any) -> dict[str, object]:
    """Write fidelity.json, the fields of records.Fidelity; `more` are those that a runtime adds. The same is returned."""
    found: Mapping[str, Any] = {
        "version": fidelity_figures.VERSION,
        "text": reference.facts.text,
        "reference_precision": reference.facts.precision,
        "floor_kl": reference.facts.floor_kl,
        "device": device,
        **more,
        "figures": fidelity_figures.figures(compared),
        "sets": fidelity_figures.sets(compared),
        "windows": fidelity_figures.rows(compared),
    }
    (files / FIDELITY).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8", newline="\n")
    return dict(found)
