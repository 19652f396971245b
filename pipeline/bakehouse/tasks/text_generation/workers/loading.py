"""Loads a checkpoint with transformers, and refuses it unless its weights are exactly the model's.

transformers fills a weight that is missing with random numbers, and leaves out one that it has no place for; it says so in its log only
(5.5 and 4.46, `modeling_utils.py`). What it reports as missing or unexpected has been through the model class's own exceptions
(`_keys_to_ignore_on_load_missing` and `_unexpected`), its renaming of older checkpoints, and tied weights.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Required, TypedDict

from bakehouse.child import events
from bakehouse.child.names import listed
from bakehouse.formats import safetensors_files
from bakehouse.tasks.text_generation.workers import layer_prefix


class Report(TypedDict, total=False):
    """What `from_pretrained` reports with output_loading_info (transformers 4.46 and 5.5); of a mismatch name, size found, size wanted."""

    missing_keys: Required[Iterable[str]]
    unexpected_keys: Required[Iterable[str]]
    mismatched_keys: Required[Iterable[tuple[str, Iterable[int], Iterable[int]]]]
    error_msgs: Iterable[str] | None


REMEDY = "Take a complete checkpoint of this architecture, as the model's author published it, as the source."
MOST_NAMES = 12
# Buffers that older releases saved and that are computed from config.json: frequencies, causal masks and their fill value.
_COMPUTED = re.compile(r"(?:rotary_emb\.(?:inv_freq|cos_cached|sin_cached)|attn\.(?:masked_)?bias|attention\.(?:masked_)?bias)$")


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


def judge(report: Report, model: Any, first: int | None = None) -> None:
    """Refuse a model that is not exactly its checkpoint, by what transformers reports of its loading; `first`: see causal_lm."""
    missing = sorted(report["missing_keys"])
    unexpected = sorted(name for name in report["unexpected_keys"] if not (_is_computed(name, model) or _is_later(name, first)))
    mismatched = [
        f"{name}: {_sizes(found)} in the file, {_sizes(wanted)} by config.json" for name, found, wanted in sorted(report["mismatched_keys"])
    ]
    errors = [str(error) for error in report.get("error_msgs") or ()]
    lines = [
        *listed("missing", missing, MOST_NAMES),
        *listed("not of this architecture", unexpected, MOST_NAMES),
        *listed("of another size", mismatched, MOST_NAMES),
        *listed("not read", errors, MOST_NAMES),
    ]
    if lines:
        kind = type(model).__name__
        events.refuse(f"The checkpoint's weights are not those of a {kind} with its config.json.", REMEDY, lines)


def _is_computed(name: str, model: Any) -> bool:
    """Whether a weight that has no place is a buffer that the architecture computes, so that leaving it out changes nothing."""
    return bool(_COMPUTED.search(name)) and name not in dict(model.named_parameters())


def _is_later(name: str, first: int | None) -> bool:
    number = layer_prefix.layer_of(name)
    return first is not None and number is not None and number >= first


def _sizes(shape: Iterable[int]) -> str:
    return " x ".join(str(size) for size in shape)


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
