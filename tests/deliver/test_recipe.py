"""What a recipe says of delivering: checked where it stands, in no key, and carried out for all places by one command."""

from __future__ import annotations

import hashlib
import json
import shutil
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from inline_snapshot import snapshot

from bakehouse.app.main import main
from bakehouse.app.workspace import Workspace, open_workspace
from bakehouse.executor.making import Made, make
from bakehouse.executor.session import Session
from bakehouse.plan.plan import Build
from bakehouse.recipe.loader import RecipeErrors
from bakehouse.recipe.resolved import as_recipe
from bakehouse.steps.maker import Verification
from bakehouse.store.store import Staging
from tests.support import delivering
from tests.support.bench import ROOT, recipe
from tests.support.fakes import HUB, planned, put

pytestmark = pytest.mark.needs_backend("openvino", "onnxruntime_genai")

ONNX = {"runtime": "onnxruntime-genai", "quantization": {"weights": "int4", "block_size": 32}}
BUILDS: dict[str, Any] = {
    "ov": {"runtime": "openvino", "quantization": {"weights": "int8"}},
    "sdpa": {"runtime": "openvino", "quantization": {"weights": "int8"}, "runtime_options": {"ATTENTION_BACKEND": "SDPA"}},
    "cpu": ONNX | {"execution_provider": "cpu"},
    "dml": ONNX | {"execution_provider": "dml"},
}
BUNDLES = {"both": ["cpu", "dml"]}
NAME = "smollm2-int4-ort-cpu"
PLACES = ["foundry-local", "openvino-ep"]


def of(**deliver: list[str]) -> dict[str, Any]:
    """A recipe with builds for several places, and these `deliver`."""
    return recipe(source=HUB, builds=BUILDS, repositories=BUNDLES, deliver=deliver)


def errors(folder: Path, **deliver: list[str]) -> list[tuple[str, str]]:
    """What is wrong with it, and what to do, for each error; all of them stand where the place does."""
    with pytest.raises(RecipeErrors) as raised:
        planned(folder, of(**deliver))
    lines = (folder / "tiny.yaml").read_text().splitlines()
    for one in raised.value.diagnostics:
        assert lines[one.span.line][one.span.column : one.span.end] in chain.from_iterable(deliver.values())
    return [(one.what, one.help) for one in raised.value.diagnostics]


def test_places_that_take_a_build_are_planned_for_it_and_for_a_bundle(tmp_path: Path) -> None:
    plan = planned(tmp_path, of(cpu=["foundry-local", "transformers-js"], both=["ort-model-package"], ov=["ovms"]))
    assert {build.name: build.places for build in plan.builds if build.places} == {
        "tiny-ov": ("ovms",),
        "tiny-cpu": ("foundry-local", "transformers-js"),
        "tiny-both": ("ort-model-package",),
    }


def test_where_a_build_is_delivered_to_changes_no_key_and_no_recipe_in_a_package(tmp_path: Path) -> None:
    plain = planned(tmp_path / "plain", recipe(source=HUB, builds=BUILDS, repositories=BUNDLES))
    other = planned(tmp_path / "other", of(cpu=["foundry-local"], both=["ort-model-package"]))
    assert [step.key for step in plain.steps] == [step.key for step in other.steps]
    assert "deliver" not in as_recipe(*(build.resolved for build in other.builds[:1])).model_dump(mode="json")


def test_a_place_that_does_not_take_the_build_is_an_error_where_it_stands(tmp_path: Path) -> None:
    assert errors(
        tmp_path, ov=["foundry-local"], sdpa=["ovms"], dml=["transformers-js", "openvino-ep"], both=["foundry-local"]
    ) == snapshot(
        [
            (
                "foundry-local takes a package of one model for ONNX Runtime GenAI, and tiny-ov is one for openvino.",
                "A package for openvino can be delivered to ovms.",
            ),
            (
                "The server computes attention paged, and tiny-sdpa is made to be run with ATTENTION_BACKEND=SDPA.",
                "Deliver a build without that option.",
            ),
            (
                "transformers-js takes a model made for cpu or webgpu, and tiny-dml is made for dml.",
                "Deliver another build, or another model.",
            ),
            (
                "openvino-ep takes a model made for cpu, whose graph OpenVINO was seen to run, and tiny-dml is made for dml.",
                "Deliver a build for cpu.",
            ),
            (
                "foundry-local takes one model, and tiny-both has 2: cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4, "
                "directml/directml-int4-rtn-block-32.",
                "Name one of its builds instead of the bundle.",
            ),
        ]
    )


