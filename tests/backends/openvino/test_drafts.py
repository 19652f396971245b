"""A small model that proposes tokens lies in the package, changes no answer, and is counted; what it cannot do is refused before work."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot
from rich.table import Table

from bakehouse.app import linting
from bakehouse.app.main import main
from bakehouse.app.workspace import Workspace, open_workspace
from bakehouse.executor.session import Session
from bakehouse.inference.found import find
from bakehouse.package import card_words, compare
from bakehouse.package.manifest import read
from bakehouse.plan.plan import Build, Plan
from bakehouse.recipe.loader import RecipeErrors, load
from bakehouse.records import Drafted
from bakehouse.tasks.text_generation import draft_tokens
from tests.package.test_card import manifest
from tests.support import delivering, standin
from tests.support.bench import Bench, recipe
from tests.support.fakes import HUB, planned

INT8: dict[str, Any] = {"runtime": "openvino", "quantization": {"weights": "int8"}}
OTHER = {**HUB, "repo": "bakers/crumb"}
SMALL = {"small": {"source": OTHER, "build": INT8}}
UNCACHED = {"enable_prefix_caching": False, "KV_CACHE_PRECISION": "f16"}
GOLDEN = [{"prompt": prompt, "equals": answer, "max_new_tokens": 32} for prompt, answer in standin.TINY_ANSWERS.items()]


def pair(**changes: Any) -> dict[str, Any]:
    """A recipe with a build that has a draft, and the same build without it."""
    return recipe(**{"source": HUB, "builds": {"pair": INT8 | {"draft": "small"}, "plain": INT8}, "drafts": SMALL} | changes)


def two(plan: Plan) -> tuple[Build, Build]:
    """The builds with and without the draft."""
    first, second = plan.builds
    return first, second


def test_a_draft_changes_no_step_but_those_that_prove_and_package(tmp_path: Path) -> None:
    drafted, plain = two(planned(tmp_path, pair()))
    assert {role: step.key for role, step in plain.parts.items()}.items() <= {
        role: step.key for role, step in drafted.parts.items()
    }.items()
    different = {step.kind for step in plain.package.closure()} - {
        step.kind for step in drafted.package.closure() if step.key in {one.key for one in plain.package.closure()}
    }
    assert different == {"validate", "package"}


def test_a_draft_is_made_by_the_steps_of_any_build_of_its_source(tmp_path: Path) -> None:
    drafted, _ = two(planned(tmp_path / "pair", pair()))
    (alone,) = planned(tmp_path / "alone", recipe(name="crumb", source=OTHER, builds={"int8": INT8})).builds
    assert {f"draft_{role}": step.key for role, step in alone.parts.items()} == {
        role: step.key for role, step in drafted.parts.items() if role.startswith("draft_") and role != "draft_checkpoint"
    }
    assert drafted.draft and drafted.draft.validate.key not in {step.key for step in drafted.package.closure()}


def test_the_recipe_in_a_package_has_its_draft(tmp_path: Path) -> None:
    from bakehouse.stages.package import recipe_text

    drafted, plain = two(planned(tmp_path / "one", pair()))
    for build, drafts in ((drafted, {"small"}), (plain, set())):
        (tmp_path / "recipe.yaml").write_text(recipe_text(build.resolved), encoding="utf-8")
        again = load(tmp_path / "recipe.yaml")
        assert set(again.drafts) == drafts
        (back,) = planned(tmp_path / build.name, again.model_dump(mode="json", exclude_none=True)).builds
        assert back.package.key == build.package.key


def tokens(folder: Path, **changes: int) -> Path:
    """A checkpoint with a tokenizer of a few tokens."""
    folder.mkdir()
    vocabulary = {"a": 0, "b": 1, "ab": 2, **changes}
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}, "added_tokens": [{"id": 3, "content": "<e>"}]}))
    return folder


def test_other_tokens_are_seen_in_the_files_of_the_checkpoints(tmp_path: Path) -> None:
    model = tokens(tmp_path / "model")
    assert draft_tokens.misfits(model, tokens(tmp_path / "same")) == ()
    assert draft_tokens.misfits(model, tokens(tmp_path / "other", ab=4)) == snapshot(
        ("its tokenizer has other tokens than the model's: 1 differ, as 'ab' does",)
    )
    (tmp_path / "none").mkdir()
    assert draft_tokens.misfits(model, tmp_path / "none") == ()


def test_what_a_draft_was_good_for_is_compared_and_on_the_card() -> None:
    found = Drafted(name="small", proposed=40, accepted=31, tokens=38, seconds=2.0, seconds_without=3.0)
    one = manifest()
    row = compare.row(one.model_copy(update={"validation": one.validation.model_copy(update={"drafted": found})}))
    assert card_words.draft_figures(found) == "accepted 78 % of 40 tokens, 1.5 times as fast"
    page = compare.page([row, compare.row(one)])
    assert page.count("draft: accepted 78 % of 40 tokens, 1.5 times as fast") == 1
    numbers, *_ = compare.tables([row, compare.row(one)])
    assert isinstance(numbers, Table) and numbers.columns[-1].header == "draft"


@pytest.fixture(scope="module")
def baked(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The tiny model with a draft that is sometimes right."""
    bench = Bench(tmp_path_factory.mktemp("pair"))
    source = {"type": "local", "license": "MIT"}
    drafts = {"small": {"source": source | {"path": "small"}, "build": INT8}}
    builds = {"pair": INT8 | {"draft": "small"}, "plain": INT8, "uncached": INT8 | {"runtime_options": UNCACHED}}
    written = pair(source=source | {"path": "model"}, golden=GOLDEN, drafts=drafts, builds=builds)
    bench.write(json.loads(json.dumps(written)))  # YAML would say with an alias what is the same object
    bench.add_model(standin.tiny_checkpoint())
    shutil.copytree(standin.tiny_draft(), bench.recipes / "small")
    bench.build("build")
    return bench


