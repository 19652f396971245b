"""What every stage does around its own work: lock, stage, run the child, judge, commit; and what is left when that fails."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue

from bakehouse import errors
from bakehouse.errors import Failure
from bakehouse.executor import process
from bakehouse.executor.listen import Progress
from bakehouse.executor.process import Finished
from bakehouse.executor.session import Session, machine
from bakehouse.records import Ran, StepRecord
from bakehouse.steps.maker import Command, Verification
from bakehouse.steps.seam import Report, Request
from bakehouse.steps.step import Step
from bakehouse.store import files
from bakehouse.store.store import Staging

# Kinds whose unfinished files are worth keeping: a broken-off download goes on where it was.
_RESUMES = ("download",)
_NO_SPACE = "No space left on device"
_NEARLY_FULL_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Made:
    """What filling a staged directory came to."""

    verification: Verification
    ran: tuple[Ran, ...] = ()
    report: Report = field(default_factory=Report)


def make(step: Step, session: Session, fill: Callable[[Staging], Made]) -> None:
    """Have `fill` fill the step's staged directory and commit it; nothing to do if the store has the step by now.

    Raises:
        Failure: with what went wrong; the log, and what was made if it was found wanting, are then under `failed/`.
    """
    waiting = Progress("waiting for another run that is at this step")
    try:
        with session.store.making(step, lambda: session.tell(step, waiting)) as staging:
            if staging is not None:
                _carry_out(step, session, staging, fill)
    except OSError as error:  # on a disk without one free block not even a folder can be made
        if error.errno not in errors.FULL:
            raise
        raise _disk_full(step, session, 0) from error


def _carry_out(step: Step, session: Session, staging: Staging, fill: Callable[[Staging], Made]) -> None:
    """Fill and commit, or put away what came of it and say why."""
    if step.kind not in _RESUMES:
        files.remove(staging.files)
    staging.files.mkdir(exist_ok=True)
    files.unseal(staging.files)
    try:
        made = fill(staging)
        if not made.verification.faults:
            session.tell(step, Progress("writing it into the store"))
            session.store.commit(step, staging, _record(step, staging, made))
            return
    except Failure as failure:
        raise _explained(failure, step, session, staging) from failure
    except OSError as error:
        if error.errno not in errors.FULL:
            raise
        raise _no_room(step, session, staging) from error
    if _is_full(session):  # a tool that did not notice that it could not write
        raise _no_room(step, session, staging)
    raise _wanting(step, session, staging, made.verification)


def run_child(command: Command, step: Step, session: Session, staging: Staging) -> tuple[Finished, Ran]:
    """Run a command for a step, its output into the step's log."""
    finished = process.run(
        command,
        children=session.children,
        log=staging.log,
        scratch=staging.scratch,
        on_progress=lambda progress: session.tell(step, progress),
    )
    named = _named(step, session.store.root, staging)
    return finished, Ran(
        argv=tuple("python" if word == sys.executable else portable(word, named) for word in command.argv),
        request=_portable_request(command.request, named) if command.request else None,
        upstream=command.upstream,
        seconds=round(finished.seconds, 3),
        peak_memory_bytes=finished.peak_memory_bytes,
    )


def _named(step: Step, root: Path, staging: Staging) -> list[tuple[str, str]]:
    """The folders of this machine that a command may name, and what a record calls them."""
    named = [(str(staging.folder), "OUT"), (str(root), "artifacts")]
    if step.notes.path is not None:  # of a local source, wherever the recipes lie here
        named.insert(0, (str(step.notes.path), "SOURCE"))
    return named


def _portable_request(request: Request, named: Sequence[tuple[str, str]]) -> dict[str, JsonValue]:
    """A request as JSON, without this machine in it."""
    values: dict[str, JsonValue] = request.model_dump(mode="json")
    return {name: _portable_value(value, named) for name, value in values.items()}


def _portable_value(value: JsonValue, named: Sequence[tuple[str, str]]) -> JsonValue:
    """A JSON value, `portable` in every text of it."""
    match value:
        case str():
            return portable(value, named)
        case list():
            return [_portable_value(one, named) for one in value]
        case dict():
            return {portable(name, named): _portable_value(one, named) for name, one in value.items()}
        case _:
            return value


def portable(word: str, named: Iterable[tuple[str, str]], separator: str = os.sep) -> str:
    """A text with names in place of folders, and with forward slashes in the path that follows one: the same on every system."""
    for folder, name in named:
        before, *after = word.split(folder)
        word = "".join((before, *(name + rest.replace(separator, "/") for rest in after)))
    return word


def _record(step: Step, staging: Staging, made: Made) -> StepRecord:
    return StepRecord(
        kind=step.kind,
        maker=step.maker,
        label=step.label,
        key=step.key,
        options=step.options,
        needs={role: f"{needed.kind}/{needed.key}" for role, needed in step.needs},
        tools=step.tools,
        format=step.format,
        files=files.records_of_new(staging.files),
        ran=made.ran,
        facts=dict(made.report.values),
        measured=dict(made.verification.measured),
        made_at=datetime.now(UTC),
        made_on=machine(),
    )


def _explained(failure: Failure, step: Step, session: Session, staging: Staging) -> Failure:
    """The failure with the step's name and the place where its log went."""
    if _NO_SPACE in str(failure) or (_is_full(session) and not session.children.stopping):
        return _no_room(step, session, staging)
    at = str(staging.log)
    left = _put_away(step, session, staging)
    details = tuple(line.replace(at, str(left / "log.txt")) for line in failure.details)
    return Failure(failure.what, where=f"{step.kind} of {step.label}", remedy=failure.remedy, details=details)


def _is_full(session: Session) -> bool:
    return session.store.free_bytes() < _NEARLY_FULL_BYTES


def _no_room(step: Step, session: Session, staging: Staging) -> Failure:
    """Throws away what was written, but for a download's."""
    written = files.size_bytes(staging.folder)
    _put_away(step, session, staging)
    return _disk_full(step, session, written)


def _disk_full(step: Step, session: Session, written_bytes: int) -> Failure:
    return errors.disk_full(written_bytes, session.store.free_bytes(), f"{step.kind} of {step.label}")


def _put_away(step: Step, session: Session, staging: Staging) -> Path:
    """Keep the log; keep unfinished files only in place, for a download to go on from."""
    if step.kind not in _RESUMES:
        return session.store.fail(step, staging, keep_files=False)
    files.remove(staging.scratch)
    return staging.folder


def _wanting(step: Step, session: Session, staging: Staging, verification: Verification) -> Failure:
    evidence = {"faults": verification.faults, "measured": verification.measured, "step": step.options}
    files.write(staging.folder / "verdict.json", json.dumps(evidence, indent=2, default=str) + "\n")
    left = session.store.fail(step, staging, keep_files=True)
    return Failure(
        verification.what or "the artifact is not what the recipe requests",
        where=f"{step.kind} of {step.label}",
        details=(*verification.faults, f"evidence: {left}"),
        remedy=verification.remedy or "change the recipe, or look at the evidence if you think that the recipe is right",
    )
