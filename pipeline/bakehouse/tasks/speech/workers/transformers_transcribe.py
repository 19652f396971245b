"""Writes down recordings with the unquantized checkpoint in transformers, in float32, one at a time, always the most likely token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bakehouse.child import events, start
from bakehouse.steps.seam import Result
from bakehouse.tasks.speech.seams import Heard, Recorded, ReferenceRequest, Transcription
from bakehouse.tasks.speech.workers import audio
from bakehouse.tasks.workers import completeness


def load(checkpoint: Path, *, remote_code: bool, dtype: Any) -> Any:
    """The model, exactly as the checkpoint has it."""
    from transformers import AutoModelForSpeechSeq2Seq

    model, report = AutoModelForSpeechSeq2Seq.from_pretrained(
        str(checkpoint), output_loading_info=True, local_files_only=True, trust_remote_code=remote_code, dtype=dtype
    )
    completeness.judge(report, model)
    return model.eval()


def _heard(model: Any, tokenizer: Any, features: Any, one: Recorded) -> Transcription:
    from bakehouse.formats import wav

    given = features(audio.read(one.path), sampling_rate=wav.RATE, return_tensors="pt", return_attention_mask=True)
    options = {"language": one.language, "task": "transcribe"} if one.language else {}
    made = model.generate(given.input_features, attention_mask=given.attention_mask, do_sample=False, num_beams=1, **options)
    special = set(tokenizer.all_special_ids)
    tokens = tuple(token for token in made[0].tolist() if token not in special)
    return Transcription(tokens=tokens, text=tokenizer.decode(tokens, skip_special_tokens=True))


def run(request: ReferenceRequest) -> Result:
    """Write down the recordings."""
    with start.own_modules():
        events.progress("loading the checkpoint")
        import torch
        from transformers import AutoFeatureExtractor, AutoTokenizer

        model = load(request.checkpoint, remote_code=request.remote_code, dtype=torch.float32)
        own: dict[str, Any] = {"local_files_only": True, "trust_remote_code": request.remote_code}
        tokenizer = AutoTokenizer.from_pretrained(request.checkpoint, **own)
        features = AutoFeatureExtractor.from_pretrained(request.checkpoint, **own)
        found = []
        with torch.inference_mode():
            for number, one in enumerate(request.recordings):
                events.progress("listening", number, len(request.recordings), "recordings")
                found.append(_heard(model, tokenizer, features, one))
    request.heard.write_text(Heard(heard=tuple(found)).model_dump_json() + "\n", encoding="utf-8", newline="\n")
    return Result()


if __name__ == "__main__":
    start.run(run, ReferenceRequest)
