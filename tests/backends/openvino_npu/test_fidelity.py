"""Fidelity of NPU builds: the model on the CPU plugin, and some tokens of answers in the pipeline's graphs of fixed shape."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bakehouse.backends.openvino_npu import backend as openvino_npu
from bakehouse.backends.openvino_npu.workers import fidelity as npu_fidelity
from bakehouse.records import Fidelity
from bakehouse.tasks.text_generation.workers import fidelity_figures, fidelity_files
from bakehouse.tasks.text_generation.workers.fidelity_figures import ANSWERS, Kept, Window
from bakehouse.tasks.text_generation.workers.fidelity_files import FIDELITY, Facts, Reference
from tests.support import npu_making
from tests.support.fidelity_making import REFERENCE, measured, reference_of

VOCABULARY = 7


def answer(prompt: int, tokens: int) -> Window:
    """A window of so many tokens of a prompt and of its answer."""
    return Window(ANSWERS, tuple(at % VOCABULARY for at in range(prompt + tokens)), prompt - 1)


def rows(window: Window) -> Any:
    """Logits by which the token at a position is what comes next."""
    return 5.0 * np.eye(VOCABULARY)[list(window.ids[window.first : -1])]


def reference(*windows: Window) -> Reference:
    kept = [fidelity_figures.keep(rows(window), window.ids[window.first + 1 :]) for window in windows]
    names = ("tokens", "log_probabilities", "rest", "target", "choice")
    return Reference(
        Facts("text", "float32", 0.0), windows, Kept(*(np.concatenate([getattr(one, name) for one in kept]) for name in names))
    )


def test_the_first_answers_that_fit_into_the_graphs_are_taken() -> None:
    text = Window("prose", tuple(range(60)), 16)
    windows = [text, answer(65, 4), answer(64, 4), text, answer(48, 30), *[answer(10, 4)] * 9]
    assert npu_fidelity.answers(windows, 64, 80) == [2, 4, 5, 6]
    assert npu_fidelity.answers(windows, 64, 79) == [4, 5, 6, 7]


def test_graphs_and_model_are_compared_at_the_same_positions() -> None:
    known = reference(answer(5, 20), Window("prose", tuple(range(5)), 1), answer(6, 3))
    found = fidelity_files.measure(known, rows, None)
    calls: list[tuple[int, int]] = []

    def wrong(ids: list[int], prefill: int, scored: Sequence[int]) -> dict[int, Any]:
        calls.append((len(ids), prefill))
        return {at: np.zeros(VOCABULARY) for at in scored}

    both = npu_fidelity.of_graphs(wrong, known, found, [0, 2])
    assert calls == [(20, 5), (8, 6)]  # of the first answer 16 tokens
    assert both["graphs"]["positions"] == both["model"]["positions"] == 16 + 3
    assert both["model"]["kl_mean"]["value"] < 1e-6 < both["graphs"]["kl_mean"]["value"]


def test_blobs_are_in_no_key_of_a_fidelity_step_and_lengths_are() -> None:
    def key(**more: Any) -> str:
        one = npu_making.build(**more)
        step = openvino_npu.fidelity("model-npu", one, npu_making.steps(one), REFERENCE)
        assert step is not None and {role for role, _ in step.needs} == {"model", "reference"}
        return step.key

    assert key() == key(platforms=(5010, 4000)) != key(max_prompt_len=256)


# --- with models ----------------------------------------------------------------------------------


def fidelity(checkpoint: Path, files: Path, positions: int | None = None, **quantization: Any) -> Fidelity:
    one = npu_making.build(**quantization)
    step = openvino_npu.fidelity("model-npu", one, npu_making.steps(one), REFERENCE, positions)
    assert step is not None
    files.mkdir()
    inputs = {"model": npu_making.model_of(checkpoint, **quantization), "reference": reference_of(checkpoint)}
    return measured(openvino_npu.command(step, inputs, files), files)


@pytest.mark.model
def test_graphs_of_fixed_shape_are_as_far_from_the_source_as_their_model(tiny_checkpoint: Path, tmp_path: Path) -> None:
    found = fidelity(tiny_checkpoint, tmp_path / "int4")
    assert found.graphs is not None
    assert found.graphs.graphs.positions == found.graphs.model.positions > 16
    assert found.graphs.graphs.kl_mean.value == pytest.approx(found.graphs.model.kl_mean.value, rel=0.1)
    assert (found.device, found.stand_in) == ("CPU", True)


@pytest.mark.model
def test_measuring_an_npu_build_twice_gives_the_same_bytes(tiny_checkpoint: Path, tmp_path: Path) -> None:
    for name in ("once", "twice"):
        fidelity(tiny_checkpoint, tmp_path / name)
    assert (tmp_path / "once" / FIDELITY).read_bytes() == (tmp_path / "twice" / FIDELITY).read_bytes()


@pytest.mark.model
def test_a_part_of_the_positions_is_measured_without_the_graphs(tiny_checkpoint: Path, tmp_path: Path) -> None:
    found = fidelity(tiny_checkpoint, tmp_path / "part", positions=256)
    assert found.graphs is None
    assert 200 < found.figures.positions < 300
