"""What builds share is one step, and every step has a name of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.app import selection
from bakehouse.errors import Failure
from bakehouse.recipe.source import Local
from bakehouse.sources import local
from tests.support.bench import INT4, recipe
from tests.support.fakes import HUB, planned

pytestmark = pytest.mark.needs_backend("openvino")

OPENVINO: dict[str, Any] = {
    "int4": {"runtime": "openvino", "quantization": INT4},
    "int8": {"runtime": "openvino", "quantization": {"weights": "int8"}},
}
SHARED = [
    *("download:tiny", "export:tiny", "export:tiny-tokenizer"),
    *("validate:tiny-reference", "validate:tiny-logits", "validate:tiny-numeric", "validate:tiny-fidelity-reference"),
]


def of_hub(**changes: Any) -> dict[str, Any]:
    """A recipe over a repository of the hub."""
    return recipe(**{"source": HUB, "builds": OPENVINO} | changes)


def test_what_two_builds_need_alike_is_one_step(tmp_path: Path) -> None:
    plan = planned(tmp_path, of_hub())
    names = list(selection.names(plan).values())
    own = [f"{group}:tiny-{build}" for build in OPENVINO for group in ("convert", "validate", "package")]
    own += [f"validate:tiny-{build}-fidelity" for build in OPENVINO]
    assert sorted(names) == sorted([*SHARED, *own])


def test_every_step_comes_after_what_it_needs(tmp_path: Path) -> None:
    seen: set[str] = set()
    for step in planned(tmp_path, of_hub()).steps:
        assert {needed.key for _, needed in step.needs} <= seen
        seen.add(step.key)


def test_two_recipes_of_one_model_share_its_download_and_export_under_the_first_name(tmp_path: Path) -> None:
    plan = planned(tmp_path, of_hub(name="one", builds={"int4": OPENVINO["int4"]}), of_hub(name="two", builds={"int8": OPENVINO["int8"]}))
    names = list(selection.names(plan).values())
    assert [name for name in names if name.startswith(("download:", "export:"))] == ["download:one", "export:one", "export:one-tokenizer"]
    assert {"convert:one-int4", "convert:two-int8"} <= set(names)


def test_two_builds_of_the_same_options_share_all_but_their_package(tmp_path: Path) -> None:
    plan = planned(tmp_path, of_hub(builds={"a": OPENVINO["int4"], "b": OPENVINO["int4"]}))
    a, b = plan.builds
    assert a.parts["model"].key == b.parts["model"].key
    assert a.validate.key == b.validate.key
    assert a.package.key != b.package.key


def test_another_commit_is_another_everything(tmp_path: Path) -> None:
    before = planned(tmp_path / "a", of_hub())
    after = planned(tmp_path / "b", of_hub(source={**HUB, "revision": "1" * 40}))
    assert not {step.key for step in before.steps} & {step.key for step in after.steps}


def test_another_licence_word_makes_only_the_packages_again(tmp_path: Path) -> None:
    before = planned(tmp_path / "a", of_hub())
    after = planned(tmp_path / "b", of_hub(source={**HUB, "license": "Apache-2.0"}))
    changed = {step.kind for step in before.steps} - {step.kind for step in before.steps if step.key in {one.key for one in after.steps}}
    assert changed == {"package"}


def test_a_package_reads_the_records_of_all_before_it_and_any_other_step_what_it_needs(tmp_path: Path) -> None:
    (build,) = planned(tmp_path, of_hub(builds={"int4": OPENVINO["int4"]})).builds
    checks = {"reference", "reference_logits", "numeric_check", "fidelity_reference", "fidelity", "validate"}
    assert {step.kind for step in build.package.reads} == {"download", "export", "tokenizer", "compress", *checks}
    assert [step.kind for step in build.parts["model"].reads] == ["export"]


def test_a_build_is_found_by_its_full_name_only(tmp_path: Path) -> None:
    plan = planned(tmp_path, of_hub())
    assert plan.build("tiny-int4") is plan.builds[0]
    assert plan.build("int4") is None


def test_a_local_source_that_is_not_there_stops_the_plan(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        planned(tmp_path, recipe())
    assert str(caught.value).startswith(f"{tmp_path.as_posix()}/tiny.yaml:6:9: model does not exist.\n  6 |   path: model\n")


def test_a_package_says_nothing_of_where_its_local_files_lay(tmp_path: Path) -> None:
    made = []
    for place in ("here", "there"):
        base = tmp_path / place
        model = base / "models" / "tiny"
        model.mkdir(parents=True)
        for name, text in (("config.json", "{}"), ("tokenizer.json", "{}"), ("model.safetensors", "weights")):
            (model / name).write_text(text)
        texts = base / "texts.txt"
        texts.write_text("one\n")
        awq = {**OPENVINO["int4"]["quantization"], "awq": True, "calibration": {"type": "file", "path": str(texts)}}
        builds = {"int4": {**OPENVINO["int4"], "quantization": awq}}
        made += planned(base / "recipes", recipe(source={"type": "local", "path": str(model), "license": "mit"}, builds=builds)).builds
    assert made[0].package.key == made[1].package.key
    assert str(tmp_path) not in made[0].package.spec.model_dump_json()
    assert isinstance(made[0].resolved.source, Local)
    assert made[0].resolved.source.path == "tiny"


def test_two_local_files_that_a_package_would_call_the_same_are_refused(tmp_path: Path) -> None:
    builds = {}
    for place, text in (("a", "one\n"), ("b", "two\n")):
        (tmp_path / place).mkdir()
        (tmp_path / place / "texts.txt").write_text(text)
        asked = {"awq": True, "calibration": {"type": "file", "path": str(tmp_path / place / "texts.txt")}}
        builds[place] = {**OPENVINO["int4"], "quantization": {**OPENVINO["int4"]["quantization"], **asked}}
    with pytest.raises(Failure, match=r"Another local file of this recipe is called texts\.txt, too\."):
        planned(tmp_path / "recipes", of_hub(builds=builds), fingerprint=lambda path: path.read_text().strip() * 32)
    planned(tmp_path / "recipes", of_hub(builds=builds))  # of the same content they may be


def test_a_gguf_source_without_its_tools_is_planned_and_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned(tmp_path, recipe(source={**HUB, "gguf": "tiny.gguf"}))  # all that is imported late is imported now
    monkeypatch.setattr(sys, "path", [])
    (build,) = planned(tmp_path, recipe(source={**HUB, "gguf": "tiny.gguf"})).builds
    assert build.cannot == snapshot(
        "gguf, transformers, torch, safetensors, tokenizers, numpy not installed: install Bakehouse with its extra `build`"
    )


def test_a_plan_knows_the_builds_after_each_step(tmp_path: Path) -> None:
    plan = planned(tmp_path, of_hub())
    for step in plan.steps:
        assert plan.builds_after[step.key] == tuple(build for build in plan.builds if step in build.package.closure())


def test_a_bound_runs_nothing_again_but_the_packages(tmp_path: Path) -> None:
    bounded = {name: {**build, "bounds": {"kl_mean": 0.2}} for name, build in OPENVINO.items()}
    before, after = planned(tmp_path / "a", of_hub()), planned(tmp_path / "b", of_hub(builds=bounded))
    assert {step.kind for step in before.steps if step.key not in {one.key for one in after.steps}} == {"package"}


def test_another_evaluation_text_is_another_reference_and_no_other_model(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "own.txt").write_text("A sample.\n", encoding="utf-8")
    before = planned(tmp_path / "a", of_hub())
    after = planned(tmp_path / "b", of_hub(evaluation={"type": "file", "path": "own.txt"}))
    changed = {step.kind for step in after.steps if step.key not in {one.key for one in before.steps}}
    assert changed == {"calibration", "fidelity_reference", "fidelity", "package"}


def test_builds_that_users_run_otherwise_are_measured_otherwise(tmp_path: Path) -> None:
    accurate = {**OPENVINO["int4"], "runtime_options": {"EXECUTION_MODE_HINT": "ACCURACY"}}
    one, other, same = planned(tmp_path, of_hub(builds={"a": OPENVINO["int4"], "b": accurate, "c": OPENVINO["int4"]})).builds
    measured = [build.package.need("fidelity").key for build in (one, other, same)]
    assert measured[0] == measured[2] != measured[1]


def test_the_texts_of_a_calibration_are_refused_as_those_of_the_evaluation(tmp_path: Path) -> None:
    calibrated = {"weights": "int4", "symmetric": False, "group_size": 32, "ratio": 0.8, "scale_estimation": True}
    calibrated |= {"calibration": {"type": "file", "path": "texts.txt"}}
    for name in ("texts.txt", "copy.txt"):
        (tmp_path / name).write_text("A sample.\n", encoding="utf-8")
    builds = {"int4": {"runtime": "openvino", "quantization": calibrated}}
    with pytest.raises(Failure) as caught:
        planned(tmp_path, of_hub(builds=builds, evaluation={"type": "file", "path": "copy.txt"}))
    assert "The build int4 is calibrated with the same texts" in str(caught.value)
    planned(tmp_path, of_hub(builds=builds, evaluation={"type": "file", "path": "copy.txt"}), fingerprint=lambda path: path.name * 8)


def test_a_local_source_is_looked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "model"
    source.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (source / name).write_text("{}", encoding="utf-8")
    looked: list[str] = []
    kept = Path.iterdir

    def counting(folder: Path) -> Iterator[Path]:
        looked.append(folder.name)
        return kept(folder)

    monkeypatch.setattr(Path, "iterdir", counting)
    planned(tmp_path, recipe(source={"type": "local", "path": "model", "license": "MIT"}))
    once = looked.count("model")
    looked.clear()
    local.resolve_model(tmp_path, "model", confined=False)
    assert once == looked.count("model") > 0
