"""Writes down recordings with a speech model's folder in onnxruntime_genai as the card's program does, always the most likely token."""

from __future__ import annotations

import io
import math
import time
import wave
from pathlib import Path
from typing import Any

from bakehouse.backends.onnxruntime_genai import genai_config, speech_verify
from bakehouse.backends.onnxruntime_genai.speech_verify import GENERATION, languages
from bakehouse.child import events, start
from bakehouse.formats import wav
from bakehouse.formats.fields import Fields
from bakehouse.tasks.seams import RunResult
from bakehouse.tasks.speech.seams import Heard, Recorded, TranscribeRequest, Transcription
from bakehouse.tasks.speech.workers import audio
from bakehouse.tasks.text_generation.workers.answers import processor as name_of_processor

START, WITHOUT_TIMES = "<|startoftranscript|>", "<|notimestamps|>"


class Listener:
    """A loaded model with what its folder says of languages, of tokens that are no text, and of those that are held back."""

    def __init__(self, folder: Path) -> None:
        import onnxruntime_genai as og

        self._og = og
        self._model = og.Model(str(folder))
        self._processor = self._model.create_multimodal_processor()
        generation = speech_verify.read(folder / GENERATION)
        self._languages = languages(generation)
        self._held_back, self._first_held_back = held_back(generation)
        self._first_special = min(genai_config.read(folder).end_tokens)  # Whisper's special tokens follow on those of texts

    def heard(self, one: Recorded) -> Transcription:
        """One recording."""
        recording = self._og.Audios.open_bytes(filled_up(one.path))
        generator = self._begun(recording, self._prompt(one.language, recording))
        given = len(generator.get_sequence(0))
        never = (*self._first_held_back, *self._held_back)
        while not generator.is_done():
            logits = generator.get_logits()
            logits[..., never] = -math.inf
            generator.set_logits(logits)
            generator.generate_next_token()
            never = self._held_back
        made = (int(token) for token in generator.get_sequence(0)[given:])
        tokens = tuple(token for token in made if token < self._first_special)
        return Transcription(tokens=tokens, text=str(self._processor.decode(list(tokens))), timed=())

    def _prompt(self, language: str | None, recording: Any) -> str:
        if not self._languages:
            return START + WITHOUT_TIMES
        token = f"<|{language}|>" if language else self._language(recording)
        return f"{START}{token}<|transcribe|>{WITHOUT_TIMES}"

    def _language(self, recording: Any) -> str:
        """The most likely one, as the card's program and transformers find it."""
        logits = self._begun(recording, START).get_logits()[0, -1]
        return max(self._languages, key=lambda token: float(logits[self._languages[token]]))

    def _begun(self, recording: Any, prompt: str) -> Any:
        generator = self._og.Generator(self._model, self._og.GeneratorParams(self._model))
        generator.set_inputs(self._processor([prompt], audios=recording))
        return generator


def held_back(generation: Fields) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The tokens that the source never writes, and those that it does not begin a text with; onnxruntime-genai 0.18 reads neither."""
    never, first = (generation.get(name) for name in ("suppress_tokens", "begin_suppress_tokens"))
    return tuple(never if isinstance(never, list) else ()), tuple(first if isinstance(first, list) else ())


def filled_up(path: Path) -> bytes:
    """A WAV file of a recording with silence after it up to a window.

    onnxruntime-genai 0.18 otherwise computes the end of a recording before it fills it up, and transformers afterwards, so that the last
    two hundredths of a second differ.
    """
    samples = audio.samples(path)
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(wav.RATE)
        file.writeframes(samples.ljust(2 * wav.RATE * wav.WINDOW_S, b"\0"))
    return made.getvalue()


def run(request: TranscribeRequest) -> RunResult:
    """Write what is heard in each recording."""
    events.progress("loading the model")
    started = time.perf_counter()
    listener = Listener(request.model)
    load_s = time.perf_counter() - started
    events.progress("listening", 0, len(request.recordings), "recordings")
    found = tuple(listener.heard(one) for one in request.recordings)
    request.heard.write_text(Heard(heard=found, in_use=found).model_dump_json() + "\n", encoding="utf-8", newline="\n")
    return RunResult(device="CPU", device_name=name_of_processor(), load_s=load_s, runtime_options={})


if __name__ == "__main__":
    start.run(run, TranscribeRequest)
