"""Merges LoRA adapters into a checkpoint in float32, and compares the merged model with the adapters applied at run time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bakehouse.child import events, start
from bakehouse.formats import safetensors_files
from bakehouse.sources.seams import MergeRequest, MergeResult
from bakehouse.sources.workers import copy_local
from bakehouse.sources.workers.checkpoint_files import ADAPTER_CONFIG
from bakehouse.sources.workers.checkpoint_tensors import Tensors
from bakehouse.sources.workers.shards import write_shards

TOKENS = 24  # that the model writes with the adapters at run time, from each start
STARTS = 3
TOLERANCE = 1e-3  # of the largest logit: float32 sums in another order


def run(request: MergeRequest) -> MergeResult:
    """Fill the folder `files` with the merged weights and all other files of the checkpoint."""
    for folder in request.adapters:
        refuse_other_kinds(folder)
    events.progress("loading the checkpoint")
    with start.own_modules():
        model, difference = merged(request)
        events.progress("writing the merged checkpoint")
        scratch = request.files / ".merged"
        model.save_pretrained(scratch)
        weights = [path.name for path in request.checkpoint.glob("*.safetensors")]
        copy_local.copy_others(request.checkpoint, request.files, (*weights, safetensors_files.INDEX))
        changed: list[str] = []
        with ExitStack() as opened:
            write_shards(_tensors(Tensors(request.checkpoint, opened), Tensors(scratch, opened), changed), request.files)
        shutil.rmtree(scratch)
    return MergeResult(changed=len(changed), compared_tokens=STARTS * TOKENS, largest_difference=difference)


def refuse_other_kinds(folder: Path) -> None:
    """Refuse an adapter that is not LoRA."""
    kind = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8")).get("peft_type")
    if kind != "LORA":
        events.refuse(f"The adapter is of the kind {kind}, and only LORA is merged.", "Leave it out, or merge it yourself.")


def merged(request: MergeRequest) -> tuple[Any, float]:
    """The model in float32 with all adapters in it, and how far its logits are from those with the adapters at run time."""
    import torch

    from bakehouse.sources.workers import lora
    from bakehouse.tasks.text_generation.workers import adapters, loading

    model = loading.causal_lm(request.checkpoint, trust_remote_code=False, dtype=torch.float32).eval()
    largest = 0.0
    for number, (folder, scale) in enumerate(zip(request.adapters, request.scales, strict=True), 1):
        events.progress("merging adapters", number - 1, len(request.adapters))
        before = lora.answers(model, STARTS, TOKENS)
        adapted = adapters.fitting(model, folder, str(number))
        lora.scale(adapted, scale)
        at_run_time = lora.answers(adapted, STARTS, TOKENS)
        if torch.equal(before.logits, at_run_time.logits):
            events.refuse(f"Adapter {number} changes nothing that the model says.", "Leave it out of the recipe.")
        model = adapted.merge_and_unload(safe_merge=True)
        largest = max(largest, lora.difference(model, at_run_time))
    if largest > TOLERANCE:
        events.refuse(
            f"The merged model says something else than the adapters at run time: logits differ by {largest:.2g} of the largest.",
            "Report this: the adapter has something that merging does not keep.",
        )
    return model, largest


def _tensors(before: Tensors, after: Tensors, changed: list[str]) -> Iterator[tuple[str, Any]]:
    """Every tensor of the checkpoint with the values of what was made, in its own type; the names of those that differ.

    What was made lacks a tied weight that the checkpoint has twice. It stays as it is: merging into a tied weight changes both of its
    uses, which adapters at run time do not, so `merged` has refused that.
    """
    import torch

    made = set(after.names)
    for number, name in enumerate(before.names):
        events.progress("writing weights", number, len(before.names))
        old = before.get(name)
        new = after.get(name).to(old.dtype) if name in made else old
        if not torch.equal(new, old):
            changed.append(name)
        yield name, new


if __name__ == "__main__":
    start.run(run, MergeRequest)
