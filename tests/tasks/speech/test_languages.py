"""A tiny Whisper of several languages and random weights: told the language, it writes the source's tokens."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bakehouse.package import manifest
from tests.support import whisper
from tests.support.task_packages import FP16, built, recipe

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("openvino")]


@pytest.mark.conformance
def test_a_model_that_is_told_the_language_writes_the_sources_tokens(tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    shutil.copyfile(whisper.recording(), tmp_path / "recipes" / "jfk.wav")
    golden = [{"audio": "jfk.wav", "language": code, "max_word_error": 1.0} for code in ("de", "en")]
    packages = built(tmp_path, recipe("random", "speech-recognition", whisper.multilingual(), golden, {"fp16": FP16}))
    verdicts = manifest.read(packages / "random-fp16").verdicts
    for verdict in verdicts:
        assert verdict.agreement.common_tokens == verdict.agreement.source_tokens == len(verdict.tokens) > 20
    assert 'language="<|de|>", task="transcribe"' in (packages / "random-fp16" / "README.md").read_text(encoding="utf-8")
