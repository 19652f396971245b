"""The real doit on a recipe of OpenVINO and ONNX builds: one download for all, and a repository that holds the ONNX ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from inline_snapshot import snapshot

from bakehouse.recipe.loader import load
from tests.support.bench import INT4, Bench, ran, recipe
from tests.support.standin import QUESTION

pytestmark = pytest.mark.model

ORT = "onnxruntime-genai"
BUILDS = {
    "int4-openvino": {"runtime": "openvino", "quantization": INT4},
    "int4-ort-cpu": {"runtime": ORT, "execution_provider": "cpu", "quantization": {"weights": "int4"}},
    "fp16-ort-directml": {"runtime": ORT, "execution_provider": "dml", "quantization": {"weights": "fp16"}},
}
FOLDERS = {"int4-ort-cpu": "cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4", "fp16-ort-directml": "directml/directml-fp16"}
MODEL = {"genai_config.json", "model.onnx", "model.onnx.data", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"}
TOP = {"README.md", "bakehouse.json", "recipe.yaml", "LICENSE"}


@pytest.fixture(scope="module")
def built(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """All of it made; nobody may change what is in it."""
    bench = Bench(tmp_path_factory.mktemp("both"))
    bench.write(recipe(builds=BUILDS, repositories={"onnx": list(FOLDERS)}))
    bench.add_model(tiny_checkpoint)
    bench.build("build")
    return bench


def paths(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_builds_of_both_runtimes_come_from_one_download_and_one_reference(built: Bench) -> None:
    counts = {kind: len(built.records(kind)) for kind in ("download", "reference", "compress", "validate", "package")}
    assert counts == {"download": 1, "reference": 1, "compress": 3, "validate": 3, "package": 4}


def test_all_is_up_to_date_afterwards(built: Bench) -> None:
    assert ran(built.build("build")) == []


@pytest.mark.parametrize("name", FOLDERS)
def test_a_package_has_microsofts_layout(name: str, built: Bench) -> None:
    there = paths(built.artifacts / "packages" / f"tiny-{name}")
    assert there >= TOP | {f"{FOLDERS[name]}/{file}" for file in MODEL}
    assert {path.split("/")[0] for path in there if "/" in path} == {FOLDERS[name].split("/")[0]}


def test_the_repository_has_all_folders_one_card_and_one_manifest(built: Bench) -> None:
    repository = built.artifacts / "packages/tiny-onnx"
    there = paths(repository)
    assert there >= TOP | {f"{folder}/{file}" for folder in FOLDERS.values() for file in MODEL}
    # the store has the weights of a build once, whatever package they are in, and each package has files of its own
    (one,) = (record.key for record in built.records("package") if record.label == "tiny-onnx")
    for name, folder in FOLDERS.items():
        (member,) = (record.key for record in built.records("package") if record.label == f"tiny-{name}")
        kept = [built.artifacts / "store" / "package" / key / "files" / folder / "model.onnx.data" for key in (one, member)]
        assert kept[0].samefile(kept[1])
        assert (repository / folder / "model.onnx.data").stat().st_nlink == 1
    manifest = built.manifest("tiny-onnx")
    assert [member.name for member in manifest.members] == [f"tiny-{name}" for name in FOLDERS]
    assert {file.path for file in manifest.files} == {path for path in there if path in {file.path for file in manifest.files}}
    assert manifest.unproven == ("DirectML",)
    resolved = load_copy(repository)
    assert resolved == {"builds": set(FOLDERS), "repositories": {"onnx": tuple(FOLDERS)}}


def load_copy(repository: Path) -> dict[str, object]:
    """What the recipe in a package holds, read as a recipe of that name."""
    copy = repository.parent.parent / "tiny.yaml"
    copy.write_bytes((repository / "recipe.yaml").read_bytes())
    loaded = load(copy)
    return {"builds": set(loaded.builds), "repositories": dict(loaded.repositories)}


def test_clients_open_a_package_as_it_lies_and_take_its_root_for_nothing_else(built: Bench) -> None:
    package = built.artifacts / "packages" / "tiny-int4-ort-cpu"
    assert {path.stat().st_nlink for path in package.rglob("*") if path.is_file()} == {1}
    program = """
import sys
import onnx, onnxruntime_genai as og
root, folder = sys.argv[1:]
print(len(onnx.load(f"{folder}/model.onnx").graph.node) > 10)  # with weights, that have to have one name
print(og.Model(folder).type)
try:
    og.Model(root)
except Exception as error:
    print(error)
"""
    argv = [sys.executable, "-c", program, str(package), str(package / FOLDERS["int4-ort-cpu"])]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    loaded, kind, refused = done.stdout.splitlines()
    assert (loaded, kind) == ("True", "llama"), done.stderr
    assert "genai_config.json" in refused and "package" not in refused.replace(str(package), "")


def test_every_folder_of_the_repository_stands_alone(built: Bench, tmp_path: Path) -> None:
    program = """
