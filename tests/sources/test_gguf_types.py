"""GGUF files of every type: their weights are what gguf itself makes of them, and what cannot be read exactly is said in a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bakehouse.formats import gguf_faults, gguf_header
from bakehouse.sources import gguf
from bakehouse.sources.seams import GGUFResult, LocalSpec
from bakehouse.steps.step import Step
from tests.support import cases, worker

pytestmark = pytest.mark.model
READ = ("gguf-bf16", "gguf-q4-k", "gguf-q5-1", "gguf-tied")  # the other types went through the same once, by hand


def source(name: str) -> Path:
    return cases.folder(name) / cases.CASES[name].file


@pytest.mark.parametrize("name", [*READ[:2], *(pytest.param(name, marks=pytest.mark.conformance) for name in READ[2:])])
def test_a_gguf_gives_the_weights_that_gguf_dequantizes(name: str) -> None:
    import numpy as np
    import torch
    from gguf import GGUFReader, quants

    from bakehouse.sources.workers import gguf_checkpoint

    assert list(gguf_faults.faults(gguf_header.read(source(name)))) == []
    reader = gguf_checkpoint.opened(source(name))
    model = gguf_checkpoint.load(source(name), reader, {key: field.contents() for key, field in reader.fields.items()})
    assert model.config.rms_norm_eps == pytest.approx(1e-5)
    assert model.config.tie_word_embeddings == (name == "gguf-tied")
    state = model.state_dict()
    for tensor in GGUFReader(source(name)).tensors:
        shape = [int(size) for size in tensor.shape][::-1]
        expected = torch.from_numpy(np.array(quants.dequantize(tensor.data, tensor.tensor_type)).reshape(shape))
        if heads := next((heads for part, heads in (("attn_q.", 4), ("attn_k.", 2)) if part in tensor.name), 0):
            expected = expected.reshape(heads, -1, 2, shape[1]).swapaxes(1, 2).reshape(shape)
        assert torch.equal(expected.to(torch.bfloat16), state[_place(tensor.name)]), tensor.name


def _place(name: str) -> str:
    """Where a tensor of a Llama's GGUF lies in transformers."""
    named = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
    parts = {"attn_output": "self_attn.o_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
    parts |= {f"attn_{one}": f"self_attn.{one}_proj" for one in "qkv"} | {f"ffn_{one}": f"mlp.{one}_proj" for one in ("gate", "up", "down")}
    match name.removesuffix(".weight").split("."):
        case ["blk", number, part]:
            return f"model.layers.{number}.{parts[part]}.weight"
        case [one]:
            return f"{named[one]}.weight"
    raise AssertionError(name)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("gguf-split", "The GGUF is part 1 of 2; only a file with the whole model is read."),
        ("gguf-scaled", "The GGUF describes parts of the model that its reader ignores."),
        ("gguf-nopre", "The GGUF does not say how its tokenizer splits text (tokenizer.ggml.pre), as files made before May 2024 do not."),
    ],
)
def test_a_gguf_that_cannot_be_read_exactly_is_reported_from_its_header(name: str, what: str) -> None:
    assert [said for said, _ in gguf_faults.faults(gguf_header.read(source(name)))] == [what]


def test_without_an_end_token_a_gguf_ends_as_its_chat_template_does(tmp_path: Path) -> None:
    download: Any = Step(kind="download", maker="local", label="tiny", spec=LocalSpec(fingerprint="0" * 64, gguf="model.gguf"))
    path = source("gguf-noeos")
    said = worker.run(gguf.command(gguf.checkpoint(download, path.name, "tiny"), {"download": path.parent}, tmp_path))
    assert said.code == 0, said.text
    assert said.report.read(GGUFResult).end_tokens == (2,)
    assert json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))["eos_token"] == "<|im_end|>"
    assert json.loads((tmp_path / "generation_config.json").read_text(encoding="utf-8"))["eos_token_id"] == 2
