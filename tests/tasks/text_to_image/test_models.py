"""A tiny Stable Diffusion of random weights: built from a recipe, it draws its source's pictures; run by a program without Bakehouse.

What it draws means nothing, and its quantized build is nearer to the source than a trained one of many steps will be: the bounds of the
task are judgements, not measurements.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bakehouse.app.main import main
from bakehouse.formats import picture
from bakehouse.package import manifest
from tests.support import diffusion
from tests.support.hub_write import Workshop
from tests.support.task_packages import FP16, INT8, PUBLISH, build, built, publish, recipe, run_card

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("openvino")]

BREAD = {"prompt": "A loaf of bread", "steps": 4, "width": 32, "height": 32}
GOLDEN: list[dict[str, Any]] = [
    BREAD,
    {**BREAD, "prompt": "A train"},
    {**BREAD, "width": 48, "seed": 7},
]
PARTS = {
    "text_encoder": 35_296,
    "unet": 180_480,
    "vae_decoder": 100_672,
    "vae_encoder": 65_008,
}  # their matrices, those of convolutions too


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the packages of all builds were made."""
    place = tmp_path_factory.mktemp("diffusion")
    built(place, recipe("tiny", "text-to-image", diffusion.pipeline(), GOLDEN, {"fp16": FP16, "int8": INT8}, publish=PUBLISH))
    return place


@pytest.fixture(scope="module")
def packages(folder: Path) -> Path:
    return folder / "artifacts" / "packages"


def _sources(folder: Path) -> list[bytes]:
    """The colours of the source's pictures."""
    return [path.read_bytes() for path in sorted((folder / "artifacts" / "store" / "reference").glob("*/files/source-*.rgb"))]


@pytest.mark.parametrize("name", ["fp16", "int8"])
def test_the_pictures_are_the_sources_in_both_runs(name: str, packages: Path) -> None:
    found = manifest.read(packages / f"tiny-{name}")
    assert found.validation.in_use is not None
    for verdict, most in (
        *((one, 1.5 if name == "fp16" else 4.0) for one in found.verdicts),
        *((one, 4.0) for one in found.validation.in_use.verdicts),
    ):
        assert verdict.passed and verdict.drawing is not None and verdict.drawing.difference < most
    card = (packages / f"tiny-{name}" / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: text-to-image" in card and "library_name: diffusers" in card and "48 x 32, 4 steps, seed 7" in card


def test_a_picture_of_another_prompt_would_not_pass(folder: Path) -> None:
    from bakehouse.tasks.text_to_image import pictures

    bread, train, _ = _sources(folder)
    assert pictures.difference(bread, train) > 10


@pytest.mark.parametrize(("name", "precision"), [("fp16", "f16"), ("int8", "int8_asym")])
def test_the_weights_of_each_model_are_counted(name: str, precision: str, packages: Path) -> None:
    found = manifest.read(packages / f"tiny-{name}").measured
    assert {part: one["weights"] for part, one in found["model"]["parts"].items()} == {part: {precision: n} for part, n in PARTS.items()}
    assert found["config"]["exported_weights"] == sum(PARTS.values())


def test_a_package_does_not_say_where_the_checkpoint_lay(packages: Path) -> None:
    place = str(diffusion.pipeline()).encode()
    assert not [path for path in (packages / "tiny-int8").rglob("*") if path.is_file() and place in path.read_bytes()]


def test_the_program_of_the_card_draws_a_picture(packages: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny-fp16").symlink_to(packages / "tiny-fp16")
    run_card(packages / "tiny-fp16", tmp_path)
    assert picture.size(tmp_path / "picture.png") == (32, 32)


def test_run_draws_a_picture(packages: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(packages / "tiny-fp16"), "A loaf of bread", str(tmp_path / "loaf.png")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'loaf.png'}\n" and picture.size(tmp_path / "loaf.png") == (32, 32)


def test_a_published_package_is_whole_and_draws(folder: Path, workshop: Workshop) -> None:
    fetched = publish(folder, "tiny-int8", workshop)
    assert main(["check", str(fetched)]) == 0
    run_card(fetched, fetched.parent)
    assert picture.size(fetched.parent / "picture.png") == (32, 32)


def test_a_picture_that_is_too_far_away_fails_the_build(folder: Path) -> None:
    golden = [{**one, "max_difference": 0.01} for one in GOLDEN]
    done = build(folder, recipe("strict", "text-to-image", diffusion.pipeline(), golden, {"fp16": FP16}))
    assert done.returncode == 1
    assert "of 255 on average, 0.01 may" in done.stdout + done.stderr
