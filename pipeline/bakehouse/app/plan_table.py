"""The plan of some builds as text: which steps are there, which would run and why, and what that would take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from bakehouse.errors import Failure
from bakehouse.executor.session import Session
from bakehouse.plan.plan import Build
from bakehouse.stages import preflight
from bakehouse.steps.step import Step
from bakehouse.store.store import Store
from bakehouse.text import count_text, size_text


@dataclass(frozen=True)
class Row:
    """A step: why it would run, or how large it is in the store."""

    name: str
    state: Literal["have", "run", "not needed"]
    why: str = ""
    size_bytes: int | None = None


def plan_text(chosen: Iterable[Build], session: Session, names: dict[str, str]) -> str:
    """The steps of some builds: which are there, which would run and why, and what that would take."""
    chosen = tuple(chosen)
    steps = rows(chosen, session, names)
    lines = [_line(row) for row in steps]
    todo = sum(row.state == "run" for row in steps)
    try:
        lines.append(_takes(preflight.forecast(chosen, session, ask=True), todo))
    except Failure as failure:
        lines.append(f"{count_text(todo, 'step')}; what they take could not be found out: {failure}")
    return "\n".join(lines)


def rows(chosen: Iterable[Build], session: Session, names: dict[str, str]) -> list[Row]:
    """The steps of some builds, each after what it needs."""
    chosen = tuple(chosen)
    todo = {step.key for step in preflight.missing(chosen, session.store)}
    return [_row(step, names[step.key], session.store, todo) for step in _steps(chosen)]


def _row(step: Step, name: str, store: Store, todo: set[str]) -> Row:
    if step.key in todo:
        return Row(name, "run", why=why(step, store, todo))
    there = store.record(step)
    return Row(name, "have", size_bytes=sum(file.size for file in there.files)) if there else Row(name, "not needed")


def _line(row: Row) -> str:
    match row.state:
        case "run":
            return f"  run   {row.name:48} {row.why}"
        case "have":
            return f"  have  {row.name:48} {size_text(row.size_bytes or 0)}"
        case "not needed":
            return f"  -     {row.name:48} not needed: what is made from it is there"


def _steps(chosen: Iterable[Build]) -> Iterator[Step]:
    seen: set[str] = set()
    for build in chosen:
        for step in build.package.closure():
            if step.key not in seen:
                seen.add(step.key)
                yield step


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
