"""The plan of some builds as text: which steps are there, which would run and why, and what that would take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from bakehouse.errors import Failure
from bakehouse.executor.session import Session
from bakehouse.plan.plan import Build
from bakehouse.records import StepRecord
from bakehouse.stages import preflight
from bakehouse.steps.step import Step
from bakehouse.store.store import Store
from bakehouse.text import count_text, size_text


def plan_text(chosen: Iterable[Build], session: Session, names: dict[str, str]) -> str:
    """The steps of some builds: which are there, which would run and why, and what that would take."""
    chosen = tuple(chosen)
    todo = {step.key for step in preflight.missing(chosen, session.store)}
    lines: list[str] = []
    for step in _steps(chosen):
        name = names[step.key]
        if step.key in todo:
            lines.append(f"  run   {name:48} {why(step, session.store, todo)}")
        else:
            there = session.store.record(step)
            lines.append(f"  have  {name:48} {_size(there)}" if there else f"  -     {name:48} not needed: what is made from it is there")
    try:
        lines.append(_takes(preflight.forecast(chosen, session, ask=True), len(todo)))
    except Failure as failure:
        lines.append(f"{count_text(len(todo), 'step')}; what they take could not be found out: {failure}")
    return "\n".join(lines)


def _steps(chosen: Iterable[Build]) -> Iterator[Step]:
    seen: set[str] = set()
    for build in chosen:
        for step in build.package.closure():
            if step.key not in seen:
                seen.add(step.key)
                yield step


def _size(record: StepRecord | None) -> str:
    return size_text(sum(file.size for file in record.files)) if record else ""


def _takes(forecast: preflight.Forecast, steps: int) -> str:
    copies = f" ({size_text(forecast.copy_bytes)} of it for packages as files of their own)" if forecast.copy_bytes else ""
    if steps == 0:
        return f"no step is missing, {size_text(forecast.disk_bytes or 0)} of disk{copies}" if copies else "nothing to do"
    if forecast.disk_bytes is None:
        return f"{count_text(steps, 'step')}; what they take is known once the source is downloaded"
    fetched = [f"{size_text(forecast.local_bytes)} to read from local sources"] if forecast.local_bytes else []
    if forecast.download_bytes or not fetched:
        fetched.insert(0, f"{size_text(forecast.download_bytes or 0)} to download")
    return (
        f"{count_text(steps, 'step')}, about {', '.join(fetched)}, "
        f"{size_text(forecast.disk_bytes)} of disk{copies}, {size_text(forecast.memory_bytes or 0)} of memory for the largest"
    )


def why(step: Step, store: Store, todo: set[str]) -> str:
    """Why a step would run: damaged, never made, or what differs from the nearest one that was made."""
    if damage := store.damage(step):
        return f"damaged: {damage[0]}"
    relatives = [record for folder, record in store.all_records() if record and (record.kind, record.label) == (step.kind, step.label)]
    if not relatives:
        return "never made"
    nearest = max(relatives, key=lambda record: record.made_at)
    changes = [
        *_changes("", nearest.options, step.options),
        *_changes("", nearest.tools, step.tools),
        *(f"{role} is new" for role, needed in step.needs if nearest.needs.get(role) != f"{needed.kind}/{needed.key}"),
        *([f"format {nearest.format} -> {step.format}"] if nearest.format != step.format else []),
    ]
    return "; ".join(changes[:3]) + (f"; and {len(changes) - 3} more" if len(changes) > 3 else "") if changes else "never made"


def _changes(path: str, old: Any, new: Any) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted({*old, *new}):
            yield from _changes(f"{path}.{name}" if path else name, old.get(name), new.get(name))
    elif old != new:
        yield f"{path} {_short(old)} -> {_short(new)}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else f"{text[:23]}…"
