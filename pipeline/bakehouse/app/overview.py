"""What there is and what it would take, as text: the list of builds, the plan, and the table at the end of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from bakehouse.errors import Failure
from bakehouse.executor.session import Session
from bakehouse.package import manifest as manifests
from bakehouse.package.manifest import PackageManifest
from bakehouse.plan.plan import Build, Plan
from bakehouse.recipe.brief import brief
from bakehouse.records import StepRecord
from bakehouse.stages import preflight
from bakehouse.steps.step import Step
from bakehouse.store import files, package_files
from bakehouse.store.store import Store
from bakehouse.text import clock_text, count_text, size_text

_LONGEST = 60  # characters of an answer in the closing table
_HINT = """
  doit plan NAME...        what a build would do, and what it would take
  doit build:NAME          make one build, down to its package
  doit build               make all that this machine can make
  doit help                all commands
"""


def builds(plan: Plan, store: Store) -> str:
    """Every build, one line each: its task, how it stands, what is done to the weights, what it is (or why it cannot be made here)."""
    rows = [(f"build:{one.name}", _standing(one, store), _brief(one), _doc(one)) for one in plan.builds]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join("  ".join((*(f"{text:{width}}" for text, width in zip(row, widths, strict=False)), row[3])) for row in rows)


def welcome(plan: Plan, store: Store) -> str:
    """The builds, and what to type next."""
    return f"{builds(plan, store)}\n{_HINT}"


def _brief(build: Build) -> str:
    return f"{count_text(len(build.members), 'build')} in one repository" if build.members else brief(build.resolved.options)


def _standing(build: Build, store: Store) -> str:
    if store.is_exposed(build.package, build.name):
        return "built"
    return "-" if build.cannot is None else "cannot"


def _doc(build: Build) -> str:
    return f"not on this machine: {build.cannot}" if build.cannot else build.resolved.description


# --- doit plan ----------------------------------------------------------------------------------------------------


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
    return (
        f"{count_text(steps, 'step')}, about {size_text(forecast.download_bytes or 0)} to download, "
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


# --- at the end of a run ------------------------------------------------------------------------------------------


def summary(
    chosen: Iterable[Build],
    store: Store,
    names: dict[str, str],
    spans: Mapping[str, tuple[float, float]],
    total_s: float,
    failed: Callable[[Build], tuple[str, ...]],
) -> Group | None:
    """Build, what ran, time, size, answer, failed builds last with what failed; None if no build was asked for.

    A build's time is that in which any of its steps ran: `spans` has their starts and ends, in seconds.
    """
    table = Table(box=None, padding=(0, 2), pad_edge=False, header_style="bold")
    for title in ("build", "steps run", "time", "size", "answer"):
        table.add_column(title, overflow="fold")
    rows = [(_good(build, store), build) for build in chosen]
    for manifest, build in sorted(rows, key=lambda row: row[0] is None):
        steps = [names[step.key] for step in build.package.closure()]
        ran = [spans[name] for name in steps if name in spans]
        table.add_row(
            build.name,
            f"{len(ran)} of {len(steps)}",
            clock_text(_covered(ran)) if ran else "-",
            size_text(files.size_bytes(store.package(build.name))) if manifest else "-",
            _answer(manifest) if manifest else Text(_not_built(failed(build)), style="red"),
        )
    if not table.row_count:
        return None
    # a line of its own: a caption would be broken at the table's width, the path with it
    return Group(table, Text(f"{clock_text(total_s)} in all; packages are in {store.root / 'packages'}"))


def _good(build: Build, store: Store) -> PackageManifest | None:
    return read_manifest(build.name, store) if store.is_exposed(build.package, build.name) else None


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """How long at least one of these spans lasted: those that overlap count once."""
    covered, until = 0.0, float("-inf")
    for start, end in sorted(spans):
        covered += max(0.0, end - max(start, until))
        until = max(until, end)
    return covered


def _answer(manifest: PackageManifest) -> Text:
    """The first answer in one line, cut with an ellipsis where it is too long or the terminal too narrow."""
    answer = " ".join(manifest.verdicts[0].answer.split())
    return Text(answer if len(answer) <= _LONGEST else f"{answer[: _LONGEST - 1]}…", no_wrap=True, overflow="ellipsis")


def _not_built(failed: tuple[str, ...]) -> str:
    return f"not built: {' and '.join(failed)} failed" if failed else "not built"


def read_manifest(name: str, store: Store) -> PackageManifest | None:
    """The manifest in a package; None if there is no such package."""
    package = store.package(name)
    return manifests.read(package) if package_files.file_in(package).exists() else None
