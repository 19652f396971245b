"""Tiny vision-language models of random weights: built from a recipe, they write their source's tokens; run by programs without Bakehouse.

What they answer means nothing, so that quantized ones are only counted: whether a trained one still answers rightly is its recipe's to say.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bakehouse.app.main import main
from bakehouse.backends.openvino.vision_language import FORM
from bakehouse.formats.checkpoint import read_checkpoint
from bakehouse.package import manifest
from tests.support import vision
from tests.support.hub_write import Workshop
from tests.support.task_packages import FP16, INT8, PUBLISH, build, built, publish, recipe, run_card

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("openvino")]

INT4 = {"runtime": "openvino", "quantization": {"weights": "int4", "group_size": 32, "ratio": 1.0}}
EXACT = {"runtime_options": {"EXECUTION_MODE_HINT": "ACCURACY"}}
BUILDS = {"fp16": {**FP16, **EXACT}, "int8": INT8, "int4": INT4}
# One that the model sees as it is, and one that is resized and cut.
GOLDEN = [
    {"picture": "a.png", "prompt": "What is in this picture?", "max_new_tokens": 24},
    {"picture": "b.png", "prompt": "And in this one?", "max_new_tokens": 24},
]
WEIGHTS = 235_552  # of the language model 137,792, of tokens 64,064, of pictures 33,696, of which 544 are positions


def placed(folder: Path) -> Path:
    (folder / "recipes").mkdir()
    vision.picture(folder / "recipes" / "a.png", vision.SIDE, vision.SIDE)
    vision.picture(folder / "recipes" / "b.png", 100, 70)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the packages of all builds were made."""
    place = placed(tmp_path_factory.mktemp("llava"))
    built(place, recipe("llava", "vision-language", vision.llava(), GOLDEN, BUILDS, publish=PUBLISH))
    return place


@pytest.fixture(scope="module")
def packages(folder: Path) -> Path:
    return folder / "artifacts" / "packages"


def agrees(package: Path) -> bool:
    """Whether all answers have all tokens of the source's, and differ with the picture."""
    verdicts = manifest.read(package).verdicts
    whole = all(len(found.tokens) == found.agreement.common_tokens == found.agreement.source_tokens == 24 for found in verdicts)
    answers = {found.tokens for found in verdicts}
    return whole and len(answers) == len(verdicts) > 1 and len(set().union(*answers)) > 8


def test_in_floating_point_every_token_is_the_sources_also_of_a_picture_that_is_resized(packages: Path) -> None:
    assert agrees(packages / "llava-fp16")
    assert "all tokens are the source's" in (packages / "llava-fp16" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("build", "language", "around"),
    [
        ("fp16", {"f16": 137_792}, {"f16": 33_696}),
        ("int8", {"int8_asym": 137_792}, {"bf16": 544, "int8_asym": 33_152}),
        ("int4", {"int4_asym": 73_728, "int8_asym": 64_064}, {"bf16": 544, "int8_asym": 33_152}),
    ],
)
def test_the_weights_of_each_model_are_counted(build: str, language: dict[str, int], around: dict[str, int], packages: Path) -> None:
    found = manifest.read(packages / f"llava-{build}").measured
    assert found["config"]["exported_weights"] == sum(found["model"]["weights"].values()) == WEIGHTS
    counted = {name: part["weights"] for name, part in found["model"]["parts"].items()}
    tokens = {"f16" if build == "fp16" else "int8_asym": 64_064}
    assert counted == {"language": language, "text_embeddings": tokens, "vision_embeddings": around}


def test_the_program_of_the_card_prints_the_answer(packages: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "llava-fp16").symlink_to(packages / "llava-fp16")
    shutil.copyfile(folder / "recipes" / "b.png", tmp_path / "picture.png")
    of_another = run_card(packages / "llava-fp16", tmp_path)
    shutil.copyfile(folder / "recipes" / "a.png", tmp_path / "picture.png")
    printed = run_card(packages / "llava-fp16", tmp_path)
    assert printed.strip() == manifest.read(packages / "llava-fp16").verdicts[0].answer.strip() != of_another.strip()


def test_run_prints_the_answer_about_a_picture(packages: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(packages / "llava-fp16"), str(folder / "recipes" / "a.png"), "What is in this picture?"]) == 0
    expected = manifest.read(packages / "llava-fp16").verdicts[0].answer.strip()
    assert capsys.readouterr().out.startswith(expected)


def test_a_published_package_is_whole_and_answers_the_same(folder: Path, workshop: Workshop, tmp_path: Path) -> None:
    fetched = publish(folder, "llava-fp16", workshop)
    assert main(["check", str(fetched)]) == 0
    shutil.copyfile(folder / "recipes" / "a.png", fetched.parent / "picture.png")
    assert run_card(fetched, fetched.parent).strip() == manifest.read(fetched).verdicts[0].answer.strip()


