"""Recordings next to a recipe are copied as they are; what a speech model cannot be compared with is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.errors import Failure
from bakehouse.sources import local
from bakehouse.sources.recording import RECORDING
from bakehouse.steps.maker import Verification
from bakehouse.steps.step import Step
from tests.formats.test_wav import written
from tests.support import worker


def brought(path: Path, cache: Path) -> Step:
    return RECORDING.step("tiny-1", local.Content(path, local.fingerprint(path, cache)))


def made(step: Step, files: Path) -> Verification:
    files.mkdir()
    done = worker.run(RECORDING.command(step, {}, files))
    assert done.code == 0, done.text
    return RECORDING.verify(step, {}, files, done.report)


def test_a_recording_is_copied_under_a_name_of_ours(tmp_path: Path) -> None:
    path = written(tmp_path / "hello.wav")
    found = made(brought(path, tmp_path / "cache.json"), tmp_path / "files")
    assert found == Verification({"seconds": 0.01})
    assert (tmp_path / "files" / "recording.wav").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("form", [{"rate": 8_000}, {"frames": 16_000 * 3601}])
def test_a_recording_that_cannot_be_compared_is_refused(form: dict[str, int], tmp_path: Path) -> None:
    found = made(brought(written(tmp_path / "hello.wav", **form), tmp_path / "cache.json"), tmp_path / "files")
    assert (
        found.faults
        == snapshot(
            {
                8_000: (
                    "The recording hello.wav cannot be used: it has 1 channel(s) of 16 bits at 8,000 Hz, "
                    "should have 1 of 16 bits at 16,000 Hz.",
                ),
                57_616_000: ("The recording hello.wav is 3601.0 seconds long; at most 3600 can be compared.",),
            }
        )[next(iter(form.values()))]
    )


def test_a_recording_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "hello.wav")
    step = brought(path, tmp_path / "cache.json")
    written(path, frames=170)
    assert made(step, tmp_path / "files").faults == ("The recording changed while it was being read: run the same command again.",)


def test_a_folder_is_no_recording(tmp_path: Path) -> None:
    (tmp_path / "sounds").mkdir()
    with pytest.raises(Failure, match="sounds is a directory"):
        RECORDING.resolve(tmp_path, "sounds", confined=False)
