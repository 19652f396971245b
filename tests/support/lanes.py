"""The lanes that a build can take, one row each: what has to survive kills, damage, a full disk and company is tested on all of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from bakehouse.backends.table import BACKENDS
from bakehouse.records import FileRecord
from tests.support.bench import INT4, Bench, recipe

_OPENVINO = {
    "int4": {"runtime": "openvino", "quantization": INT4},
    "int8": {"runtime": "openvino", "quantization": {"weights": "int8"}},
    "fp16": {"runtime": "openvino", "quantization": {"weights": "fp16"}},
}

# What holds measured times, and so is another at every making.
TIMED = (
    "README.md",
    "bakehouse.json",
    "validation.json",
    "answers.jsonl",
    "answers-in-use.jsonl",
    "answers-in-use.jsonl",
    "bom.json",
    "provenance.json",
    "SHA256SUMS",
)


@dataclass(frozen=True)
class Lane:
    """A build of the tiny model, and what is known of how it is made.

    Attributes:
        builds: the builds of its recipe; `build` is the one that is looked at.
        weights: the name of the package's file that holds the weights.
        kinds: the kinds of its steps, in order.
        compresses: the kind that makes `weights`.
        model: what is built, out of the tiny Llama.
        furnish: puts into a store what the lane needs in addition to the model.
        disk_mb: a disk on which it can be made.
        hooked: whether its children heed PYTHONPATH, and so children/sitecustomize.py.
    """

    runtime: str
    builds: dict[str, Any]
    build: str
    weights: str
    kinds: tuple[str, ...]
    compresses: str = "compress"
    model: Callable[[Path], Path] = lambda tiny: tiny
    furnish: Callable[[Bench], None] = lambda bench: None
    disk_mb: int = 200
    hooked: bool = True

    @property
    def name(self) -> str:
        """The full name of the build."""
        return f"tiny-{self.build}"

    @property
    def task(self) -> str:
        """What one types to make it."""
        return f"build:{self.name}"

    def names(self) -> list[str]:
        """The full names of all its builds."""
        return [f"tiny-{build}" for build in self.builds]


OPENVINO = Lane(
    "openvino",
    _OPENVINO,
    "int4",
    "openvino_model.bin",
    (
        *("download", "export", "tokenizer", "compress", "reference", "reference_logits", "numeric_check", "validate"),
        *("fidelity_reference", "fidelity", "package"),
    ),
)
ONNX = Lane(
    "onnxruntime-genai",
    {
        "ort": {"runtime": "onnxruntime-genai", "execution_provider": "cpu", "quantization": {"weights": "int4", "block_size": 32}},
        "ort-fp32": {"runtime": "onnxruntime-genai", "execution_provider": "cpu", "quantization": {"weights": "fp32"}},
    },
    "ort",
    "model.onnx.data",
    ("download", "compress", "reference", "reference_logits", "numeric_check", "validate", "fidelity", "package"),
)
# Export and tokenizer are the OpenVINO lane's own steps; blobs, whose bytes differ at every making, have tests in openvino_npu.
NPU = Lane(
    "openvino-npu",
    {
        name: {"runtime": "openvino-npu", "quantization": {"weights": weights}, "max_prompt_len": 128, "min_response_len": 64}
        for name, weights in (("npu", "int4"), ("npu-fp16", "fp16"))
    },
    "npu",
    "openvino_model.bin",
    ("compress", "validate", "fidelity", "package"),
)


def _npu_library() -> list[Lane]:
    """The row of the Intel NPU Acceleration Library where that can be tried."""
    if "intel-npu-acceleration-library" not in BACKENDS:
        return []
    from tests.support import npulib_making

    row = Lane(
        npulib_making.RUNTIME,
        {"npulib": npulib_making.build("int8"), "npulib-fp16": npulib_making.build("fp16")},
        "npulib",
        "pytorch_npu_model.pt",
        ("compress", "validate", "package"),
        model=lambda tiny: npulib_making.tiny_phi3(),  # a compiled Llama is generated code, which the lane refuses
        furnish=npulib_making.furnish,
        disk_mb=2000,
        hooked=False,
    )
    return [row] if npulib_making.IS_TRIED else []


LANES = [*(lane for lane in (OPENVINO, ONNX, NPU) if lane.runtime in BACKENDS), *_npu_library()]


def sampled(*runtimes: str) -> pytest.MarkDecorator:
    """All lanes for `make conformance`, these of them in `make test`: for what is the same code in every lane."""
    rows = [pytest.param(lane, marks=() if lane.runtime in runtimes else pytest.mark.conformance, id=lane.name) for lane in LANES]
    return pytest.mark.parametrize("lane", rows, indirect=True, scope="module")


def made_once_a_run(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that the first test process to ask for it makes, and all of this run share. Nobody may change what is in it."""
    base = factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        base = base.parent
    folder, done = base / name, base / f"{name}.done"
    with FileLock(base / f"{name}.lock"):
        if not done.exists():
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


def baked(lane: Lane, factory: pytest.TempPathFactory, checkpoint: Path) -> Bench:
    """All builds of a lane, made without any interruption, once a run of the tests."""

    def bake(folder: Path) -> None:
        bench = fresh(lane, folder, checkpoint)
        bench.build("build")

    return Bench(made_once_a_run(factory, f"baked-{lane.runtime}", bake))


def fresh(lane: Lane, folder: Path, checkpoint: Path) -> Bench:
    """The recipe and the model of a lane, nothing made."""
    bench = Bench(folder)
    bench.write(recipe(builds=lane.builds))
    bench.add_model(lane.model(checkpoint))
    lane.furnish(bench)
    return bench


def bytes_of(files: tuple[FileRecord, ...]) -> dict[str, str]:
    """path -> sha256 of all files that come out the same at every making."""
    return {file.path: file.sha256 for file in files if Path(file.path).name not in TIMED}


def made(bench: Bench, kind: str) -> dict[str, dict[str, str]]:
    """Key -> bytes of what the store has of a kind."""
    return {record.key: bytes_of(record.files) for record in bench.records(kind)}
