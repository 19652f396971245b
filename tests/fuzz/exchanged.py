"""Readers of what other machines answer: the hub, and the store that machines share; and of the records of our own store."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from random import Random
from unittest.mock import patch

from bakehouse.executor.seams import FetchStep, ListSteps, StoreRequest
from bakehouse.executor.workers import remote_store
from bakehouse.sources.look import LookRequest
from bakehouse.sources.seams import SurveyRequest
from bakehouse.steps.step import Step
from bakehouse.store import store as stores
from bakehouse.store.store import Store
from tests.fuzz import mutate
from tests.fuzz.campaign import Target
from tests.support import fakes, standin

# --- the shared store -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Shared:
    step: Step
    store: Store
    root: Path
    record: bytes
    content: Path


def _shared(folder: Path) -> _Shared:
    from bakehouse.executor.workers.remote_store import put

    one, store = fakes.step(bits=4), Store(folder / "artifacts")
    fakes.put(one, store, model_bin="weights" * 100, made_txt="made")
    root = folder / "shared"
    root.mkdir()
    put(remote_store.opened(f"file://{root}", 20), f"{one.kind}/{one.key}", store.folder(one))
    written = root / "steps" / one.kind / f"{one.key}.json"
    content = max((path for path in (root / "objects").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    return _Shared(one, store, root, written.read_bytes(), content)


def _entry(random: Random, shared: _Shared) -> tuple[bytes, bytes | None]:
    """The record of a step changed, or a content."""
    if random.random() < 0.85:
        return mutate.of_json(random, [shared.record]), None
    return shared.record, mutate.of_bytes(random, [shared.content.read_bytes()])


def _read_entry(entry: tuple[bytes, bytes | None], shared: _Shared) -> list[str]:
    from bakehouse.executor import shared_store

    record, content = entry
    (shared.root / "steps" / shared.step.kind / f"{shared.step.key}.json").write_bytes(record)
    whole = shared.content.read_bytes()
    os.environ["BAKEHOUSE_REMOTE"] = f"file://{shared.root}"
    target = shared.root.parent / "fetched"
    name = f"{shared.step.kind}/{shared.step.key}"
    try:
        if content is not None:
            shared.content.write_bytes(content)
        remote_store.run(StoreRequest(work=ListSteps(names=(name,)), patience_s=20))
        found = remote_store.run(StoreRequest(work=FetchStep(name=name, folder=target), patience_s=20))
        if found.unreachable or found.refuses:
            return [found.unreachable or found.refuses or ""]
        shared_store._matching((target / "record.json").read_bytes(), shared.step)
        return []
    finally:
        shared.content.write_bytes(whole)


# --- records of our own store -----------------------------------------------------------------------------------------


def _record(random: Random, shared: _Shared) -> bytes:
    return mutate.of_json(random, [(shared.store.folder(shared.step) / stores.RECORD).read_bytes()])


def _read_record(body: bytes, shared: _Shared) -> list[str]:
    path = shared.store.folder(shared.step) / stores.RECORD
    whole = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(body)
    try:
        shared.store.has(shared.step)
        found = shared.store.damage(shared.step, thorough=True)
        list(shared.store.all_records())
        shared.store.prunable([], [])
        return [ascii(text)[:1000] for text in found]
    finally:
        path.write_bytes(whole)


# --- the hub ----------------------------------------------------------------------------------------------------------

REPO, COMMIT = "bakers/tiny", "0123456789abcdef0123456789abcdef01234567"


@dataclass
class _Hub:
    folder: Path
    files: dict[str, bytes]
    info: bytes
    answers: dict[str, tuple[int, dict[str, str], bytes]]  # what is answered otherwise, by the end of the path


def _hub(folder: Path) -> _Hub:
    """The client of the hub, with a transport that answers from memory."""
    import httpx
    from huggingface_hub import set_client_factory

    model = folder / "model"
    model.mkdir()
    standin.write_untrained(model)
    files = {path.name: path.read_bytes() for path in model.iterdir()}
    siblings = [{"rfilename": name, "size": len(body), "blobId": "0" * 40} for name, body in files.items()]
    siblings.append({"rfilename": "big.bin", "size": 3, "lfs": {"size": 9, "sha256": "0" * 64, "pointerSize": 1}})
    info = {
        "id": REPO,
        "sha": COMMIT,
        "private": False,
        "siblings": siblings,
        "cardData": {"license": "mit", "license_name": "x", "license_link": "y"},
        "config": {"architectures": ["LlamaForCausalLM"], "model_type": "llama"},
        "gated": None,
    }
    hub = _Hub(folder, files, json.dumps(info).encode(), {})

    def answer(request: httpx.Request) -> httpx.Response:
        name = request.url.path.rpartition("/")[2]
        status, headers, body = hub.answers.get(name, (200, {}, hub.info if "/api/" in request.url.path else hub.files.get(name, b"")))
        return httpx.Response(status, headers=headers, content=body)

    set_client_factory(lambda: httpx.Client(transport=httpx.MockTransport(answer), follow_redirects=True))
    return hub


_HEADERS: tuple[dict[str, str], ...] = (
    {},
    {"X-Error-Code": "RepoNotFound", "X-Error-Message": "gone"},
    {"X-Error-Code": "GatedRepo"},
    {"X-Error-Code": "RevisionNotFound"},
    {"X-Error-Message": "\x1b[31mred"},
    {"X-Error-Code": "\t", "X-Request-Id": "x" * 500},
    {"Content-Type": "application/json", "Content-Range": "bytes 9-1/x"},
    {"Location": "http://[::1"},
    {"Content-Encoding": "gzip"},
    {"Content-Length": "99999999999"},
    {"Retry-After": "-1", "ETag": '"'},
)
_STATUSES = (200,) * 8 + (201, 204, 206, 301, 307, 400, 401, 403, 404, 416, 418, 451)


def _answer(random: Random, hub: _Hub) -> dict[str, tuple[int, dict[str, str], bytes]]:
    """The model's info or a file of it, changed, with a status and headers of any kind."""
    name = random.choice((COMMIT, COMMIT, COMMIT, "config.json", "tokenizer_config.json", "model.safetensors"))
    base = hub.info if name == COMMIT else hub.files[name]
    body = mutate.of_json(random, [base]) if name != "model.safetensors" else mutate.of_bytes(random, [base[:4000]])
    errors = (b'{"error": "x"}', b'{"error": ["\\u001b[1m"]}', b"<html>", b'{"errors": [{"message": 3}]}', b'{"error": {"a": 1}}')
    status = random.choice(_STATUSES)
    return {
        name: (status, random.choice(_HEADERS) if random.random() < 0.3 else {}, body if status < 300 else random.choice((body, *errors)))
    }


def _read_answer(answers: dict[str, tuple[int, dict[str, str], bytes]], hub: _Hub) -> list[str]:
    from bakehouse.sources.workers import hub_look, hub_survey

    hub.answers = answers
    with patch("time.sleep"):  # they ask again after a while
        hub_look.run(LookRequest(repo=REPO, revision=COMMIT))
        hub_survey.run(SurveyRequest(repo=REPO, revision=COMMIT, remote_code={}, files=hub.folder))
    return []


TARGETS = (
    Target("shared", _entry, _shared, _read_entry),
    Target("record", _record, _shared, _read_record),
    Target("hub", _answer, _hub, _read_answer),
)
