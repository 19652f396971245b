"""What `--json` prints, a model a command: the documents that scripts read. A later version only adds fields."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from bakehouse.errors import Failure

if TYPE_CHECKING:  # each command brings its own; a check of a folder works where no more than pydantic and YAML is installed
    from bakehouse.app import doctor, maintenance
    from bakehouse.app.check_package import Checked
    from bakehouse.executor.session import Session
    from bakehouse.package import compare
    from bakehouse.plan.plan import Build, Plan
    from bakehouse.recipe.locations import Diagnostic
    from bakehouse.store.store import Store


class Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Error(Document):
    """Why a command, or a build, is refused; the fields of a failure."""

    what: str
    where: str = ""
    remedy: str = ""
    details: tuple[str, ...] = ()


class Refused(Document):
    """Printed by any command that could not do its work, in place of its own document."""

    error: Error


class ListedBuild(Document):
    """A build; `made` is what is done to the weights, `cannot` why this machine cannot make it, `package` the folder if it is built."""

    name: str
    recipe: str
    runtime: str
    state: Literal["built", "not built", "cannot"]
    made: str
    description: str
    cannot: str | None
    package: str | None
    members: tuple[str, ...]


class Listing(Document):
    """`bakehouse list --json`."""

    builds: tuple[ListedBuild, ...]


class PlannedStep(Document):
    """A step; `why` is set if it would run, `size_bytes` if it is in the store."""

    name: str
    state: Literal["have", "run", "not needed"]
    why: str
    size_bytes: int | None


class Forecast(Document):
    """What the steps that would run take, in bytes; None where only the source knows it."""

    download_bytes: int | None
    disk_bytes: int | None
    memory_bytes: int | None


class Planned(Document):
    """`bakehouse plan --json`; `forecast` is None if the source could not be asked, and `unknown` then says why."""

    builds: tuple[str, ...]
    steps: tuple[PlannedStep, ...]
    forecast: Forecast | None
    unknown: Error | None
    refused: Error | None


class Finding(Document):
    """An error in a recipe; line and column count from 1."""

    file: str
    line: int
    column: int
    what: str
    remedy: str


class Remark(Document):
    build: str
    what: str


class Linted(Document):
    """`bakehouse lint --json`; builds and remarks are empty if there are errors."""

    errors: tuple[Finding, ...]
    builds: tuple[str, ...]
    remarks: tuple[Remark, ...]


class CheckedStore(Document):
    """`bakehouse check --json`: what was hashed, and what is damaged; `repair` is the command for it."""

    files: int
    size_bytes: int
    faults: tuple[str, ...]
    damaged: tuple[str, ...]
    repair: str


class CheckedPackage(Document):
    """`bakehouse check DIR --json`; `signature` is about the signer that was asked for, `ignored` are files that are not the package's."""

    name: str
    files: int
    size_bytes: int
    faults: tuple[str, ...]
    ignored: tuple[str, ...]
    newer: bool
    signature: Literal["none", "present", "good", "bad", "unknown"]
    unknown: str


class Answer(Document):
    prompt: str
    answer: str
    passed: bool


class ComparedPackage(Document):
    """A package; `weights` is the share of each precision, 0 to 1."""

    name: str
    made: str
    size_bytes: int
    weights: dict[str, float]
    common_tokens: int
    source_tokens: int
    ran_on: str
    answers: tuple[Answer, ...]


class Compared(Document):
    """`bakehouse compare --json`."""

    packages: tuple[ComparedPackage, ...]


class Found(Document):
    """Whether something works: `about` is build, device or machine, `remedy` the command that would change it."""

    about: str
    subject: str
    works: bool
    found: str
    remedy: str


class Examined(Document):
    """`bakehouse doctor --json`."""

    findings: tuple[Found, ...]


def text(document: Document) -> str:
    """The document as it is printed."""
    return document.model_dump_json(indent=2)


def error(failure: Failure) -> Error:
    """A failure as a document has it."""
    return Error(what=failure.what, where=failure.where, remedy=failure.remedy, details=failure.details)


def refused(failure: Failure) -> Refused:
    """The document of a command that failed."""
    return Refused(error=error(failure))


def listing(plan: Plan, store: Store) -> Listing:
    """All builds, in the order of `bakehouse list`."""
    return Listing(builds=tuple(_listed(build, store) for build in plan.builds))


def _listed(build: Build, store: Store) -> ListedBuild:
    from bakehouse.app.overview import standing
    from bakehouse.recipe.brief import brief

    state = standing(build, store)
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
    )


def planned(builds: Sequence[Build], session: Session, names: dict[str, str], no: Failure | None) -> Planned:
    """The steps of some builds; `no` is why they would be refused."""
    from bakehouse.app import plan_table
    from bakehouse.stages import preflight

    rows = plan_table.rows(builds, session, names)
    forecast, unknown = None, None
    try:
        takes = preflight.forecast(builds, session, ask=True)
        forecast = Forecast(download_bytes=takes.download_bytes, disk_bytes=takes.disk_bytes, memory_bytes=takes.memory_bytes)
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
    )


def examined(findings: Iterable[doctor.Finding]) -> Examined:
    """What this machine can do."""
    return Examined(
        findings=tuple(Found(about=one.about, subject=one.subject, works=one.works, found=one.found, remedy=one.remedy) for one in findings)
    )


def compared(rows: Iterable[compare.Row]) -> Compared:
    """Packages side by side."""
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
            )
            for row in rows
        )
    )
