"""A store that machines share, at PIPELINE_REMOTE: looked into before work, added to after it. Our own store stays the truth."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from bakehouse.child import credentials, names
from bakehouse.child import redact as discreet
from bakehouse.errors import Failure
from bakehouse.executor import process
from bakehouse.executor.process import Children
from bakehouse.executor.seams import FetchStep, ListSteps, PutStep, SizeOf, StoreRequest, StoreResult
from bakehouse.records import StepRecord
from bakehouse.steps.maker import worker
from bakehouse.steps.step import Step
from bakehouse.store import files
from bakehouse.store.store import Store
from bakehouse.text import size_text

_SCHEME = re.compile(r"[A-Za-z][\w+.-]*:(:|//)")
_PATIENCE_S = 20.0
_OURS = ("setup",)  # bound to this machine: environments with its paths in them


class Remote:
    """The shared store, or none; once it could not be reached it is left alone for the rest of the run."""

    def __init__(
        self, store: Store, children: Children, environ: Mapping[str, str] = os.environ, warn: Callable[[str], None] | None = None
    ) -> None:
        """Read PIPELINE_REMOTE, PIPELINE_REMOTE_MODE and PIPELINE_REMOTE_TIMEOUT_S.

        Raises:
            Failure: one of them is set to what it cannot be.
        """
        self._store, self._children, self._environ = store, children, environ
        self._url = _url(environ)
        self._shown = discreet.shown(self._url)
        self._writes = self._wants_to_write = bool(self._url) and _mode(environ) == "write"
        self._not_kept: list[str] = []
        self.silent = ""  # why it was given up, if it could not be reached
        self._patience_s = _patience_s(environ)
        self._warn = warn or (lambda text: print(text, file=sys.stderr))

    def supply(self, roots: Iterable[Step], say: Callable[[str], None]) -> None:
        """Bring here what the shared store has of these steps, or else of what they need; what is brought hides what only it needs.

        Raises:
            Failure: PIPELINE_REMOTE is not a place that can be used, it lets us not in, or it holds something that is not what it
                says it is.
        """
        roots = tuple(roots)
        missing = [step for step in _wanted(roots, self._store.has) if step.kind not in _OURS]
        if not self._url or not missing:
            return
        say(f"asking the shared store {self._shown} for what is missing here")
        listed = self._talk(ListSteps(names=tuple(_name(step) for step in missing)))
        present = set(listed.present) if listed else set()
        _wanted(roots, lambda step: self._store.has(step) or (_name(step) in present and self._fetch(step, say)))

    @property
    def shown(self) -> str:
        """Its URL without a password; "" if there is none."""
        return self._shown

    @property
    def writes(self) -> bool:
        """Whether steps are put into it."""
        return self._wants_to_write

    def present(self, steps: Iterable[Step]) -> frozenset[str] | None:
        """The keys of those of these steps that it has; None if it is none or cannot be reached.

        Raises:
            Failure: as `supply`.
        """
        named = {_name(step): step.key for step in steps if step.kind not in _OURS}
        listed = self._talk(ListSteps(names=tuple(named)))
        return None if listed is None else frozenset(named[name] for name in listed.present)

    def size(self, step: Step) -> int | None:
        """How many bytes a step's files have there; None if it does not have the step, or cannot be reached.

        Raises:
            Failure: as `supply`.
        """
        found = self._talk(SizeOf(name=_name(step)))
        return found.size_bytes if found else None

    def keep(self, step: Step) -> None:
        """Put a step into it that was made here; a shared store that is read only, out of reach or none is fine."""
        if not self._wants_to_write or step.kind in _OURS:
            return
        try:
            if not self._writes or self._talk(PutStep(name=_name(step), folder=self._store.folder(step))) is None:
                self._not_kept.append(f"{step.kind} of {step.label}")
        except Failure as failure:
            self._writes = False
            self._not_kept.append(f"{step.kind} of {step.label}")
            lost = f"{step.kind} of {step.label} was not put into the shared store"
            self._warn(f"WARNING: {lost}, and nothing more will be in this run: {failure.what}")

    @property
    def not_kept(self) -> str | None:
        """A sentence for the end of a run on the steps that were made here and are not in the shared store; None if all of them are."""
        if not self._not_kept:
            return None
        number, what = len(self._not_kept), names.some(self._not_kept)
        steps, were, them = ("step", "was", "it") if number == 1 else ("steps", "were", "them")
        done = f"{number} {steps} made here {were} not put into the shared store {self._shown}"
        return f"{done}, so other machines cannot take {them} from it: {what}"

    def _fetch(self, step: Step, say: Callable[[str], None]) -> bool:
        with self._store.making(step, lambda: say(f"waiting for another run that is at {step.kind} of {step.label}")) as staging:
            if staging is None:
                return True
            files.remove(staging.files)
            staging.files.mkdir()
            fetched = self._talk(FetchStep(name=_name(step), folder=staging.folder))
            if fetched is None:
                return False
            written = staging.folder / "record.json"
            record = _matching(written.read_bytes(), step)
            written.unlink()
            staging.log.write_text(f"brought from the shared store {self._shown}\n", encoding="utf-8", newline="\n")
            self._store.commit(step, staging, record)
            say(f"shared   {step.kind} of {step.label}, {size_text(fetched.fetched_bytes or 0)}")
            return True

    def _talk(self, work: ListSteps | FetchStep | PutStep | SizeOf) -> StoreResult | None:
        """What the worker answers; None, with a warning, if the shared store cannot be reached or, in read mode, does not let us in."""
        if not self._url:
            return None
        # The URL may hold a password, which must not be in a request: that is written to disk.
        environ = {**credentials.of_remote(self._url, self._environ), "BAKEHOUSE_REMOTE": self._url}
        request = StoreRequest(work=work, patience_s=self._patience_s)
        command = replace(worker("executor.workers.remote_store", request=request, needs_network=True), env=environ)
        with tempfile.TemporaryDirectory() as folder:
            log, scratch = Path(folder) / "log.txt", Path(folder) / "scratch"
            try:
                done = process.run(command, children=self._children, log=log, scratch=scratch, on_progress=lambda _: None)
            except Failure as failure:
                raise self._with_log(failure, log, work.verb) from failure
        result = done.report.read(StoreResult)
        if result.refuses and self._writes:
            remedy = "give credentials that may read it and write, set PIPELINE_REMOTE_MODE=read, or unset PIPELINE_REMOTE"
            raise Failure(f"the shared store refuses: {result.refuses}", remedy=remedy)
        if why := result.unreachable or result.refuses:
            self._warn(f"WARNING: the shared store {self._shown} cannot be used, work goes on without it: {why}")
            self._url, self.silent = "", result.unreachable or ""
            return None
        return result

    def _with_log(self, failure: Failure, log: Path, verb: str) -> Failure:
        """The failure with its log where it stays."""
        kept = self._store.root / "failed" / "remote" / verb / "log.txt"
        files.write(kept, log.read_text(encoding="utf-8", errors="replace"))
        details = tuple(line.replace(str(log), str(kept)) for line in failure.details)
        return Failure(failure.what, where=failure.where, remedy=failure.remedy, details=details)


def _url(environ: Mapping[str, str]) -> str:
    url = environ.get("PIPELINE_REMOTE", "")
    if url and not _SCHEME.match(url) and not Path(url).is_absolute():
        raise Failure(
            "it is neither a URL nor an absolute path",
            where="PIPELINE_REMOTE",
            remedy="write it as file:///shared/store, s3://bucket/store or another URL that fsspec knows",
        )
    return url


def _mode(environ: Mapping[str, str]) -> str:
    mode = environ.get("PIPELINE_REMOTE_MODE") or "write"
    if mode not in ("read", "write"):
        raise Failure(f"{mode!r} is not a mode", where="PIPELINE_REMOTE_MODE", remedy="set it to read or write, or leave it out for write")
    return mode


def _patience_s(environ: Mapping[str, str]) -> float:
    """How long the shared store may be silent before work goes on without it."""
    given = environ.get("PIPELINE_REMOTE_TIMEOUT_S") or str(_PATIENCE_S)
    if not re.fullmatch(r"\d+(\.\d+)?", given) or not float(given):
        raise Failure(
            f"{given!r} is not a number of seconds", where="PIPELINE_REMOTE_TIMEOUT_S", remedy=f"leave it out for {_PATIENCE_S:g}"
        )
    return float(given)


def _wanted(roots: Iterable[Step], is_here: Callable[[Step], bool]) -> list[Step]:
    """What is not here of these steps and of what they need: a step that is here hides what only it needs. Each is requested once."""
    seen: set[str] = set()
    found: list[Step] = []

    def want(step: Step) -> None:
        if step.key in seen:
            return
        seen.add(step.key)
        if not is_here(step):
            found.append(step)
            for needed in step.reads:
                want(needed)

    for root in roots:
        want(root)
    return found


def _name(step: Step) -> str:
    return f"{step.kind}/{step.key}"


def _matching(body: bytes, step: Step) -> StepRecord:
    """The record, if it is that of this very step.

    Raises:
        Failure: it is not; whoever wrote it did not make what the key stands for.
    """
    remedy = "delete that record in it, and find out who wrote it"
    try:
        record = StepRecord.model_validate_json(body)
    except ValidationError as error:
        raise Failure(f"the shared store is corrupt: the record of {_name(step)} cannot be read", remedy=remedy) from error
    needs = {role: _name(needed) for role, needed in step.needs}
    recorded = (record.kind, record.maker, record.options, record.needs, record.tools, record.format)
    if recorded != (step.kind, step.maker, step.options, needs, step.tools, step.format):
        raise Failure(f"the shared store is corrupt: the record of {_name(step)} is about another step", remedy=remedy)
    return record
