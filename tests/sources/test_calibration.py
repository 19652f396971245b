"""Calibration texts: a file next to the recipe or a pinned file of a hub data set, as samples.txt."""

from __future__ import annotations

from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.errors import Failure
from bakehouse.recipe.calibration import CalibrationFile, CalibrationHub
from bakehouse.sources import calibration, local
from bakehouse.steps.step import Step
from tests.support import worker
from tests.support.hub import Hub
from tests.support.systems import not_under_wine

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TEXTS = "The first sample.\nThe second sample.\n"
BESIDE = CalibrationFile(type="file", path="texts/samples.en.txt")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "recipes"
    (folder / "texts").mkdir(parents=True)
    (folder / "texts" / "samples.en.txt").write_text(TEXTS, encoding="utf-8")
    return folder


def beside(base: Path) -> Step:
    path = base / BESIDE.path
    return calibration.samples(BESIDE, "tiny", local.Content(path, local.fingerprint(path, base / "cache.json")))


def made(step: Step, files: Path, **env: str) -> worker.Said:
    files.mkdir()
    return worker.run(calibration.command(step, {}, files), env)


def test_a_file_next_to_the_recipe_becomes_the_samples(base: Path, tmp_path: Path) -> None:
    step, files = beside(base), tmp_path / "files"
    said = made(step, files)
    assert said.code == 0, said.text
    assert (files / "samples.txt").read_text(encoding="utf-8") == TEXTS
    verification = calibration.verify(step, {}, files, said.report)
    assert (verification.measured, verification.faults) == ({"samples": 2}, ())


def test_a_file_of_a_hub_data_set_becomes_the_samples(hub: Hub, base: Path, tmp_path: Path) -> None:
    hub.serve(base, "bakers/texts", COMMIT, type="dataset")
    source = CalibrationHub(type="huggingface", repo="bakers/texts", revision=COMMIT, file="texts/samples.en.txt")
    step, files = calibration.samples(source, "tiny", None), tmp_path / "files"
    said = made(step, files, HF_ENDPOINT=hub.endpoint, HF_HOME=str(tmp_path / "hf"))
    assert said.code == 0, said.text
    assert (files / "samples.txt").read_text(encoding="utf-8") == TEXTS
    assert calibration.verify(step, {}, files, said.report).faults == ()
    assert calibration.command(step, {}, files).needs_network


def test_how_many_samples_are_used_is_not_part_of_the_key(base: Path) -> None:
    other = BESIDE.model_copy(update={"num_samples": 1, "max_tokens": 8})
    content = local.Content(base / BESIDE.path, str(beside(base).options["fingerprint"]))
    assert calibration.samples(other, "other", content).key == beside(base).key


def test_a_change_after_planning_is_a_fault(base: Path, tmp_path: Path) -> None:
    step = beside(base)
    (base / BESIDE.path).write_text("Another sample.\n", encoding="utf-8")
    said = made(step, tmp_path / "files")
    assert calibration.verify(step, {}, tmp_path / "files", said.report).faults == snapshot(
        ("The file of texts changed while it was being read: run the same command again.",)
    )


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"\n  \n", "The texts are empty: one sample a line is needed."),
        (b"good\n\xff\xfe", "The texts are not UTF-8: byte 5 cannot be read."),
    ],
    ids=["empty", "not UTF-8"],
)
def test_texts_that_cannot_be_used_are_a_fault(base: Path, tmp_path: Path, content: bytes, fault: str) -> None:
    (base / BESIDE.path).write_bytes(content)
    step = beside(base)
    said = made(step, tmp_path / "files")
    assert calibration.verify(step, {}, tmp_path / "files", said.report).faults == (fault,)


@not_under_wine("its links are seen as what they lead to")
def test_a_file_outside_the_folder_of_an_untrusted_recipe_is_refused(base: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text(TEXTS, encoding="utf-8")
    (base / "link.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(Failure, match=r"link\.txt lies outside the recipe's folder, and this recipe is not trusted\.\n"):
        calibration.resolve_texts(base, "link.txt", confined=True)
