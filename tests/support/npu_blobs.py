"""Blobs as NPUW lays them out, of a few hundred bytes, and the IR that they would be compiled from."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from bakehouse.backends.openvino_npu import compiler as npu_compiler
from bakehouse.backends.openvino_npu import verify as npu_rules
from bakehouse.backends.openvino_npu.seams import CompileSpec
from bakehouse.store.files import sha256

WIDTH = 128
NAMES = ("up", "down")
_BANK = "k3" * 16


def write_ir(folder: Path) -> Path:
    """Two layers of whole numbers in 8 bits, the second in groups of 64."""
    folder.mkdir(parents=True)
    numbers = ops.parameter([1, WIDTH], np.float32, name="numbers")
    random = np.random.default_rng(7)
    here: ov.Node = numbers
    for name, shape in zip(NAMES, ((WIDTH, WIDTH), (WIDTH, 2, WIDTH // 2)), strict=True):
        stored = ops.constant(random.integers(-100, 100, shape, dtype=np.int8), name=name)
        scales = ops.constant(random.uniform(0.001, 0.01, (*shape[:-1], 1)).astype(np.float16), name=f"{name}/scale")
        scaled = ops.convert(ops.multiply(ops.convert(stored, np.float16), scales), np.float32)
        matrix = ops.reshape(scaled, ops.constant([WIDTH, WIDTH]), False) if len(shape) == 3 else scaled
        here = ops.matmul(here, matrix, False, True)
    ov.save_model(ov.Model([here], [numbers], "two"), folder / "openvino_model.xml", compress_to_fp16=False)
    return folder


def matrices(folder: Path) -> list[bytes]:
    """The two matrices of such an IR as a bank holds them: the one in groups turned."""
    model = ov.Core().read_model(folder / "openvino_model.xml")
    data = {op.get_friendly_name(): op.get_data() for op in model.get_ops() if op.get_friendly_name() in NAMES}
    return [data["up"].tobytes(), data["down"].transpose(1, 0, 2).tobytes()]


def meaning(folder: Path) -> bytes:
    """The first matrix of such an IR in float16, times its scales."""
    model = ov.Core().read_model(folder / "openvino_model.xml")
    data = {op.get_friendly_name(): op.get_data() for op in model.get_ops() if op.get_type_name() == "Constant"}
    return (data["up"].astype(np.float32) * data["up/scale"].astype(np.float32)).astype(np.float16).tobytes()


def blob(
    spec: CompileSpec,
    tensors: Sequence[bytes | None],
    *,
    beside: bytes = b"",
    compilers: Sequence[str] = ("8.4",),
    weightless: bool = False,
) -> bytes:
    """What a step with this spec would make; None for a tensor without its bytes, `beside` for weights outside of the bank."""
    settings = "".join(f'NPUW_LLM_{name.upper()}="{getattr(spec, name)}" ' for name in _SETTINGS)
    images = b"".join(_image(spec.platform, compiler) for compiler in compilers)
    major, minor, patch = map(int, str(spec.openvino).split("."))
    head = b"\x13\x37npuwLLMCMO" + struct.pack("<3i", major, minor, patch) + _text("0.1") + bytes((0, weightless))
    bank = b"" if weightless else struct.pack("<Q", 1) + _text("CPU") + struct.pack("<Q", len(tensors)) + b"".join(map(_tensor, tensors))
    return head + b'\0NPUW_DEVICES="NPU" ' + settings.encode() + b"\0" + images + beside + _text(_BANK) + bank


def write(files: Path, spec: CompileSpec, model: Path, data: bytes, **changes: object) -> Path:
    """A step's files: the blob, and a description that is right but for the changes."""
    files.mkdir(parents=True, exist_ok=True)
    (files / npu_rules.BLOB).write_bytes(data)
    described = {
        **npu_compiler.described(spec).model_dump(mode="json"),
        "compiler": "8.4",
        "ir_sha256": {name: sha256(model / name) for name in npu_compiler.MODEL},
        "blob_sha256": sha256(files / npu_rules.BLOB),
        **changes,
    }
    (files / npu_rules.DESCRIPTION).write_text(json.dumps(described), encoding="utf-8")
    return files


def write_compiler(folder: Path, compiler: str = "8.4") -> Path:
    """The evidence that a compiler which was set up leaves."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "check.blob").write_bytes(_image(4000, compiler))
    return folder


_SETTINGS = ("max_prompt_len", "min_response_len", "prefill_hint", "generate_hint")


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def _image(platform: int, compiler: str) -> bytes:
    image = b"\x7fELF" + bytes(64) + f"compiler={compiler};npu={platform};t=4".encode() + b"\0" + b"12345678" + b"OVNPU"
    return struct.pack("<Q", len(image)) + image


def _tensor(data: bytes | None) -> bytes:
    if data is None:
        return struct.pack("<QB", 7, 0)
    shape = struct.pack("<QQ", 1, len(data))
    return struct.pack("<QB", 7, 1) + _text("i8") + shape + struct.pack("<Q", len(data)) + data
