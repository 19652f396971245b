"""Loads a checkpoint that writes text with transformers, and refuses it unless its weights are exactly the model's: see `completeness`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from bakehouse.child import events
from bakehouse.formats import safetensors_files
from bakehouse.tasks.text_generation.workers import layer_prefix
from bakehouse.tasks.workers import completeness


def causal_lm(checkpoint: Path, *, first: int | None = None, **named: Any) -> Any:
    """The model that AutoModelForCausalLM makes of the checkpoint, all of it read from its folder; `named`: see from_pretrained.

    `first`: config.json names so many layers, and the weights of later ones may be there.
    """
    from transformers import AutoModelForCausalLM

    model, report = AutoModelForCausalLM.from_pretrained(
        str(checkpoint), output_loading_info=True, ignore_mismatched_sizes=True, local_files_only=True, **named
    )
    judge(report, model, first)
    return model


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Judge every model that is loaded by another's code while this lasts: the model builder calls `from_pretrained` itself."""
    from transformers import PreTrainedModel

    original: Callable[..., Any] = PreTrainedModel.from_pretrained.__func__

    def from_pretrained(cls: Any, *positional: Any, **named: Any) -> Any:
        model, report = original(cls, *positional, **(named | {"output_loading_info": True, "ignore_mismatched_sizes": True}))
        judge(report, model)
        return (model, report) if named.get("output_loading_info") else model

    PreTrainedModel.from_pretrained = classmethod(from_pretrained)
    try:
        yield
    finally:
        PreTrainedModel.from_pretrained = classmethod(original)


def judge(report: completeness.Report, model: Any, first: int | None = None) -> None:
    """Refuse a model that is not exactly its checkpoint; `first`: see causal_lm."""
    report["unexpected_keys"] = [name for name in report["unexpected_keys"] if not _is_later(name, first)]
    completeness.judge(report, model)


def _is_later(name: str, first: int | None) -> bool:
    number = layer_prefix.layer_of(name)
    return first is not None and number is not None and number >= first


def refuse_beyond(model: Any, tokenizer: Any, ids: Iterable[int]) -> None:
    """Refuse a prompt with token ids that the embedding has no row for, as a tokenizer has that grew without its model."""
    rows = model.get_input_embeddings().weight.shape[0]
    if beyond := sorted({number for number in ids if number >= rows}):
        events.refuse(
            f"A golden prompt has tokens whose ids lie beyond the embedding's {rows:,} rows.",
            "Ask without them, or take a checkpoint whose embedding was resized with its tokenizer.",
            [f"{tokenizer.convert_ids_to_tokens(number)}: {number}" for number in beyond],
        )


def has_two_heads(checkpoint: Path) -> bool:
    """Whether the files hold an embedding and a head of different values; with a configuration that ties them, that is a contradiction.

    transformers 5.5 then uses both as they are in the files (`PreTrainedModel.tie_weights`); a copy of equal bytes is one matrix.
    """
    names = {tensor.name for tensor in safetensors_files.tensors(checkpoint)}
    embedding = next((name for name in sorted(names) if name.endswith("embed_tokens.weight")), None)
    if embedding is None or "lm_head.weight" not in names:
        return False
    return not safetensors_files.equal(checkpoint, embedding, "lm_head.weight")
