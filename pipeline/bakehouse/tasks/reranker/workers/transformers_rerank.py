"""Scores texts with the unquantized checkpoint in transformers, in float32, one pair at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bakehouse.child import events, start
from bakehouse.steps.seam import Result
from bakehouse.tasks.reranker.seams import ReferenceRequest, Scores
from bakehouse.tasks.workers import completeness

# A buffer that older releases saved and that is computed.
_COMPUTED = "embeddings.position_ids"


def load(checkpoint: Path, *, remote_code: bool, dtype: Any) -> Any:
    """The model, exactly as the checkpoint has it."""
    from transformers import AutoModelForSequenceClassification

    model, report = AutoModelForSequenceClassification.from_pretrained(
        str(checkpoint), output_loading_info=True, local_files_only=True, trust_remote_code=remote_code, dtype=dtype
    )
    report["unexpected_keys"] = [name for name in report["unexpected_keys"] if not name.endswith(_COMPUTED)]
    completeness.judge(report, model)
    return model.eval()


def run(request: ReferenceRequest) -> Result:
    """Write the scores: the sigmoid of the model's number, as cross-encoders of one number are used."""
    with start.own_modules():
        events.progress("loading the checkpoint")
        import torch
        from transformers import AutoTokenizer

        model = load(request.checkpoint, remote_code=request.remote_code, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(request.checkpoint, local_files_only=True, trust_remote_code=request.remote_code)
        longest = min(tokenizer.model_max_length, model.config.max_position_embeddings)
        found = []
        with torch.inference_mode():
            for number, question in enumerate(request.questions):
                events.progress("scoring", number, len(request.questions), "queries")
                pairs = (
                    tokenizer(question.query, text, return_tensors="pt", truncation=True, max_length=longest) for text in question.texts
                )
                found.append(tuple(torch.sigmoid(model(**pair).logits[0, 0]).item() for pair in pairs))
    request.scores.write_text(Scores(scores=tuple(found)).model_dump_json() + "\n", encoding="utf-8", newline="\n")
    return Result()


if __name__ == "__main__":
    start.run(run, ReferenceRequest)
