"""Writes down recordings with a package's model folder in openvino_genai's WhisperPipeline, twice; see `twice`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bakehouse.backends.openvino.options import given
from bakehouse.backends.openvino.seams import TranscribeRequest
from bakehouse.backends.openvino.speech import GENERATION
from bakehouse.backends.openvino.workers import tokens_seen, twice
from bakehouse.backends.openvino.workers.generate import Options
from bakehouse.child import events, start
from bakehouse.records import Timed, Timestamps
from bakehouse.tasks.seams import RunResult
from bakehouse.tasks.speech.seams import Heard, Recorded, Transcription
from bakehouse.tasks.speech.workers import audio


def heard(pipe: Any, one: Recorded) -> Transcription:
    """One recording, always with the most likely token."""
    config = pipe.get_generation_config()
    config.do_sample, config.return_timestamps = False, one.timestamps is not None
    config.word_timestamps = one.timestamps == "words"
    if one.language:
        config.language, config.task = f"<|{one.language}|>", "transcribe"
    streamer, tokens = tokens_seen.streamer()
    made = pipe.generate(audio.read(one.path).tolist(), config, streamer)
    return Transcription(tokens=tokens_seen.without_ends(tokens, config), text=made.texts[0], timed=timed(made, one.timestamps))


def timed(made: Any, kind: Timestamps | None) -> tuple[Timed, ...]:
    """The times of segments or words, of which the runtime gives an end below 0 to one that it does not know the end of."""
    match kind:
        case None:
            return ()
        case "segments":
            found = [(one.text, one.start_ts, one.end_ts) for one in made.chunks or ()]
        case "words":
            found = [(one.word, one.start_ts, one.end_ts) for one in made.words or ()]
    return tuple(Timed(text=text, start_s=begins, end_s=ends if ends >= 0 else None) for text, begins, ends in found)


def listened(pipes: Mapping[bool, Any], recordings: Sequence[Recorded]) -> tuple[Transcription, ...]:
    """What is heard in each recording."""
    events.progress("listening", 0, len(recordings), "recordings")
    return tuple(heard(pipes[one.timestamps == "words"], one) for one in recordings)


def loaded(model: Path, device: str, recordings: Sequence[Recorded], options: Mapping[str, Any]) -> dict[bool, Any]:
    """A pipeline for the recordings whose words get times (True), of which it makes another graph, and one for the others."""
    import openvino_genai

    kinds = {one.timestamps == "words" for one in recordings}
    if True in kinds and not json.loads((model / GENERATION).read_text(encoding="utf-8")).get("alignment_heads"):
        events.refuse(
            f"The model's {GENERATION} has no alignment_heads, by which the times of words are found.", "Ask for the times of segments."
        )
    of_words: dict[bool, dict[str, Any]] = {True: {"word_timestamps": True}, False: {}}
    return {words: openvino_genai.WhisperPipeline(model, device, **options, **of_words[words]) for words in sorted(kinds)}


def run(request: TranscribeRequest) -> RunResult:
    """Write what is heard in each recording."""

    def load(options: Options) -> dict[bool, Any]:
        return loaded(request.model, request.device or "CPU", request.recordings, options)

    def listen(pipes: dict[bool, Any]) -> tuple[Transcription, ...]:
        return listened(pipes, request.recordings)

    own, used, result = twice.run(request, given(request.runtime_options), load, listen)
    request.heard.write_text(Heard(heard=own, in_use=used).model_dump_json() + "\n", encoding="utf-8", newline="\n")
    return result


if __name__ == "__main__":
    start.run(run, TranscribeRequest)
