"""Pictures next to a recipe are copied as they are; what no vision-language model can be given is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.errors import Failure
from bakehouse.sources import local
from bakehouse.sources.picture import PICTURE
from bakehouse.steps.maker import Verification
from bakehouse.steps.step import Step
from tests.support import vision, worker


def brought(path: Path, cache: Path) -> Step:
    return PICTURE.step("tiny-1", local.Content(path, local.fingerprint(path, cache)))


def made(step: Step, files: Path) -> Verification:
    files.mkdir()
    done = worker.run(PICTURE.command(step, {}, files))
    assert done.code == 0, done.text
    return PICTURE.verify(step, {}, files, done.report)


def test_a_picture_is_copied_under_a_name_of_ours(tmp_path: Path) -> None:
    path = vision.picture(tmp_path / "cat.png", 12, 10)
    found = made(brought(path, tmp_path / "cache.json"), tmp_path / "files")
    assert found == Verification({"width": 12, "height": 10})
    assert (tmp_path / "files" / "picture").read_bytes() == path.read_bytes()


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_text("meow")
    found = made(brought(tmp_path / "cat.png", tmp_path / "cache.json"), tmp_path / "files")
    assert found.faults == snapshot(("The picture cat.png cannot be used: it is neither a PNG nor a JPEG file.",))


def test_a_picture_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = vision.picture(tmp_path / "cat.png", 12, 10)
    step = brought(path, tmp_path / "cache.json")
    vision.picture(path, 12, 11)
    assert made(step, tmp_path / "files").faults == ("The picture changed while it was being read: run the same command again.",)


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "cats").mkdir()
    with pytest.raises(Failure, match="cats is a directory"):
        PICTURE.resolve(tmp_path, "cats", confined=False)
