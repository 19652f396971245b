"""Scores texts with the unquantized checkpoint in transformers, in float32, one pair at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bakehouse.child import events, start
from bakehouse.steps.seam import Result
from bakehouse.tasks.reranker import writers
from bakehouse.tasks.reranker.seams import Question, ReferenceRequest, Scores
from bakehouse.tasks.text_generation.workers import loading
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


def load_writer(checkpoint: Path, *, remote_code: bool, dtype: Any) -> Any:
    """A model that writes text, exactly as the checkpoint has it."""
    return loading.causal_lm(checkpoint, trust_remote_code=remote_code, dtype=dtype).eval()


def _scorer(request: ReferenceRequest, tokenizer: Any, writes: bool) -> Callable[[Question, str], float]:
    """Scores a text: the sigmoid of the model's number, or how likely it writes yes and not no."""
    import torch

    wanted: dict[str, Any] = {"remote_code": request.remote_code, "dtype": torch.float32}
    model = (load_writer if writes else load)(request.checkpoint, **wanted)
    cut = {"truncation": True, "max_length": min(tokenizer.model_max_length, model.config.max_position_embeddings)}

    def classified(question: Question, text: str) -> float:
        given = tokenizer(question.query, text, return_tensors="pt", **cut)
        return float(torch.sigmoid(model(**given).logits[0, 0]).item())

    def written(question: Question, text: str) -> float:
        ids = tokenizer(f"{writers.before(question)}{text}{writers.AFTER}", return_tensors="pt", **cut)["input_ids"]
        two = model(ids).logits[0, -1, tokenizer.convert_tokens_to_ids([writers.NO, writers.YES])]
        return float(torch.softmax(two, 0)[1].item())

    return written if writes else classified


def run(request: ReferenceRequest) -> Result:
    """Write the scores."""
    with start.own_modules():
        events.progress("loading the checkpoint")
        import torch
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(request.checkpoint, local_files_only=True, trust_remote_code=request.remote_code)
        writes = writers.in_folder(request.checkpoint)
        score = _scorer(request, tokenizer, writes)
        found = []
        with torch.inference_mode():
            for number, question in enumerate(request.questions):
                events.progress("scoring", number, len(request.questions), "queries")
                found.append(tuple(score(question, text) for text in question.texts))
    made = Scores(scores=tuple(found), writes=writes).model_dump_json() + "\n"
    request.scores.write_text(made, encoding="utf-8", newline="\n")
    return Result()


if __name__ == "__main__":
    start.run(run, ReferenceRequest)
