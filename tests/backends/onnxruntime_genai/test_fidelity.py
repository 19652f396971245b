"""Fidelity in ONNX Runtime GenAI: all positions at once, or one by one where a graph gives the last one only."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bakehouse.backends.onnxruntime_genai import backend as ort_genai
from bakehouse.backends.onnxruntime_genai.workers.fidelity import Positions
from bakehouse.recipe.bounds import Bounds
from bakehouse.records import Fidelity
from bakehouse.tasks.text_generation.workers.fidelity_figures import Window
from bakehouse.tasks.text_generation.workers.fidelity_files import FIDELITY
from tests.support import ort_making
from tests.support.bench import ROOT
from tests.support.fidelity_making import REFERENCE, measured, reference_of
from tests.support.ort_making import build, model_step, spec

WINDOW = Window("prose", (5, 6, 7, 8, 9), 1)
Call = tuple[int, int]  # how many ids, and how many of them at once


class Runtime:
    """One whose logits at a position are the id there; it gives them at all positions, or at the last of each call only."""

    def __init__(self, last_only: bool) -> None:
        self.last_only = last_only
        self.calls: list[Call] = []

    def evaluate(self, ids: list[int], prefill: int, scored: Sequence[int]) -> dict[int, Any]:
        self.calls.append((len(ids), prefill))
        return {at: [float(ids[at])] for at in scored if not self.last_only or at >= prefill - 1}


def test_a_window_is_computed_at_once_without_its_last_token() -> None:
    runtime = Runtime(last_only=False)
    positions = Positions(runtime.evaluate)
    assert positions.logits(WINDOW).tolist() == [[6.0], [7.0], [8.0]]
    assert (runtime.calls, positions.stepped) == ([(4, 4)], False)


def test_where_only_the_last_position_is_given_tokens_come_one_by_one_from_then_on() -> None:
    runtime = Runtime(last_only=True)
    positions = Positions(runtime.evaluate)
    assert [positions.logits(WINDOW).tolist() for _ in range(2)] == [[[6.0], [7.0], [8.0]]] * 2
    assert (runtime.calls, positions.stepped) == ([(4, 4), (4, 2), (4, 2)], True)


def test_a_fidelity_step_needs_the_model_and_the_reference_only() -> None:
    one = build(weights="int4")
    model = model_step(one)
    step = ort_genai.fidelity("model-build", one, {"model": model}, REFERENCE)
    assert step is not None
    assert dict(step.needs) == {"model": model, "reference": REFERENCE}
    assert "onnxruntime-genai" in step.tools


def test_bounds_are_in_no_key_of_a_fidelity_step() -> None:
    one = build(weights="int4")
    bounded = one.model_copy(update={"bounds": Bounds(kl_mean=0.2)})
    steps = [ort_genai.fidelity("model-build", each, {"model": model_step(each)}, REFERENCE) for each in (one, bounded)]
    assert len({step.key for step in steps if step}) == 1


# --- with models ----------------------------------------------------------------------------------

BUILDS = {"int4": build(weights="int4", block_size=32), "fp32": build(weights="fp32"), "dml": build("dml", weights="fp16")}
PRUNED = (
    "import sys, pathlib, onnxruntime_genai.models; from bakehouse.backends.onnxruntime_genai.seams import BuildSpec; "
    "from bakehouse.backends.onnxruntime_genai.workers import build; from bakehouse.child import hermetic; hermetic.seal(); "
    "build.build(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), BuildSpec.model_validate_json(sys.argv[3]), ['prune_lm_head=true'])"
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Path:
    """A folder with the tiny model's builds, and `pruned`: the one in float, with the logits of the last position only."""
    folder = tmp_path_factory.mktemp("models")
    ort_making.batch(folder, tiny_checkpoint, BUILDS)
    (folder / "pruned").mkdir()
    argv = [sys.executable, "-c", PRUNED, str(tiny_checkpoint), str(folder / "pruned"), spec(BUILDS["fp32"]).model_dump_json()]
    done = subprocess.run(
        argv, cwd=ROOT, env=os.environ | {"GIT_DIR": os.devnull, "PYTHONPATH": "pipeline"}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def fidelity(models: Path, name: str, checkpoint: Path, files: Path, positions: int | None = None) -> Fidelity:
    one = BUILDS.get(name, BUILDS["fp32"])
    step = ort_genai.fidelity("model-build", one, {"model": model_step(one)}, REFERENCE, positions)
    assert step is not None
    files.mkdir()
    inputs = {"model": models / name, "reference": reference_of(checkpoint)}
    return measured(ort_genai.command(step, inputs, files), files)


@pytest.mark.model
def test_a_float_model_is_its_source_and_four_bits_are_further(models: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    exact, rounded = (fidelity(models, name, tiny_checkpoint, tmp_path / name) for name in ("fp32", "int4"))
    assert exact.figures.kl_mean.high < 1e-6
    assert exact.figures.top1.value > 0.999
    assert rounded.figures.kl_mean.low > 100 * exact.figures.kl_mean.high
    assert (exact.device, exact.stand_in, exact.stepped) == ("CPU", False, False)
    assert set(exact.sets) == {"prose", "technical", "code", "languages", "answers"}


@pytest.mark.model
def test_measuring_twice_gives_the_same_bytes(models: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    for name in ("once", "twice"):
        fidelity(models, "int4", tiny_checkpoint, tmp_path / name)
    assert (tmp_path / "once" / FIDELITY).read_bytes() == (tmp_path / "twice" / FIDELITY).read_bytes()


@pytest.mark.model
def test_a_graph_of_the_last_position_only_is_stepped_to_the_same_figures(models: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    found = fidelity(models, "pruned", tiny_checkpoint, tmp_path / "pruned")
    assert found.stepped
    assert found.figures.kl_mean.high < 1e-6
    assert found.figures.top1.value > 0.999


@pytest.mark.model
def test_a_model_for_a_provider_that_is_not_here_is_measured_on_the_cpu(models: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    found = fidelity(models, "dml", tiny_checkpoint, tmp_path / "dml")
    assert (found.device, found.stand_in) == ("CPU", True)
    assert found.figures.kl_mean.high < 1e-3


@pytest.mark.model
def test_a_part_of_the_positions_is_a_part_of_every_window(models: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    found = fidelity(models, "int4", tiny_checkpoint, tmp_path / "part", positions=256)
    assert 200 < found.figures.positions < 300
    assert max(window.positions for window in found.windows) == -(-256 // found.figures.windows)
