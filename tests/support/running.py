"""A package whose runtime is made up (support/fake_runtime): the real commands, workers and processes run it in milliseconds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.package.test_card import manifest
from tests.support.packed import pack

FAKES = Path(__file__).parent / "fake_runtime"
NAME = "phi3-int4-openvino"
CONTEXT = 64


def packed(artifacts: Path) -> Path:
    """The package NAME below `artifacts`/packages, whose context has CONTEXT tokens."""
    folder = artifacts / "packages" / NAME
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(f'{{"max_position_embeddings": {CONTEXT}}}\n')
    return pack(folder, manifest())


def use(artifacts: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have commands find that package, and their children the made-up runtime."""
    monkeypatch.setenv("PIPELINE_ARTIFACTS", str(artifacts))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(FAKES), os.environ["PYTHONPATH"])))
    return packed(artifacts)
