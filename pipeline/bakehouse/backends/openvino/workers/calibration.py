"""Turns calibration texts into the inputs of an exported model, for NNCF's data-aware methods."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bakehouse.backends.openvino.seams import CalibrationUse
from bakehouse.child import events
from bakehouse.tasks.text_generation.workers import tokenizers_loading

SAMPLES = "samples.txt"
Inputs = dict[str, npt.NDArray[Any]]  # arrays by the names of the model's inputs


def samples(model: Any, calibration: Path, tokenizer: Path, use: CalibrationUse) -> list[Inputs]:
    """Model inputs, one for each of the first `num_samples` lines that are not blank, each cut to `max_tokens` tokens.

    What optimum-intel feeds a text-generation model in calibration: one prefill a sample from an empty state.
    """
    events.progress("tokenizing the calibration texts")
    encode = tokenizers_loading.load(tokenizer)
    lines = [line for line in (calibration / SAMPLES).read_text(encoding="utf-8").splitlines() if line.strip()]
    names = {name for port in model.inputs for name in port.get_names()}
    known = {"input_ids", "attention_mask", "position_ids", "beam_idx"}
    if not names <= known:
        unknown = ", ".join(sorted(names - known))
        events.refuse(f"This model also takes {unknown}, for which no calibration is known.", "Leave out the data-aware methods.")
    texts = (encode(line, truncation=True, max_length=use.max_tokens)["input_ids"] for line in lines[: use.num_samples])
    return [{name: value for name, value in inputs(ids).items() if name in names} for ids in texts if ids]


def inputs(ids: list[int]) -> Inputs:
    """All that a stateful decoder may take for one text from its beginning, as int64 of shape (1, tokens); beam_idx int32 of shape (1,)."""
    row = np.array([ids], dtype=np.int64)
    return {
        "input_ids": row,
        "attention_mask": np.ones_like(row),
        "position_ids": np.arange(len(ids), dtype=np.int64)[None],
        "beam_idx": np.zeros(1, dtype=np.int32),
    }
