"""GGUF files of several types, of a tiny Llama with the tokenizer of SmolLM2's GGUF."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from tests.support import standin
from tests.support.cases.making import CHAT, RAW, Case

_HIDDEN, _LAYERS, _HEADS, _KV_HEADS, _INNER, _VOCABULARY = 256, 2, 4, 2, 512, 49152
_SIZES = {
    "llama.embedding_length": _HIDDEN,
    "llama.block_count": _LAYERS,
    "llama.attention.head_count": _HEADS,
    "llama.attention.head_count_kv": _KV_HEADS,
    "llama.feed_forward_length": _INNER,
    "llama.rope.dimension_count": _HIDDEN // _HEADS,
    "llama.context_length": 512,
}
_WRITERS_OWN = ("general.architecture", "general.file_type", "general.quantization_version")
_K_BYTES = {"Q6_K": 210, "Q4_K": 144}


def _write(path: Path, kind: str, *, more: Mapping[str, Any] | None = None, tied: bool = False, without: Collection[str] = ()) -> None:
    import numpy as np
    from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter, quants

    kept = GGUFReader(standin.smollm2_gguf()).fields
    random = np.random.default_rng(1)
    writer = GGUFWriter(str(path), "llama")
    for name, found in kept.items():
        if name.startswith("GGUF.") or name in _WRITERS_OWN or name in without:
            continue
        if name in _SIZES:
            writer.add_uint32(name, _SIZES[name])
        elif found.types[0] == GGUFValueType.ARRAY:
            writer.add_array(name, found.contents())
        else:
            writer.add_key_value(name, found.contents(), found.types[0])
    for name, value in (more or {}).items():
        {int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}[type(value)](name, value)
    of_type = GGMLQuantizationType[kind]

    def k_quantized(rows: int, columns: int) -> Any:
        blocks = random.integers(0, 256, (rows, columns // 256, _K_BYTES[kind]), dtype=np.uint8)
        scale = np.frombuffer(np.float16(0.002).tobytes(), np.uint8)
        if kind == "Q6_K":
            blocks[..., 208:210] = scale
            blocks[..., 192:208] = random.integers(0, 20, (rows, columns // 256, 16), dtype=np.uint8)
        else:
            blocks[..., 0:2] = scale
            blocks[..., 2:4] = np.frombuffer(np.float16(0.01).tobytes(), np.uint8)
        return blocks.reshape(rows, -1)

    def matrix(name: str, rows: int, columns: int) -> None:
        values = (random.standard_normal((rows, columns)) * 0.1).astype(np.float32)
        if kind in _K_BYTES:
            writer.add_tensor(name, k_quantized(rows, columns), raw_dtype=of_type)
        elif kind in ("F32", "F16"):
            writer.add_tensor(name, values.astype(np.float32 if kind == "F32" else np.float16))
        else:
            writer.add_tensor(name, quants.quantize(values, of_type), raw_dtype=of_type)

    def norm(name: str) -> None:
        writer.add_tensor(name, np.ones(_HIDDEN, np.float32))

    narrow = _HIDDEN * _KV_HEADS // _HEADS
    matrix("token_embd.weight", _VOCABULARY, _HIDDEN)
    for index in range(_LAYERS):
        at = f"blk.{index}."
        norm(at + "attn_norm.weight")
        norm(at + "ffn_norm.weight")
        for name, rows in (("q", _HIDDEN), ("k", narrow), ("v", narrow), ("output", _HIDDEN)):
            matrix(f"{at}attn_{name}.weight", rows, _HIDDEN)
        matrix(at + "ffn_gate.weight", _INNER, _HIDDEN)
        matrix(at + "ffn_up.weight", _INNER, _HIDDEN)
        matrix(at + "ffn_down.weight", _HIDDEN, _INNER)
    norm("output_norm.weight")
    if not tied:
        matrix("output.weight", _VOCABULARY, _HIDDEN)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _gguf(file: str, kind: str, golden: list[dict[str, Any]] = CHAT, **fields: Any) -> Case:
    def make(files: Path) -> None:
        _write(files / file, kind, **fields)

    return Case(make, golden=golden, file=file)


_TYPES = {"f32": "F32", "f16": "F16", "bf16": "BF16", "q4-0": "Q4_0", "q8-0": "Q8_0", "q6-k": "Q6_K", "q4-k": "Q4_K", "q5-1": "Q5_1"}
CASES = {
    **{f"gguf-{name}": _gguf(f"tiny {name}.gguf", kind) for name, kind in _TYPES.items()},
    "gguf-tied": _gguf("tied.gguf", "Q8_0", tied=True),
    "gguf-split": _gguf("m-00001-of-00002.gguf", "Q8_0", more={"split.no": 0, "split.count": 2, "split.tensors.count": 40}),
    "gguf-scaled": _gguf("scaled.gguf", "Q8_0", more={"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0}),
    "gguf-nopre": _gguf("nopre.gguf", "Q8_0", without=("tokenizer.ggml.pre",)),
    "gguf-notemplate": _gguf("notemplate.gguf", "Q8_0", without=("tokenizer.chat_template",)),
    "gguf-noeos": _gguf("noeos.gguf", "Q8_0", golden=RAW, without=("tokenizer.ggml.eos_token_id",)),
}
