"""A request is written to disk and to the log: no secret may be in one."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import bakehouse
from bakehouse.executor import process
from bakehouse.executor.process import Children
from bakehouse.recipe.calibration import CalibrationHub
from bakehouse.sources import calibration
from bakehouse.steps.seam import Request
from tests.support.hub import Hub

SECRET = re.compile(r"(?i)password|passphrase|secret|credential|api_?key|(^|_)(hub|hf|access|auth|bearer)_token$|^token$|authorization")


def _requests() -> Iterator[type[Request]]:
    """Every request of every room."""
    for module in pkgutil.walk_packages(bakehouse.__path__, "bakehouse."):
        if module.name.endswith(".seams"):
            importlib.import_module(module.name)
    left: list[type[Request]] = [Request]
    while left:
        yield (kind := left.pop())
        left += kind.__subclasses__()


def test_no_request_has_a_field_for_a_secret() -> None:
    requests = list(_requests())
    assert len(requests) > 10
    assert [f"{kind.__name__}.{name}" for kind in requests for name in kind.model_fields if SECRET.search(name)] == []


def test_a_token_reaches_the_hub_and_no_file_of_the_run(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "texts.txt").write_text("A sample.\n", encoding="utf-8")
    hub.serve(tmp_path / "served", "bakers/texts", "0" * 40, type="dataset")
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_TOKEN", "hf_hushhushhush")
    source = CalibrationHub(type="huggingface", repo="bakers/texts", revision="0" * 40, file="texts.txt")
    files = tmp_path / "files"
    files.mkdir()
    command = calibration.command(calibration.samples(source, "tiny", None), {}, files)
    log, scratch = tmp_path / "log.txt", tmp_path / "scratch"
    process.run(command, children=Children(), log=log, scratch=scratch, on_progress=lambda _: None)
    assert "Bearer hf_hushhushhush" in hub.tokens
    assert (scratch / "request.json").is_file() and (scratch / "result.json").is_file() and log.is_file()
    assert [path for path in tmp_path.rglob("*") if path.is_file() and b"hush" in path.read_bytes()] == []
