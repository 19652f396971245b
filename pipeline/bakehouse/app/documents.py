"""What `--json` prints, a model a command: the documents that scripts read. A later version only adds fields."""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from bakehouse.errors import Failure
from bakehouse.recipe.kinds import TaskName
from bakehouse.records import Estimated, FidelityFigures, Written
from bakehouse.toolchains.table import Name as Toolchain


class Document(Written):
    """What one command prints."""


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
    """A build; `made` is what is done to the weights, `cannot` why this machine cannot make it, `package` the folder if it is built.

    `fidelity` is how far it is from its source, if it is built and was measured; `deliver` are the places that its recipe names.
    """

    name: str
    recipe: str
    runtime: str
    state: Literal["built", "not built", "cannot"]
    made: str
    description: str
    cannot: str | None
    package: str | None
    members: tuple[str, ...]
    fidelity: FidelityFigures | None = None
    deliver: tuple[str, ...] = ()


class Listing(Document):
    """`bakehouse list --json`."""

    builds: tuple[ListedBuild, ...]


class Supported(Document):
    """A type of model for a task: by runtime the toolchains with which it is made, the best first; none where it is not taken."""

    model_type: str
    task: TaskName
    toolchains: dict[str, tuple[Toolchain, ...]]


class SupportedModels(Document):
    """`bakehouse support --json`; `installed` is the toolchain of a recipe that names none."""

    installed: Toolchain
    models: tuple[Supported, ...]


class PlannedStep(Document):
    """A step; `why` is set if it would run, `size_bytes` if it is in the store."""

    name: str
    state: Literal["have", "run", "not needed"]
    why: str
    size_bytes: int | None


class Forecast(Document):
    """What the steps that would run take, in bytes, `local_bytes` of it from local sources; None where only the source knows it."""

    download_bytes: int | None
    local_bytes: int | None
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
    """What the author of a build should know."""

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
    """`bakehouse check DIR --json`; `signature` is about the signer that was requested, `ignored` are files that are not the package's.

    `profile` says how a delivered folder is laid out; of a package it is None.
    """

    name: str
    files: int
    size_bytes: int
    faults: tuple[str, ...]
    ignored: tuple[str, ...]
    newer: bool
    signature: Literal["none", "present", "good", "bad", "unknown"]
    unknown: str
    profile: str | None = None


class DeliveredFolder(Document):
    """`bakehouse deliver --to --json`: where the package `name` lies now, and which of the files there are not the package's own.

    `new` is false where it lay there already.
    """

    profile: str
    profile_version: int
    name: str
    folder: str
    files: int
    size_bytes: int
    added: tuple[str, ...]
    replaced: tuple[str, ...]
    left_out: tuple[str, ...]
    new: bool = True


class Deliveries(Document):
    """`bakehouse deliver --json` without --to: a folder for each place that the recipe names."""

    folders: tuple[DeliveredFolder, ...]


class Answer(Document):
    """A golden prompt, the package's answer, and whether it is right."""

    prompt: str
    answer: str
    passed: bool


class ComparedPackage(Document):
    """A package; `weights` is the share of each precision, 0 to 1; `fidelity` is how far it is from its source, on text `measured_on`."""

    name: str
    made: str
    size_bytes: int
    weights: dict[str, float]
    common_tokens: int
    source_tokens: int
    ran_on: str
    answers: tuple[Answer, ...]
    fidelity: FidelityFigures | None = None
    measured_on: str | None = None


class ComparedPair(Document):
    """Two packages: `closer` names the one with the smaller mean KL divergence, "tie" if chance explains it, None if they do not compare.

    `difference` is that of `first` minus that of `second`, in nats; `why_not` is set if they do not compare.
    """

    first: str
    second: str
    closer: str | None
    difference: Estimated | None
    why_not: str


class Compared(Document):
    """`bakehouse compare --json`."""

    packages: tuple[ComparedPackage, ...]
    pairs: tuple[ComparedPair, ...] = ()


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


class SearchedCandidate(Document):
    """A candidate of a search: its options that vary, sizes in bytes, figures at a few positions and at all, and what became of it."""

    name: str
    options: dict[str, JsonValue]
    predicted_bytes: int
    size_bytes: int | None
    screened: FidelityFigures | None
    confirmed: FidelityFigures | None
    verdict: str
    reason: str
    on_front: bool


class Searched(Document):
    """What `bakehouse search` prints; without a winner nothing is within the bounds, or only the plan was wanted."""

    winner: str | None
    tied: tuple[str, ...]
    stopped: str
    left_out: int
    candidates: tuple[SearchedCandidate, ...]
