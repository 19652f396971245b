"""Makes the documents that `--json` prints from what the commands know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from bakehouse.app.documents import (
    Answer,
    CheckedPackage,
    CheckedStore,
    Compared,
    ComparedPackage,
    ComparedPair,
    Examined,
    Finding,
    Forecast,
    Found,
    Linted,
    ListedBuild,
    Listing,
    Planned,
    PlannedStep,
    Remark,
    error,
)
from bakehouse.errors import Failure

if TYPE_CHECKING:  # each command brings its own; a check of a folder works where no more than pydantic and YAML is installed
    from bakehouse.app import doctor, maintenance
    from bakehouse.app.check_package import Checked
    from bakehouse.executor.session import Session
    from bakehouse.package import compare
    from bakehouse.plan.plan import Build, Plan
    from bakehouse.recipe.locations import Diagnostic
    from bakehouse.store.store import Store


def listing(plan: Plan, store: Store) -> Listing:
    """All builds, in the order of `bakehouse list`."""
    return Listing(builds=tuple(_listed(build, store) for build in plan.builds))


def _listed(build: Build, store: Store) -> ListedBuild:
    from bakehouse.app import overview
    from bakehouse.recipe.brief import brief

    state = overview.standing(build, store)
    measured = overview.fidelity(build, store) if state == "built" else None
    return ListedBuild(
        name=build.name,
        recipe=build.resolved.recipe,
        runtime=build.resolved.options.runtime,
        state="not built" if state == "-" else state,
        made=brief(build.resolved.options),
        description=build.resolved.description,
        cannot=build.cannot,
        package=str(store.package(build.name)) if state == "built" else None,
        members=tuple(one.name for one in build.members),
        fidelity=measured.figures if measured else None,
        deliver=build.places,
    )


def planned(builds: Sequence[Build], session: Session, names: dict[str, str], no: Failure | None) -> Planned:
    """The steps of some builds; `no` is why they would be refused."""
    from bakehouse.app import plan_table
    from bakehouse.stages import preflight

    rows = plan_table.rows(builds, session, names)
    forecast, unknown = None, None
    try:
        takes = preflight.forecast(builds, session, ask=True)
        forecast = Forecast(
            download_bytes=takes.download_bytes,
            local_bytes=None if takes.download_bytes is None else takes.local_bytes,
            disk_bytes=takes.disk_bytes,
            memory_bytes=takes.memory_bytes,
        )
    except Failure as failure:
        unknown = error(failure)
    return Planned(
        builds=tuple(build.name for build in builds),
        steps=tuple(PlannedStep(name=row.name, state=row.state, why=row.why, size_bytes=row.size_bytes) for row in rows),
        forecast=forecast,
        unknown=unknown,
        refused=error(no) if no else None,
    )


def linted(errors: Iterable[Diagnostic], builds: Iterable[Build], remarks: Iterable[tuple[str, str]]) -> Linted:
    """What a lint found: errors, or else remarks, build and text each."""
    return Linted(
        errors=tuple(
            Finding(file=str(one.path), line=one.span.line + 1, column=one.span.column + 1, what=one.what, remedy=one.help)
            for one in errors
        ),
        builds=tuple(build.name for build in builds),
        remarks=tuple(Remark(build=build, what=what) for build, what in remarks),
    )


def checked_store(report: maintenance.Report) -> CheckedStore:
    """What a check of the store found."""
    return CheckedStore(
        files=report.files, size_bytes=report.size_bytes, faults=report.faults, damaged=report.damaged, repair=report.repair
    )


def checked_package(found: Checked) -> CheckedPackage:
    """What a check of a folder found."""
    return CheckedPackage(
        name=found.inspection.name,
        files=found.inspection.files,
        size_bytes=found.inspection.size_bytes,
        faults=found.faults,
        ignored=found.inspection.extra,
        newer=found.inspection.newer,
        signature=found.signature,
        unknown=found.unknown,
        profile=found.inspection.profile or None,
    )


def examined(findings: Iterable[doctor.Finding]) -> Examined:
    """What this machine can do."""
    return Examined(
        findings=tuple(Found(about=one.about, subject=one.subject, works=one.works, found=one.found, remedy=one.remedy) for one in findings)
    )


def compared(rows: Sequence[compare.Row]) -> Compared:
    """Packages side by side."""
    from bakehouse.package import compare_fidelity

    return Compared(
        packages=tuple(
            ComparedPackage(
                name=row.name,
                made=row.made,
                size_bytes=row.size_bytes,
                weights=row.shares,
                common_tokens=row.common_tokens,
                source_tokens=row.source_tokens,
                ran_on=row.device,
                answers=tuple(Answer(prompt=one.prompt, answer=one.answer, passed=one.passed) for one in row.verdicts),
                fidelity=row.fidelity.figures if row.fidelity else None,
                measured_on=row.fidelity.text if row.fidelity else None,
            )
            for row in rows
        ),
        pairs=tuple(
            ComparedPair(
                first=one.first,
                second=one.second,
                closer=one.closer,
                difference=one.pair.difference if one.pair else None,
                why_not=one.why_not,
            )
            for one in compare_fidelity.pairs(rows)
        ),
    )
