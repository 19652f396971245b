"""Checkpoints whose weights are not what config.json says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.cases.making import VOCABULARY, Case, edit, model, raw, rewrite, save, tokenizer


def _missing_tensor(files: Path) -> None:
    save(model(), files)
    rewrite(files, lambda tensors: {name: value for name, value in tensors.items() if name != "model.layers.1.mlp.down_proj.weight"})


def _prefixed_weights(files: Path) -> None:
    """As torch.compile leaves them."""
    save(model(), files)
    rewrite(files, lambda tensors: {f"_orig_mod.{name}": value for name, value in tensors.items()})


def _reward_model(files: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    settings = model().config
    settings.num_labels = 1
    torch.manual_seed(0)
    save(AutoModelForSequenceClassification.from_config(settings).to(torch.bfloat16), files)


def _headless(files: Path) -> None:
    """The base model alone, not tied: its head would be invented."""
    save(model(), files)
    rewrite(files, lambda tensors: {name: value for name, value in tensors.items() if name != "lm_head.weight"})


def _extra_tensor(files: Path) -> None:
    """A weight that the architecture has no place for."""
    import torch

    save(model(), files)
    rewrite(files, lambda tensors: tensors | {"model.layers.0.mlp.extra_proj.weight": torch.zeros(64, 64, dtype=torch.bfloat16)})


def _tied_but_two(files: Path) -> None:
    """tie_word_embeddings, and the file holds a head of its own that differs."""
    import torch

    save(model(tie_word_embeddings=True), files)

    def untied(tensors: dict[str, Any]) -> dict[str, Any]:
        torch.manual_seed(5)
        head = torch.randn_like(tensors["model.embed_tokens.weight"].float()).mul(0.2).to(torch.bfloat16)
        return tensors | {"lm_head.weight": head}

    rewrite(files, untied)


def _tokens_beyond(files: Path) -> None:
    words = tokenizer()
    words.add_special_tokens({"pad_token": "[PAD]", "additional_special_tokens": ["<tool>", "</tool>"]})
    save(model(pad_token_id=None), files, words)


def _vocab_off_by_one(files: Path) -> None:
    save(model(vocab_size=VOCABULARY + 1), files)
    edit(files / "config.json", vocab_size=VOCABULARY)


def _quantized(settings: dict[str, Any]) -> Any:
    def make(files: Path) -> None:
        save(model(), files)
        edit(files / "config.json", quantization_config=settings)

    return make


def _fp8_bare(files: Path) -> None:
    import torch

    save(model(), files)
    rewrite(files, lambda tensors: {name: value.to(torch.float8_e4m3fn) if "proj" in name else value for name, value in tensors.items()})


CASES = {
    "missing-tensor": Case(_missing_tensor),
    "prefixed-weights": Case(_prefixed_weights),
    "reward-model": Case(_reward_model),
    "headless": Case(_headless),
    "extra-tensor": Case(_extra_tensor),
    "tied-but-two": Case(_tied_but_two),
    "tokens-beyond": Case(_tokens_beyond, golden=[raw("The quick <tool>brown</tool> fox")]),
    "vocab-off-by-one": Case(_vocab_off_by_one),
    "q-gptq": Case(_quantized({"quant_method": "gptq", "bits": 4, "group_size": 32})),
    "q-bnb": Case(_quantized({"quant_method": "bitsandbytes", "load_in_4bit": True})),
    "q-fp8": Case(_quantized({"quant_method": "fp8", "activation_scheme": "dynamic"})),
    "q-fp8-bare": Case(_fp8_bare),
}