import json, sys
import onnxruntime_genai as og
folder, question = sys.argv[1:]
config = og.Config(folder)
config.clear_providers()
model = og.Model(config)
tokenizer = og.Tokenizer(model)
ids = tokenizer.encode(tokenizer.apply_chat_template(json.dumps([{"role": "user", "content": question}]), add_generation_prompt=True))
parameters = og.GeneratorParams(model)
parameters.set_search_options(max_length=len(ids) + 32, do_sample=False)
generator = og.Generator(model, parameters)
generator.append_tokens(ids)
while not generator.is_done():
    generator.generate_next_token()
print(tokenizer.decode(generator.get_sequence(0)[len(ids):]))
"""
    for number, folder in enumerate(FOLDERS.values()):
        alone = tmp_path / str(number)
        subprocess.run(["cp", "-r", str(built.artifacts / "packages/tiny-onnx" / folder), str(alone)], check=True)
        ended = subprocess.run([sys.executable, "-c", program, str(alone), QUESTION], capture_output=True, text=True, check=False)
        assert "Paris" in ended.stdout, ended.stderr


def test_a_directml_build_says_on_what_it_was_run_and_on_what_not(built: Bench) -> None:
    manifest = built.manifest("tiny-fp16-ort-directml")
    assert (manifest.validation.device, manifest.validation.stand_in, manifest.unproven) == ("CPU", True, ("DirectML",))
    card = (built.artifacts / "packages/tiny-fp16-ort-directml/README.md").read_text(encoding="utf-8")
    assert "in place of the device that it is made for. It took at most " in card
    assert "It has **not** been run on DirectML." in card


@pytest.mark.parametrize("name", ["tiny-int4-ort-cpu", "tiny-fp16-ort-directml", "tiny-onnx"])
def test_the_card_has_microsofts_tags_and_a_program_that_runs(name: str, built: Bench) -> None:
    package = built.artifacts / "packages" / name
    card = (package / "README.md").read_text(encoding="utf-8")
    facts = yaml.safe_load(card.split("---")[1])
    assert {"ONNX", "ONNXRuntime"} <= set(facts["tags"])
    assert (facts["pipeline_tag"], facts["inference"]) == ("text-generation", False)
    assert ("DML" in facts["tags"]) == (name != "tiny-int4-ort-cpu") == ("pip install onnxruntime-genai-winml" in card)
    program = card.split("```python\n", 1)[1].split("```", 1)[0]
    if name == "tiny-fp16-ort-directml":
        program = program.replace("og.Model(folder)", "og.Model(config)").replace(
            "model =", "config = og.Config(folder)\nconfig.clear_providers()\nmodel ="
        )
    ended = subprocess.run([sys.executable, "-c", program], cwd=package.parent, capture_output=True, text=True, check=False)
    assert ended.stdout == snapshot("The capital of France is Paris."), ended.stderr


def test_the_manifest_of_the_repository_is_json_that_names_what_each_folder_was_run_on(built: Bench) -> None:
    manifest = json.loads((built.artifacts / "packages/tiny-onnx/bakehouse.json").read_bytes())
    assert [member["validation"]["stand_in"] for member in manifest["members"]] == [False, True]


def test_a_wrong_answer_on_the_cpu_does_not_refuse_a_directml_build_whose_bounds_hold(built: Bench, tmp_path: Path) -> None:
    """The tiny model says Paris, and the recipe expects Rome; nothing is made anew but the validation."""
    name, bench = "fp16-ort-directml", built.copy(tmp_path / "copy")
    golden = [{"prompt": QUESTION, "contains": ["Rome"], "max_new_tokens": 32}]

    def build(**options: Any) -> subprocess.CompletedProcess[str]:
        bench.write(recipe(builds={name: {**BUILDS[name], **options}}, golden=golden))
        return bench.doit(f"build:tiny-{name}")

    refused = build()
    assert refused.returncode == 1
    assert "The model answers wrongly on the device that stands in for its own" in refused.stdout
    assert "Give the build `bounds`, by which its fidelity decides, or build it on a machine with DirectML" in refused.stdout
    made = build(bounds={"kl_mean": 0.1})
    assert made.returncode == 0 and ran(made.stdout) == [f"package:tiny-{name}", f"build:tiny-{name}"]
    card = (bench.artifacts / "packages" / f"tiny-{name}" / "README.md").read_text(encoding="utf-8")
    assert "**It is not what the recipe expects:**" in card and "Try the model on its own device before you use it." in card
    demanded = build(proven_on="provider")
    assert demanded.returncode == 3  # before any work
    assert "proven_on: provider needs a machine that has DirectML, which only Windows has" in demanded.stderr
