"""Judges what transformers reports of loading a checkpoint: its weights must be exactly the model's.

transformers fills a weight that is missing with random numbers, and leaves out one that it has no place for; it says so in its log only
(5.5 and 4.46, `modeling_utils.py`). What it reports as missing or unexpected has been through the model class's own exceptions
(`_keys_to_ignore_on_load_missing` and `_unexpected`), its renaming of older checkpoints, and tied weights.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Required, TypedDict

from bakehouse.child import events
from bakehouse.child.names import listed


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


def judge(report: Report, model: Any) -> None:
    """Refuse a model that is not exactly its checkpoint, by what transformers reports of its loading."""
    missing = sorted(report["missing_keys"])
    unexpected = sorted(name for name in report["unexpected_keys"] if not _is_computed(name, model))
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


def _sizes(shape: Iterable[int]) -> str:
    return " x ".join(str(size) for size in shape)