def test_a_place_that_is_none_is_an_error_with_the_nearest_one(tmp_path: Path) -> None:
    assert errors(tmp_path, cpu=["foundry", "huggingface", "nowhere"]) == snapshot(
        [
            ("`foundry` is not a place that packages are delivered to.", "Did you mean `foundry-local`?"),
            (
                "`huggingface` is not a place that packages are delivered to.",
                "A package goes to the hub as it is; `publish` says where to.",
            ),
            (
                "`nowhere` is not a place that packages are delivered to.",
                "The places are ovms, foundry-local, transformers-js, openvino-ep, ort-model-package.",
            ),
        ]
    )


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recipe that names places, and its build in the store."""
    monkeypatch.chdir(tmp_path)
    for name in ("PIPELINE_RECIPES", "PIPELINE_ARTIFACTS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "recipes").mkdir()
    written = yaml.safe_load((ROOT / "recipes" / "smollm2.yaml").read_text(encoding="utf-8"))
    write(tmp_path, written | {"deliver": {"int4-ort-cpu": PLACES}})
    workspace = open_workspace()
    build = workspace.plan.build(NAME)
    assert build
    bake(build, workspace, delivering.pack(tmp_path / "packed", ("smollm2", "int4-ort-cpu")))
    return tmp_path


def write(folder: Path, written: dict[str, Any]) -> None:
    """Make this the recipe."""
    (folder / "recipes" / "smollm2.yaml").write_text(yaml.safe_dump(written, sort_keys=False), encoding="utf-8")


def bake(build: Build, workspace: Workspace, package: Path) -> None:
    """Have the store make a build whose package is this folder."""

    def fill(staging: Staging) -> Made:
        shutil.copytree(package, staging.files, dirs_exist_ok=True)
        return Made(Verification())

    for step in build.package.closure():
        if step == build.package:
            make(step, Session(workspace.store), fill)
        else:
            put(step, workspace.store)
    workspace.store.expose(build.package, build.name, lambda: None)


def deliver(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """What the command says to a script."""
    assert main(["deliver", NAME, "--json", *words]) == 0
    return {one["profile"]: one for one in json.loads(capsys.readouterr().out)["folders"]}


def test_all_places_of_the_recipe_get_a_folder_each_that_checks(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = deliver(capsys)
    assert list(done) == PLACES
    for place in PLACES:
        folder = built / "artifacts" / "delivered" / NAME / place
        assert done[place]["folder"] == str(folder) and done[place]["new"]
        assert main(["check", str(folder)]) == 0


def test_a_second_time_the_folders_stay(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {place: Path(one["folder"]).stat().st_ino for place, one in deliver(capsys).items()}
    again = deliver(capsys)
    assert {place: Path(one["folder"]).stat().st_ino for place, one in again.items()} == before
    assert not any(one["new"] for one in again.values())
    assert main(["deliver", NAME]) == 0
    assert capsys.readouterr().out.startswith(f"{NAME}: there already for foundry-local in ")


def test_folders_of_a_package_as_it_was_before_are_replaced(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deliver(capsys, "out")
    record = built / "out" / "foundry-local" / "bakehouse-delivery.json"
    old = json.loads(record.read_text())
    manifest = built / "out" / "foundry-local" / "bakehouse.json"
    manifest.write_text(manifest.read_text().replace('"description":', '"description": '))
    record.write_text(json.dumps(old | {"manifest_sha256": hashlib.sha256(manifest.read_bytes()).hexdigest()}))
    done = deliver(capsys, "out")
    assert [one["new"] for one in done.values()] == [True, False]
    assert json.loads(record.read_text()) == old
    assert {path.name for path in (built / "out").iterdir()} == set(PLACES)


def test_a_folder_that_somebody_changed_is_not_replaced(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deliver(capsys, "out")
    (built / "out" / "foundry-local" / "mine.txt").write_text("mine")
    assert main(["deliver", NAME, "out"]) == 1
    assert f"{Path('out', 'foundry-local')}: What was delivered here is no longer as it was" in capsys.readouterr().err
    assert (built / "out" / "foundry-local" / "mine.txt").is_file()


def test_a_list_for_scripts_and_a_plan_name_the_places(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    listed = {one["name"]: one["deliver"] for one in json.loads(capsys.readouterr().out)["builds"]}
    assert listed == {"smollm2-int4-openvino": [], "smollm2-int8-openvino": [], NAME: PLACES}
    assert main(["plan", NAME]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"`bakehouse deliver {NAME}` then lays it out for foundry-local, openvino-ep"


def test_what_cannot_be_delivered_without_a_place_says_why(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = {}
    for words in (["smollm2-int4-openvino"], ["other"], [NAME, "--to", "foundry-local"]):
        assert main(["deliver", *words]) == 1
        said[" ".join(words)] = capsys.readouterr().err
    write(built, yaml.safe_load((built / "recipes" / "smollm2.yaml").read_text()) | {"description": "Another one"})
    assert main(["deliver", NAME]) == 1
    assert said | {"changed": capsys.readouterr().err} == snapshot(
        {
            "smollm2-int4-openvino": """\
ERROR: The recipe smollm2 does not say what smollm2-int4-openvino is delivered to.
  what to do: Name it below `deliver` in the recipe, or a place and a folder here: --to PROFILE FOLDER; for it there are ovms.
""",
            "other": """\
ERROR: No recipe here has a build called other, and so none says what it is delivered to.
  what to do: Name a build that `bakehouse list` shows; or a place and a folder: `bakehouse deliver NAME|DIR --to PROFILE FOLDER`.
""",
            "smollm2-int4-ort-cpu --to foundry-local": """\
ERROR: --to lays the package out in one folder, and none is named.
  what to do: `bakehouse deliver NAME --to foundry-local FOLDER`.
""",
            "changed": """\
ERROR: smollm2-int4-ort-cpu is not built as its recipe is now.
  what to do: `bakehouse build smollm2-int4-ort-cpu` makes it.
""",
        }
    )
