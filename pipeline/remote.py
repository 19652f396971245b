"""A store that machines share, at PIPELINE_REMOTE: looked into before work, added to after it. Our own store stays the truth."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline import files, process
from pipeline.errors import Failure
from pipeline.maker import Command, worker
from pipeline.manifest import StepRecord
from pipeline.process import Children
from pipeline.progress import size_text
from pipeline.step import Step
from pipeline.store import Store

# What names credentials: the worker that talks to the remote gets them, and no other child.
_CREDENTIALS = re.compile(r"(AWS|AZURE|GOOGLE|GCS|FSSPEC|HF|HUGGING_FACE_HUB)_")
_OURS = ("setup",)  # bound to this machine: environments with its paths in them


class Remote:
    """The shared store, or none; once it could not be reached it is left alone for the rest of the run."""

    def __init__(
        self, store: Store, children: Children, environ: Mapping[str, str] = os.environ, warn: Callable[[str], None] | None = None
    ) -> None:
        self._store, self._children, self._environ = store, children, environ
        self._url = environ.get("PIPELINE_REMOTE", "")
        self._mode = environ.get("PIPELINE_REMOTE_MODE", "write")
        self._warn = warn or (lambda text: print(text, file=sys.stderr))

    def supply(self, roots: Iterable[Step], say: Callable[[str], None]) -> None:
        """Bring here what the remote has of these steps, or else of what they need; what is brought hides what only it needs.

        Raises:
            Failure: the remote holds something that is not what it says it is.
        """
        roots = tuple(roots)
        missing = {step.key: step for root in roots for step in root.closure() if step.kind not in _OURS and not self._store.has(step)}
        if not self._url or not missing:
            return
        self._check_mode()
        listed = self._talk("list", *(_name(step) for step in missing.values()))
        present = set(listed.get("present", ())) if listed else set()
        seen: set[str] = set()

        def want(step: Step) -> None:
            if step.key in seen or self._store.has(step):
                return
            seen.add(step.key)
            if _name(step) in present and self._fetch(step, say):
                return
            for needed in step.reads:
                want(needed)

        for root in roots:
            want(root)

    def keep(self, step: Step) -> None:
        """Put a step there that was made here; a remote that is read only, out of reach or none is fine."""
        if not self._url or self._mode == "read" or step.kind in _OURS:
            return
        try:
            self._talk("put", _name(step), str(self._store.folder(step)))
        except Failure as failure:
            self._warn(f"WARNING: {step.kind} of {step.label} was not put into the remote: {failure.what}")

    def _fetch(self, step: Step, say: Callable[[str], None]) -> bool:
        with self._store.making(step, lambda: say(f"waiting for another run that is at {step.kind} of {step.label}")) as staging:
            if staging is None:
                return True
            files.remove(staging.files)
            staging.files.mkdir()
            facts = self._talk("fetch", _name(step), str(staging.folder))
            if facts is None:
                return False
            written = staging.folder / "record.json"
            record = _matching(written.read_bytes(), step)
            written.unlink()
            staging.log.write_text(f"brought from the remote {self._shown()}\n", encoding="utf-8")
            self._store.commit(step, staging, record)
            say(f"remote   {step.kind} of {step.label}, {size_text(facts['fetched_bytes'])}")
            return True

    def _talk(self, verb: str, *arguments: str) -> dict[str, Any] | None:
        """What the worker answers; None, with a warning, if the remote cannot be reached."""
        if not self._url:
            return None
        environ = {name: value for name, value in self._environ.items() if _CREDENTIALS.match(name)}
        command = Command(worker("remote_store", verb, *arguments).argv, {**environ, "BAKEHOUSE_REMOTE": self._url}, needs_network=True)
        with tempfile.TemporaryDirectory() as scratch:
            log = Path(scratch) / "log.txt"
            done = process.run(command, children=self._children, log=log, scratch=Path(scratch), on_progress=lambda _: None)
        if why := done.facts.get("unreachable"):
            self._warn(f"WARNING: the remote {self._shown()} cannot be used, work goes on without it: {self._harmless(why)}")
            self._url = ""
            return None
        return dict(done.facts)

    def _shown(self) -> str:
        """The URL without a password in it."""
        return re.sub(r"//[^/@]*@", "//", self._environ.get("PIPELINE_REMOTE", ""))

    def _harmless(self, text: str) -> str:
        """An error of a client's without the password that the URL may hold."""
        return re.sub(r"[^/@\s]*@", "", text.replace(self._url, self._shown()))

    def _check_mode(self) -> None:
        if self._mode not in ("read", "write"):
            raise Failure(
                f"{self._mode!r} is no mode", where="PIPELINE_REMOTE_MODE", remedy="set it to read or write, or leave it out for write"
            )


def _name(step: Step) -> str:
    return f"{step.kind}/{step.key}"


def _matching(body: bytes, step: Step) -> StepRecord:
    """The record, if it is that of this very step.

    Raises:
        Failure: it is not; whoever wrote it did not make what the key stands for.
    """
    remedy = "delete that record there, and find out who wrote it"
    try:
        record = StepRecord.model_validate_json(body)
    except ValidationError as error:
        raise Failure(f"the remote is corrupt: the record of {_name(step)} cannot be read", remedy=remedy) from error
    needs = {role: _name(needed) for role, needed in step.needs}
    told = (record.kind, record.maker, record.options, record.needs, record.tools, record.format)
    if told != (step.kind, step.maker, step.options, needs, step.tools, step.format):
        raise Failure(f"the remote is corrupt: the record of {_name(step)} tells of another step", remedy=remedy)
    return record
