"""Writes down recordings with the unquantized checkpoint in transformers, in float32, one at a time, always the most likely token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bakehouse.child import events, start
from bakehouse.formats import wav
from bakehouse.records import Timed
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
    samples = audio.read(one.path)
    long = len(samples) > wav.WINDOW_S * wav.RATE
    # The next two are how transformers' own pipeline gives a model more than one window: it goes on where the last complete segment ends.
    whole = {"truncation": False, "padding": "longest"} if long else {}
    given = features(samples, sampling_rate=wav.RATE, return_tensors="pt", return_attention_mask=True, **whole)
    options: dict[str, Any] = {"return_timestamps": True} if long or one.timestamps else {}
    if one.timestamps:
        options |= {"return_segments": True, "return_token_timestamps": one.timestamps == "words"}
    if one.language:
        options |= {"language": one.language, "task": "transcribe"}
    made = model.generate(given.input_features, attention_mask=given.attention_mask, do_sample=False, num_beams=1, **options)
    sequence = made["sequences"] if one.timestamps else made
    tokens = _of_text(sequence[0].tolist(), model, tokenizer)
    timed = _words(model, tokenizer, features, made) if one.timestamps == "words" else ()
    if one.timestamps == "segments":
        timed = tuple(_segment(segment, model, tokenizer) for segment in made["segments"][0])
    return Transcription(tokens=tokens, text=tokenizer.decode(tokens, skip_special_tokens=True), timed=timed)


def _of_text(tokens: list[int], model: Any, tokenizer: Any) -> tuple[int, ...]:
    """Without those of times, which follow on the one that says that there are none, and without special ones."""
    special, before_times = set(tokenizer.all_special_ids), model.generation_config.no_timestamps_token_id
    return tuple(token for token in tokens if token not in special and token <= before_times)


def _segment(segment: Any, model: Any, tokenizer: Any) -> Timed:
    text = tokenizer.decode(_of_text(segment["tokens"].tolist(), model, tokenizer), skip_special_tokens=True)
    return Timed(text=text, start_s=float(segment["start"]), end_s=float(segment["end"]))


def _words(model: Any, tokenizer: Any, features: Any, made: Any) -> tuple[Timed, ...]:
    """The words, put together of tokens by transformers' own pipeline."""
    import torch
    from transformers import AutomaticSpeechRecognitionPipeline

    pipe = AutomaticSpeechRecognitionPipeline(model=model, tokenizer=tokenizer, feature_extractor=features)
    times = [torch.cat([segment["token_timestamps"] for segment in segments]) for segments in made["segments"]]
    chunks = pipe.postprocess([{"tokens": made["sequences"], "token_timestamps": times}], return_timestamps="word")["chunks"]
    return tuple(Timed(text=one["text"], start_s=float(one["timestamp"][0]), end_s=float(one["timestamp"][1])) for one in chunks)


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
