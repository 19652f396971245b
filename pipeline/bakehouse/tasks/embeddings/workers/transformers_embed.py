"""Embeds texts with the unquantized checkpoint in transformers, in float32, one at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bakehouse.child import events, start
from bakehouse.records import Pooling
from bakehouse.tasks.embeddings import pooling
from bakehouse.tasks.embeddings.seams import ReferenceRequest, ReferenceResult, Vectors
from bakehouse.tasks.workers import completeness


def load(checkpoint: Path, *, remote_code: bool, dtype: Any) -> Any:
    """The model without a head; only weights of a pooler, which nothing here uses, may be missing."""
    from transformers import AutoModel

    model, report = AutoModel.from_pretrained(
        str(checkpoint), output_loading_info=True, local_files_only=True, trust_remote_code=remote_code, dtype=dtype
    )
    report["missing_keys"] = [name for name in report["missing_keys"] if not name.startswith("pooler.")]
    # A head, which nothing here uses, and a buffer that older releases saved and that is computed.
    unused = ("lm_head.weight", "embeddings.position_ids")
    report["unexpected_keys"] = [name for name in report["unexpected_keys"] if not name.endswith(unused)]
    completeness.judge(report, model)
    return model.eval()


def vector(states: Any, mask: Any, how: Pooling) -> Any:
    """The vector of one text from the states of its tokens, [1, tokens, size]."""
    import torch

    match how.mode:
        case "cls":
            found = states[:, 0]
        case "last_token":
            found = states[:, -1]
        case "mean":
            weights = mask.unsqueeze(-1).to(states.dtype)
            found = (states * weights).sum(1) / weights.sum(1)
    return torch.nn.functional.normalize(found, dim=-1) if how.normalize else found


def run(request: ReferenceRequest) -> ReferenceResult:
    """Write the vectors."""
    with start.own_modules():
        events.progress("loading the checkpoint")
        import torch
        from transformers import AutoTokenizer

        try:
            how = pooling.read(request.checkpoint)
        except pooling.Unpooled as reason:
            events.refuse(f"The model cannot be used for embeddings: {reason}.", "Take a model that is made for embeddings.")
        model = load(request.checkpoint, remote_code=request.remote_code, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(request.checkpoint, local_files_only=True, trust_remote_code=request.remote_code)
        found = []
        with torch.inference_mode():
            for number, text in enumerate(request.texts):
                events.progress("embedding", number, len(request.texts), "texts")
                given = tokenizer(text, return_tensors="pt", truncation=how.max_tokens is not None, max_length=how.max_tokens)
                made = vector(model(**given).last_hidden_state, given["attention_mask"], how)
                found.append(tuple(made[0].tolist()))
    request.vectors.write_text(Vectors(vectors=tuple(found)).model_dump_json() + "\n", encoding="utf-8", newline="\n")
    return ReferenceResult(pooling=how, size=len(found[0]))


if __name__ == "__main__":
    start.run(run, ReferenceRequest)
