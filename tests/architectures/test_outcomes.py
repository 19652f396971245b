"""The table of architectures is complete, holds what it claims, and a sample of it is as this machine finds it."""

from __future__ import annotations

from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.toolchains.table import INSTALLED
from tests.architectures import outcomes, page, trying
from tests.architectures.outcomes import RUNTIMES, Outcome
from tests.architectures.rows import ROWS

pytestmark = pytest.mark.needs_backend("openvino", "openvino_npu", "onnxruntime_genai")

SAMPLE = ("afmoe", "lfm2", "qwen2")  # experts whose weights upstream reads after it has freed them; caches of two kinds; the usual


def test_every_architecture_has_an_outcome_in_every_runtime() -> None:
    known = outcomes.read()[INSTALLED]
    assert {name: set(lanes) for name, lanes in known.items()} == {name: set(RUNTIMES) for name in ROWS}


def test_so_many_architectures_agree_in_all_tokens() -> None:
    table = outcomes.read()
    assert {runtime: len(page.working(table, runtime)) for runtime in RUNTIMES} == snapshot(
        {"openvino": 43, "onnxruntime-genai": 20, "openvino-npu": 31}
    )


def test_what_the_upstream_command_alone_makes_rightly_and_bakehouse_does_not_is_known() -> None:
    table = outcomes.read()
    ours = []
    for name in ROWS:
        for runtime in RUNTIMES:
            found = page.best(table, name, runtime)
            if found and found[1].outcome != "agrees" and (found[1].upstream or Outcome(outcome="agrees")).outcome == "agrees":
                ours.append(f"{name} {runtime}")
    assert ours == snapshot([])


@pytest.mark.model
def test_a_sample_is_as_the_table_says(tmp_path: Path) -> None:
    found = trying.all_of(trying.Wanted(names=SAMPLE, runtimes=RUNTIMES), tmp_path, at_once=1)
    assert outcomes.differences(outcomes.read()[INSTALLED], found) == []
