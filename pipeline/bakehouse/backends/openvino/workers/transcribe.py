"""Writes down recordings with a package's model folder in openvino_genai's WhisperPipeline, twice; see `twice`."""

from __future__ import annotations

from functools import partial
from typing import Any

from bakehouse.backends.openvino.options import given
from bakehouse.backends.openvino.seams import TranscribeRequest
from bakehouse.backends.openvino.workers import tokens_seen, twice
from bakehouse.backends.openvino.workers.generate import Options
from bakehouse.child import events, start
from bakehouse.tasks.seams import RunResult
from bakehouse.tasks.speech.seams import Heard, Recorded, Transcription
from bakehouse.tasks.speech.workers import audio


def heard(pipe: Any, one: Recorded) -> Transcription:
    """One recording, always with the most likely token."""
    config = pipe.get_generation_config()
    config.do_sample, config.return_timestamps = False, False
    if one.language:
        config.language, config.task = f"<|{one.language}|>", "transcribe"
    streamer, tokens = tokens_seen.streamer()
    made = pipe.generate(audio.read(one.path).tolist(), config, streamer)
    return Transcription(tokens=tokens_seen.without_ends(tokens, config), text=made.texts[0])


def run(request: TranscribeRequest) -> RunResult:
    """Write what is heard in each recording."""
    import openvino_genai

    def load(options: Options) -> Any:
        return openvino_genai.WhisperPipeline(request.model, request.device, **options)

    def listen(pipe: Any) -> tuple[Transcription, ...]:
        events.progress("listening", 0, len(request.recordings), "recordings")
        return tuple(map(partial(heard, pipe), request.recordings))

    own, used, result = twice.run(request, given(request.runtime_options), load, listen)
    request.heard.write_text(Heard(heard=own, in_use=used).model_dump_json() + "\n", encoding="utf-8", newline="\n")
    return result


if __name__ == "__main__":
    start.run(run, TranscribeRequest)
