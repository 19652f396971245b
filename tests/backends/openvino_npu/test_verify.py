"""What a blob is compared with, on blobs of a few hundred bytes. What the compiler makes of real models is in test_compile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.backends.openvino_npu import backend as openvino_npu
from bakehouse.backends.openvino_npu.seams import CompileResult, CompileSpec
from bakehouse.steps.step import Step
from tests.support import npu_blobs
from tests.support.npu_making import build, steps
from tests.support.openvino_making import report


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An IR of two matrices."""
    return npu_blobs.write_ir(tmp_path_factory.mktemp("ir") / "files")


def step(**options: Any) -> Step:
    return steps(build(**options))["blob-4000"]


def faults(model: Path, folder: Path, data: bytes, *, compiler: str = "8.4", of: Step | None = None, **changes: object) -> tuple[str, ...]:
    """What verify finds wrong with a step's files."""
    made = of or step()
    files = npu_blobs.write(folder / "files", made.spec_as(CompileSpec), model, data, **changes)
    inputs = {"model": model, "compiler": npu_blobs.write_compiler(folder / "compiler", compiler)}
    return openvino_npu.verify(made, inputs, files, report(CompileResult(driver="wine"))).faults


def whole(model: Path) -> bytes:
    return npu_blobs.blob(step().spec_as(CompileSpec), npu_blobs.matrices(model))


def test_a_blob_that_holds_every_weight_is_right(model: Path, tmp_path: Path) -> None:
    assert faults(model, tmp_path, whole(model)) == ()


def test_weights_that_lie_next_to_a_graph_are_found(model: Path, tmp_path: Path) -> None:
    up, down = npu_blobs.matrices(model)
    assert faults(model, tmp_path, npu_blobs.blob(step().spec_as(CompileSpec), [down], beside=up)) == ()


@pytest.mark.parametrize(("kept", "name"), [(0, "down"), (1, "up")])
def test_a_blob_without_one_of_the_weights_is_refused_by_its_name(kept: int, name: str, model: Path, tmp_path: Path) -> None:
    data = npu_blobs.blob(step().spec_as(CompileSpec), [npu_blobs.matrices(model)[kept]])
    assert faults(model, tmp_path, data) == (f"the blob lacks weights of the model that it was compiled from: {name}",)


def test_an_embedding_that_lies_there_as_the_float16_that_it_means_is_found_and_not_another(model: Path, tmp_path: Path) -> None:
    meant, down = npu_blobs.meaning(model), npu_blobs.matrices(model)[1]
    assert faults(model, tmp_path / "right", npu_blobs.blob(step().spec_as(CompileSpec), [meant, down])) == ()
    (fault,) = faults(model, tmp_path / "wrong", npu_blobs.blob(step().spec_as(CompileSpec), [meant[:-2] + b"\0\0", down]))
    assert fault == snapshot("the blob lacks weights of the model that it was compiled from: up")


def test_a_blob_with_one_byte_of_a_weight_changed_is_refused(model: Path, tmp_path: Path) -> None:
    up, down = npu_blobs.matrices(model)
    other = up[:-1] + bytes((up[-1] ^ 1,))
    (fault,) = faults(model, tmp_path, npu_blobs.blob(step().spec_as(CompileSpec), [other, down]))
    assert fault == snapshot("the blob lacks weights of the model that it was compiled from: up")


def test_a_blob_of_another_model_lacks_all_weights(model: Path, tmp_path: Path) -> None:
    (fault,) = faults(model, tmp_path, npu_blobs.blob(step().spec_as(CompileSpec), [bytes(10), bytes(20)]))
    assert fault.endswith(": up and 1 more")


def test_weights_that_are_listed_without_their_bytes_are_refused(model: Path, tmp_path: Path) -> None:
    data = npu_blobs.blob(step().spec_as(CompileSpec), [npu_blobs.matrices(model)[0], None])
    assert faults(model, tmp_path, data) == snapshot(("the blob lists 1 of its 2 weights without their bytes",))


def test_a_weightless_blob_needs_no_weights(model: Path, tmp_path: Path) -> None:
    made = step(cache_mode="OPTIMIZE_SIZE")
    data = npu_blobs.blob(made.spec_as(CompileSpec), (), weightless=True)
    assert faults(model, tmp_path, data, of=made) == ()
    (fault,) = faults(model, tmp_path, data[:-1], of=made)
    assert "breaks off" in fault


def test_a_blob_that_breaks_off_is_refused_wherever_that_is(model: Path, tmp_path: Path) -> None:
    data = whole(model)
    for size in range(64, len(data), 101):
        assert len(faults(model, tmp_path, data[:size])) == 1, size
    assert faults(model, tmp_path, data[:-1]) == snapshot(
        ("openvino_model.blob breaks off: the weights, which are its last part, do not end where it ends",)
    )


def test_a_blob_with_something_behind_its_end_is_refused(model: Path, tmp_path: Path) -> None:
    (fault,) = faults(model, tmp_path, whole(model) + b"\0")
    assert "do not end where it ends" in fault


def test_the_description_must_hold_of_the_blob_and_of_the_model(model: Path, tmp_path: Path) -> None:
    assert faults(model, tmp_path, whole(model), platform=3720, blob_sha256="0" * 64, more=1) == (
        f"openvino_model.json says blob_sha256 {'0' * 64}, should be {_sha256(tmp_path)}",
        "openvino_model.json says more 1, should be None",
        "openvino_model.json says platform 3720, should be 4000",
    )
    (tmp_path / "files/openvino_model.json").write_text("{}", encoding="utf-8")
    found = openvino_npu.verify(step(), {"model": model}, tmp_path / "files", report(CompileResult(driver="wine"))).faults
    assert "openvino_model.json says cache_mode None, should be OPTIMIZE_SPEED" in found


def _sha256(folder: Path) -> str:
    return npu_blobs.sha256(folder / "files/openvino_model.blob")


def test_a_blob_by_another_compiler_than_the_one_that_was_set_up_is_refused(model: Path, tmp_path: Path) -> None:
    data = npu_blobs.blob(step().spec_as(CompileSpec), npu_blobs.matrices(model), compilers=["8.4", "8.4"])
    assert faults(model, tmp_path, data, compiler="8.5") == snapshot(("the compiler 8.4 made the blob, should be 8.5",))


def test_a_blob_by_two_compilers_is_refused(model: Path, tmp_path: Path) -> None:
    data = npu_blobs.blob(step().spec_as(CompileSpec), npu_blobs.matrices(model), compilers=["8.4", "8.5"])
    (fault, _) = faults(model, tmp_path, data)
    assert fault == snapshot("the blob's graphs are by the compilers 8.4, 8.5; all must be by one that is known")
