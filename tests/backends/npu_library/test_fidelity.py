"""Fidelity of models of the Intel NPU Acceleration Library, measured in the library's own environment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bakehouse.backends.npu_library import backend as npulib
from bakehouse.backends.npu_library.options import NpuLibrary
from bakehouse.backends.npu_library.workers import fidelity as npulib_fidelity
from bakehouse.records import Fidelity
from bakehouse.tasks.text_generation.workers.fidelity_files import FIDELITY
from tests.support import npulib_making as making
from tests.support.fidelity_making import CHECKPOINT, REFERENCE, measured, reference_of


def test_a_fidelity_step_needs_the_model_its_environment_and_the_reference() -> None:
    one = NpuLibrary.model_validate(making.build("int8"))
    parts = npulib.steps("x", one, CHECKPOINT, "x", None, remote_code=False)
    assert npulib.fidelity("x", one, parts, REFERENCE) is None, "a build is not measured: without an NPU that takes hours"
    step = npulib.fidelity("x", one, parts, REFERENCE, positions=512)
    assert step is not None
    assert dict(step.needs) == {**parts, "reference": REFERENCE}


def test_windows_are_padded_to_a_few_lengths_behind_their_own_tokens() -> None:
    assert [npulib_fidelity.padded(range(1, size + 1))[size - 1 :] for size in (64, 63, 1)] == [[64], [63, 0], [1, *[0] * 63]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two models of the tiny Phi-3."""
    folder = tmp_path_factory.mktemp("models")
    for weights in ("fp16", "int8"):
        making.compile_in_environment(making.tiny_phi3(), folder / weights, weights=weights)
    return folder


def fidelity(models: Path, weights: str, files: Path) -> Fidelity:
    one = NpuLibrary.model_validate(making.build(weights))
    step = npulib.fidelity("x", one, npulib.steps("x", one, CHECKPOINT, "x", None, remote_code=False), REFERENCE, positions=512)
    assert step is not None
    files.mkdir()
    environment = making.furnished() / "store" / "setup" / npulib.environment_step().key / "files"
    inputs = {"model": models / weights, "environment": environment, "reference": reference_of(making.tiny_phi3())}
    command = npulib.command(step, inputs, files)
    # The library leaves what it compiles in the folder `cache` of where it runs.
    return measured(replace(command, argv=("env", "-C", str(files.parent), *command.argv)), files)


@pytest.mark.model
@pytest.mark.conformance
@making.needs_library
def test_eight_bits_are_further_from_the_source_than_float16(models: Path, tmp_path: Path) -> None:
    near, rounded = (fidelity(models, weights, tmp_path / weights) for weights in ("fp16", "int8"))
    assert near.figures.kl_mean.high < 1e-3
    assert near.figures.kl_mean.high < rounded.figures.kl_mean.low < 0.05
    assert near.stand_in == (near.device == "CPU")
    assert set(near.sets) == {"prose", "technical", "code", "languages", "answers"}


@pytest.mark.model
@pytest.mark.conformance
@making.needs_library
def test_measuring_a_model_of_the_library_twice_gives_the_same_bytes(models: Path, tmp_path: Path) -> None:
    for name in ("once", "twice"):
        fidelity(models, "int8", tmp_path / name)
    assert (tmp_path / "once" / FIDELITY).read_bytes() == (tmp_path / "twice" / FIDELITY).read_bytes()
