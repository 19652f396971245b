"""A package's graph and tokenizer, as the card's program loads them: tokenizer.json says where texts are cut and how they are padded."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from bakehouse.child import events
from bakehouse.tasks.seams import RunRequest, RunResult
from bakehouse.tasks.text_generation.workers.answers import processor

_FIELDS = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
Texts = Sequence[str] | Sequence[tuple[str, str]]


def load(request: RunRequest, graph: str) -> tuple[Callable[[Texts], tuple[Any, Any]], RunResult]:
    """A function that gives what the graph makes of texts, or of pairs of them, and their mask; and what it runs on."""
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer

    events.progress("loading the model")
    started = time.monotonic()
    session = onnxruntime.InferenceSession(request.model / graph, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(request.model / "tokenizer.json"))
    names = [one.name for one in session.get_inputs()]
    load_s = time.monotonic() - started

    def give(texts: Texts) -> tuple[Any, Any]:
        encoded = tokenizer.encode_batch(list(texts))
        inputs = {name: np.array([getattr(one, _FIELDS[name]) for one in encoded], dtype=np.int64) for name in names}
        return session.run(None, inputs)[0], np.array([one.attention_mask for one in encoded])

    result = RunResult(device="CPU", device_name=processor(), load_s=load_s, runtime_options={})
    return give, result