def test_an_answer_that_does_not_contain_what_it_should_fails_the_build(folder: Path) -> None:
    golden = [{**GOLDEN[0], "contains": ["a loaf of bread"]}, GOLDEN[1]]
    done = build(folder, recipe("wrong", "vision-language", vision.llava(), golden, {"fp16": BUILDS["fp16"]}))
    assert done.returncode == 1
    assert "the answer does not contain 'a loaf of bread' (neither does the source's)" in done.stdout + done.stderr


@pytest.mark.conformance
@pytest.mark.parametrize("make", [vision.gemma3])
def test_models_of_another_architecture_write_their_sources_tokens(make: Callable[[], Path], tmp_path: Path) -> None:
    packages = built(placed(tmp_path), recipe("other", "vision-language", make(), GOLDEN, {"fp16": FP16, "int4": INT4}))
    assert agrees(packages / "other-fp16")


@pytest.mark.parametrize("kind", FORM.not_run)
def test_the_runtime_says_itself_which_types_it_does_not_load(kind: str, packages: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(packages / "llava-fp16", other)
    config = json.loads((other / "config.json").read_text(encoding="utf-8"))
    (other / "config.json").write_text(json.dumps({**config, "model_type": kind}), encoding="utf-8")
    program = "import sys, openvino_genai; openvino_genai.VLMPipeline(sys.argv[1], 'CPU')"
    done = subprocess.run([sys.executable, "-c", program, str(other)], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and FORM.not_run[kind] in done.stderr


# Of pictures in tokens, each a square of points: some that are taken as they are, the second higher than wide, and one that is resized.
SIZES = {"a": (2, 2), "b": (3, 6), "c": (3.4, 2.8)}
_ALONE = """
import json, sys
import numpy, openvino, openvino_genai
from PIL import Image

pipe = openvino_genai.VLMPipeline(sys.argv[1], "CPU", EXECUTION_MODE_HINT="ACCURACY")
found = []
for name in sys.argv[3:]:
    picture = openvino.Tensor(numpy.array(Image.open(name).convert("RGB"))[None])
    answer = pipe.generate(sys.argv[2], images=[picture], max_new_tokens=24, do_sample=False)
    found.append((answer.texts[0], answer.perf_metrics.get_num_input_tokens()))
print(json.dumps(found))
"""


@pytest.mark.parametrize(
    ("make", "parts", "side", "toolchain", "sizes"),
    [
        (vision.qwen2_vl, ("merger",), 28, "transformers-5.0", "abc"),
        pytest.param(vision.qwen2_5_vl, ("merger",), 28, "transformers-5.0", "abc", marks=pytest.mark.conformance),
        pytest.param(vision.qwen3_vl, ("merger", "pos"), 32, "transformers-5.0", "ab", marks=pytest.mark.conformance),
    ],
)
def test_a_model_that_makes_as_many_tokens_of_a_picture_as_its_size_gives(
    make: Callable[[], Path], parts: tuple[str, ...], side: int, toolchain: str, sizes: str, tmp_path: Path
) -> None:
    (tmp_path / "recipes").mkdir()
    points = {name: (int(width * side), int(height * side)) for name, (width, height) in SIZES.items() if name in sizes}
    pictures = {name: vision.picture(tmp_path / "recipes" / f"{name}.png", *size) for name, size in points.items()}
    golden = [{"picture": f"{name}.png", "prompt": "What is in this picture?", "max_new_tokens": 24} for name in pictures]
    tried = {"unknown_architecture": "try"} if make is vision.qwen3_vl else {}  # its third picture comes out otherwise
    wanted = recipe("qwen", "vision-language", make(), golden, {"fp16": FP16 | tried, "int4": INT4 | tried}, toolchain=toolchain)
    packages = built(tmp_path, wanted)
    assert agrees(packages / "qwen-fp16")
    matrices = [tensor for tensor in read_checkpoint(make()).tensors if len(tensor.shape) > 1]
    assert manifest.read(packages / "qwen-fp16").measured["config"]["exported_weights"] == sum(math.prod(one.shape) for one in matrices)
    counted = {build: manifest.read(packages / f"qwen-{build}").measured["model"]["parts"] for build in ("fp16", "int4")}
    around = {"text_embeddings", "vision_embeddings", *(f"vision_embeddings_{part}" for part in parts)}
    for found in counted.values():
        assert found.keys() == {"language", *around} and all(part["weights"] for part in found.values())
    assert "int4_asym" in counted["int4"]["language"]["weights"]
    assert all("int4_asym" not in counted["int4"][name]["weights"] for name in around)

    words = [sys.executable, "-c", _ALONE, str(packages / "qwen-fp16"), "What is in this picture?", *map(str, pictures.values())]
    alone = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    text = alone[0][1] - 4
    assert [count - text for _, count in alone] == [4, 18, 9][: len(sizes)]
    answers = [one.answer for one in manifest.read(packages / "qwen-fp16").verdicts]
    assert [answer for answer, _ in alone][:2] == answers[:2]  # what is resized is resized otherwise by default