@pytest.mark.model
def test_answers_are_the_same_with_the_draft_and_what_it_proposed_is_counted(baked: Bench) -> None:
    packages = baked.artifacts / "packages"
    one, plain = read(packages / "tiny-pair"), read(packages / "tiny-plain")
    drafted = one.validation.drafted
    assert drafted and 0 < drafted.accepted < drafted.proposed
    assert drafted.tokens == sum(len(verdict.tokens) for verdict in one.validation.verdicts)
    assert [verdict.tokens for verdict in one.verdicts] == [verdict.tokens for verdict in plain.verdicts]
    draft = {path.name for path in (packages / "tiny-pair" / "draft").iterdir()}
    assert {"openvino_model.bin", "openvino_tokenizer.xml", "config.json", "LICENSE"} <= draft
    assert one.draft_source and {file.path for file in one.draft_source.files} >= {"config.json", "model.safetensors"}
    assert one.measured["draft"]["model"]["weights"] and "draft" not in plain.measured
    for name in ("openvino_model.bin", "openvino_model.xml"):
        assert (packages / "tiny-pair" / name).read_bytes() == (packages / "tiny-plain" / name).read_bytes()
    for name in ("provenance.json", "bom.json"):
        assert "draft" in (packages / "tiny-pair" / name).read_text(encoding="utf-8")
    assert main(["check", str(packages / "tiny-pair")]) == 0


@pytest.mark.model
def test_the_program_of_the_card_uses_the_draft(baked: Bench, tmp_path: Path) -> None:
    package = baked.artifacts / "packages" / "tiny-pair"
    program, *_ = delivering.blocks(package, "python")
    assert 'draft_model("tiny-pair/draft", "CPU")' in program
    assert delivering.run_python(program, package.parent, None, tmp_path / "home") == standin.TINY_ANSWERS[standin.QUESTION]


@pytest.mark.model
def test_prompts_that_are_not_kept_and_the_cache_of_the_recipe_are_in_the_manifest(baked: Bench, tmp_path: Path) -> None:
    package = baked.artifacts / "packages" / "tiny-uncached"
    used = read(package).validation.in_use
    assert used and used.runtime_options == {"KV_CACHE_PRECISION": "f16", "enable_prefix_caching": "False"}
    program, *_ = delivering.blocks(package, "python")
    assert "scheduler.enable_prefix_caching = False" in program
    assert delivering.run_python(program, package.parent, None, tmp_path / "home") == standin.TINY_ANSWERS[standin.QUESTION]


@pytest.mark.model
def test_a_benchmark_says_how_much_of_the_draft_was_accepted(
    baked: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIPELINE_ARTIFACTS", str(baked.artifacts))
    flags = ("--runs", "1", "--prompt-tokens", "8", "--new-tokens", "8", "--json")
    assert main(["bench", "tiny-pair", "tiny-plain", *flags]) == 0
    found = {one["name"]: one["lengths"][0]["accepted"] for one in json.loads(capsys.readouterr().out)}
    assert found["tiny-plain"] is None and 0 <= found["tiny-pair"] <= 1


@pytest.mark.model
def test_a_model_server_is_given_the_draft(baked: Bench, tmp_path: Path) -> None:
    delivering.deliver(baked.artifacts / "packages" / "tiny-pair", "ovms", tmp_path / "out")
    graph = (tmp_path / "out" / "tiny-pair" / "graph.pbtxt").read_text(encoding="utf-8")
    assert 'draft_models_path: "./draft"' in graph and (tmp_path / "out" / "tiny-pair" / "draft" / "openvino_model.xml").is_file()


@pytest.mark.model
def test_a_draft_with_other_tokens_is_refused_before_the_work(baked: Bench, tmp_path: Path) -> None:
    bench = baked.copy(tmp_path / "other")
    path = bench.recipes / "small" / "tokenizer.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"Ġthe"', '"Ġthx"'), encoding="utf-8")
    workspace: Workspace = open_workspace({"PIPELINE_RECIPES": str(bench.recipes), "PIPELINE_ARTIFACTS": str(tmp_path / "empty")})
    with pytest.raises(RecipeErrors, match="The draft small: its tokenizer has other tokens than the model's"):
        linting.check(workspace, Session(workspace.store))


@pytest.mark.model
def test_the_runtime_is_given_no_draft_with_other_tokens(baked: Bench) -> None:
    from bakehouse.backends.openvino.seams import RunRequest
    from tests.support import worker

    package = baked.artifacts / "packages" / "tiny-pair"
    assert find("tiny-pair", package.parent)
    other = package.parent / "other"
    shutil.copytree(package / "draft", other)
    tokenizer = other / "openvino_tokenizer.xml"
    tokenizer.write_text(
        tokenizer.read_text(encoding="utf-8").replace('eos_token_id value="2"', 'eos_token_id value="1"'), encoding="utf-8"
    )
    assert "eos_token_id" in tokenizer.read_text(encoding="utf-8")
    done = worker.run(_run(RunRequest(model=package, device="CPU", runtime_options={}, draft=other)))
    assert "another end token" in done.text and done.code == 3


def _run(request: Any) -> Any:
    from bakehouse.steps.maker import worker as command

    return command("backends.openvino.workers.run", request=request)
