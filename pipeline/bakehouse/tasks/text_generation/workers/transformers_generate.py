"""Answers prompts greedily with the unquantized checkpoint in transformers: the reference that every build is compared with.

Of builds whose adapters stay separate with these, which peft applies.
"""

from __future__ import annotations

import platform
import time
from functools import partial
from pathlib import Path
from typing import Any

from bakehouse.child import events, mapped, start
from bakehouse.tasks.text_generation.seams import ReferenceRequest, ReferenceResult
from bakehouse.tasks.text_generation.workers import adapters, answers, greedy, loading, reference_model, tokenizers_loading


def load(checkpoint: Path, *, remote_code: bool, float32_below: float) -> Any:
    """The model, in float32 when it has fewer parameters than `float32_below`, else in the checkpoint's own precision."""
    import torch

    model = loading.causal_lm(checkpoint, trust_remote_code=remote_code, dtype="auto")
    reference_model.forget_left_over(model.config)
    reference_model.compute_anew(model)
    if model.num_parameters() < float32_below:
        model = model.to(torch.float32)
    return model.eval()


def run(request: ReferenceRequest) -> ReferenceResult:
    """Write the answers."""
    with start.own_modules():
        events.progress("loading the checkpoint")
        import torch

        started = time.monotonic()
        model = load(request.checkpoint, remote_code=request.remote_code, float32_below=request.float32_below)
        if request.adapters:
            adapters.apply(model, request.adapters, request.scales)
        loaded = tokenizers_loading.read(request.checkpoint, request.remote_code)
        model.generation_config.eos_token_id = tokenizers_loading.end_tokens_of(request.checkpoint, request.remote_code)
        load_s = time.monotonic() - started
        with torch.inference_mode(), mapped.kept_small(request.checkpoint, most_bytes=mapped.AGAIN_BYTES):
            answer = reference_model.alone(model, partial(greedy.answer, model, loaded.tokenizer))
            answers.write(request.answers, request.prompts, answer)
        return ReferenceResult(
            device="CPU",
            device_name=platform.processor() or platform.machine(),
            load_s=load_s,
            dtype=str(model.dtype).removeprefix("torch."),
            end_tokens=tuple(greedy.end_tokens(model)),
            tokenizer_corrected=loaded.corrected,
        )


if __name__ == "__main__":
    start.run(run, ReferenceRequest)
