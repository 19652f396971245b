"""The real Whisper tiny.en with times of segments and words, and a recording of two windows: as its source gives them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from bakehouse.app.main import main
from bakehouse.package import manifest
from bakehouse.records import Times, Verdict
from tests.support import sampling, whisper
from tests.support.task_packages import FP16, INT8, build, built, recipe, run_card

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("openvino")]

AUDIO = ("long", "short")
GOLDEN = [{"audio": f"{audio}.wav", "timestamps": kind} for audio in AUDIO for kind in ("segments", "words")]


def placed(folder: Path) -> Path:
    (folder / "recipes").mkdir()
    whisper.long_recording(folder / "recipes" / "long.wav")
    shutil.copyfile(whisper.recording(), folder / "recipes" / "short.wav")
    return folder


@pytest.fixture(scope="module")
def packages(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of the builds."""
    folder = placed(tmp_path_factory.mktemp("whisper"))
    golden: list[dict[str, Any]] = [*GOLDEN, {"audio": "long.wav"}]
    builds = sampling.made(request, {"fp16": FP16, "int8": INT8}, ("fp16",))
    return built(folder, recipe("whisper", "speech-recognition", whisper.checkpoint(), golden, builds))


def times(verdict: Verdict) -> Times:
    assert verdict.transcript is not None and verdict.transcript.times is not None
    return verdict.transcript.times


def test_in_floating_point_a_long_recording_has_the_sources_tokens_and_segments(packages: Path) -> None:
    segments, words, *_, plain = manifest.read(packages / "whisper-fp16").verdicts
    for verdict in (segments, words, plain):
        assert verdict.passed and verdict.agreement.common_tokens == verdict.agreement.source_tokens == len(verdict.tokens) > 110
    found = times(segments)
    assert found.largest_difference_s is not None and found.largest_difference_s < 0.011
    assert len(found.timed) == 10 and found.timed[-1].end_s == pytest.approx(56.5)
    assert plain.transcript is not None and plain.transcript.times is None


@pytest.mark.parametrize(("name", "most"), sampling.cases((("fp16", 0.2), ("int8", 0.3)), (("fp16", 0.2),)))
def test_words_are_heard_when_the_source_hears_them(name: str, most: float, packages: Path) -> None:
    _, long, _, short, _ = manifest.read(packages / f"whisper-{name}").verdicts
    assert len(times(long).timed) > 105 and len(times(short).timed) == 22
    for verdict in (long, short):
        mean = times(verdict).mean_difference_s
        assert verdict.passed and mean is not None and 0 < mean < most
    country = times(short).timed[-1]
    assert country.text == " country." and 10.0 < country.start_s < (country.end_s or 0.0) < 11.1


def test_the_program_of_the_card_prints_the_words_with_their_times(packages: Path, tmp_path: Path) -> None:
    (tmp_path / "whisper-fp16").symlink_to(packages / "whisper-fp16")
    whisper.long_recording(tmp_path / "recording.wav")
    lines = run_card(packages / "whisper-fp16", tmp_path).splitlines()
    assert len(lines) > 105 and lines[4].endswith("Americans") and 1.5 < float(lines[4].split()[0]) < 2.0
    card = (packages / "whisper-fp16" / "README.md").read_text(encoding="utf-8")
    assert "| long.wav | words | " in card and "that was not tried" not in card


@pytest.mark.parametrize(("kind", "count", "last"), [("segments", 10, "for your country."), ("words", 116, "country.")])
def test_run_prints_times_when_asked(
    kind: str, count: int, last: str, packages: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = whisper.long_recording(tmp_path / "a.wav")
    assert main(["run", str(packages / "whisper-fp16"), str(long), "--timestamps", kind]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == count and lines[-1].endswith(last) and 55 < float(lines[-1].split()[0]) < 57


def test_times_of_words_need_alignment_heads(tmp_path: Path) -> None:
    golden = [{"audio": "short.wav", "language": "en", "timestamps": "words"}]
    done = build(placed(tmp_path), recipe("random", "speech-recognition", whisper.multilingual(), golden, {"fp16": FP16}))
    assert done.returncode != 0 and "has no alignment_heads, by which the times of words are found" in done.stdout + done.stderr
