"""The stand-ins are what they claim to be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.formats import safetensors_files
from tests.support import standin


def answer(checkpoint: Path, question: str) -> str:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    chat = [{"role": "user", "content": question}]
    asked = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    text: str = tokenizer.decode(model.generate(**asked, max_new_tokens=48, do_sample=False)[0, asked["input_ids"].shape[1] :])
    return text


@pytest.mark.model
def test_the_phi3_computes_what_the_llama_does(smollm2_checkpoint: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    llama = AutoModelForCausalLM.from_pretrained(smollm2_checkpoint, dtype=torch.float32).eval()
    ids = AutoTokenizer.from_pretrained(smollm2_checkpoint)("The capital of France is Paris, and 2 + 2 = 4.", return_tensors="pt")[
        "input_ids"
    ]
    with torch.inference_mode():
        difference = (llama(ids).logits - standin.as_phi3(llama)(ids).logits).abs().max().item()
    assert difference < 1e-4


@pytest.mark.model
def test_the_phi3_answers(phi3_checkpoint: Path) -> None:
    assert answer(phi3_checkpoint, standin.QUESTION) == snapshot("The capital of France is Paris.<|im_end|>")


@pytest.mark.model
def test_the_phi3_has_the_layout_of_the_real_repository(phi3_checkpoint: Path) -> None:
    config = json.loads((phi3_checkpoint / "config.json").read_text(encoding="utf-8"))
    assert config["model_type"] == "phi3"
    assert config["sliding_window"] == 2047 and "layer_types" not in config
    assert all(config[name] % 128 == 0 for name in ("hidden_size", "intermediate_size"))
    assert config["num_attention_heads"] == config["num_key_value_heads"]
    assert safetensors_files.weight_files(phi3_checkpoint) == ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    assert safetensors_files.faults(phi3_checkpoint) == ()
    assert {tensor.dtype for tensor in safetensors_files.tensors(phi3_checkpoint)} == {"BF16"}


@pytest.mark.model
def test_the_tiny_one_answers_by_heart(tiny_checkpoint: Path) -> None:
    for question, said in standin.TINY_ANSWERS.items():
        assert answer(tiny_checkpoint, question) == f"{said}<|im_end|>"
