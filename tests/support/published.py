"""Packages made by hand, as if they had been built, verified and validated: what publishing needs, without a model."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bakehouse.app.workspace import open_workspace
from bakehouse.errors import Failure
from bakehouse.executor.session import Session
from bakehouse.package.manifest import PackageManifest, SourceRecord
from bakehouse.plan.plan import Build
from bakehouse.publish import upload as publish
from bakehouse.publish.upload import Outcome
from bakehouse.records import Agreement, StepRecord, Validation, Verdict
from bakehouse.store import files
from bakehouse.store.store import Staging, Store
from tests.support.bench import Bench, recipe
from tests.support.hub_write import OWNER

REPO = f"{OWNER}/tiny-int4"
PUBLISH = {"repo": f"{OWNER}/tiny-{{build}}"}
SOURCE = {"type": "pypi", "package": "tiny", "version": "1.0", "file": "tiny.gguf", "sha256": "12" * 32, "license": "MIT"}
CARD = "---\nlicense: mit\ntags:\n- openvino\n---\n\n# tiny-int4\n\nA tiny model.\n"
MODEL = {
    "openvino_model.bin": bytes(range(256)) * 300,  # in parts
    "openvino_model.xml": b"<net/>\n",
    "openvino_tokenizer.bin": b"tokens" * 100,  # in one piece
    "config.json": b"{}\n",
    "LICENSE": b"MIT License\n",
    "README.md": CARD.encode(),
}


def bench(folder: Path, publish: Mapping[str, Any] | None = None, **changes: Any) -> Bench:
    """Recipes that publish, and no artifacts."""
    made = Bench(folder)
    made.write(recipe(**{"source": SOURCE, "publish": {**PUBLISH, **(publish or {})}, **changes}))
    return made


def build(made: Bench, name: str = "tiny-int4") -> Build:
    """A build of the bench's plan."""
    found = open_workspace({"PIPELINE_RECIPES": str(made.recipes), "PIPELINE_ARTIFACTS": str(made.artifacts)}).plan.build(name)
    assert found
    return found


def package(made: Bench, contents: Mapping[str, bytes] = MODEL, name: str = "tiny-int4", *, passed: bool = True) -> Path:
    """Put a package of these files into the store and under its name; where it is."""
    planned, store = build(made, name), Store(made.artifacts)
    staging = Staging(made.folder / "staging")
    for path, body in contents.items():
        (staging.files / path).parent.mkdir(parents=True, exist_ok=True)
        (staging.files / path).write_bytes(body)
    manifest = _manifest(planned, staging.files, passed)
    files.write(staging.files / "bakehouse.json", manifest.model_dump_json(indent=2) + "\n")
    step = planned.package
    if store.record(step):
        store.drop(step)
    record = StepRecord(
        kind=step.kind, maker=step.maker, label=step.label, key=step.key, options=step.options, needs={}, tools={}, format=1,
        files=files.records(staging.files), ran=(), facts={}, measured={}, made_at=datetime.now(UTC), made_on={},
    )  # fmt: skip
    store.commit(step, staging, record)
    store.expose(step, name, lambda: None)
    return store.package(name)


def run(made: Bench, name: str = "tiny-int4", *, dry_run: bool = False) -> Outcome:
    """Publish the bench's build, or plan that, with the environment's hub and token."""
    planned = build(made, name)
    assert planned.destination
    session = Session(Store(made.artifacts))
    return publish.run(
        planned.name, planned.package, planned.destination, session, signed=None, dry_run=dry_run, tell=lambda progress: None
    )


def refusal(made: Bench) -> str:
    """What publishing is refused with."""
    with pytest.raises(Failure) as caught:
        run(made)
    return str(caught.value)


def _manifest(planned: Build, folder: Path, passed: bool) -> PackageManifest:
    verdict = Verdict(
        prompt="What is the capital of France?", answer="Paris", tokens=(1,), ended=True, passed=passed, reasons=(),
        agreement=Agreement(common_tokens=1, answer_tokens=1, source_tokens=1), first_token_s=0.1, tokens_per_s=None,
    )  # fmt: skip
    validation = Validation(verdicts=(verdict,), device="CPU", device_name="Some Processor", load_s=1.0, peak_memory_bytes=1)
    return PackageManifest(
        name=planned.name, key=planned.package.key, build=planned.resolved,
        source=SourceRecord(described="the local files model", files=()),
        tools={}, steps=(), files=files.records(folder), measured={}, validation=validation, targets=("CPU",),
        made_at=datetime(2026, 1, 1, tzinfo=UTC), made_on={},
    )  # fmt: skip
