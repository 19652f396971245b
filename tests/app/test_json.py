"""`--json`: one document on standard output, of the command's model, and the exit codes of the command without it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

import pytest

from bakehouse.app import documents
from bakehouse.app.documents import Document
from bakehouse.app.main import main
from bakehouse.app.workspace import open_workspace
from tests.package.test_card import manifest
from tests.support.bench import recipe
from tests.support.fakes import HUB, planned, put
from tests.support.fidelities import fidelity
from tests.support.packed import pack

pytestmark = pytest.mark.needs_backend("openvino")


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recipe whose one build is in the store."""
    monkeypatch.chdir(tmp_path)
    for name in ("PIPELINE_RECIPES", "PIPELINE_ARTIFACTS"):
        monkeypatch.delenv(name, raising=False)
    planned(tmp_path / "recipes", recipe(source=HUB))
    opened = open_workspace()
    (build,) = opened.plan.builds
    for step in build.package.closure():
        put(step, opened.store, **({"bakehouse_json": manifest(fidelity=fidelity(0.2)).model_dump_json()} if step == build.package else {}))
    opened.store.expose(build.package, build.name, lambda: None)
    return tmp_path


D = TypeVar("D", bound=Document)


def document(kind: type[D], capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> D:
    """What a command prints, which must be of this kind, and nothing else."""
    assert main(list(words)) == code
    return kind.model_validate_json(capsys.readouterr().out)


def test_builds_are_listed(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (build,) = document(documents.Listing, capsys, "list", "--json").builds
    assert (build.name, build.recipe, build.runtime, build.state) == ("tiny-int4", "tiny", "openvino", "built")
    assert build.fidelity and build.fidelity.kl_mean.value == 0.2
    assert build.package == str(built / "artifacts" / "packages" / "tiny-int4")


def test_steps_are_planned(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planned = document(documents.Planned, capsys, "plan", "tiny-int4", "--json")
    assert planned.builds == ("tiny-int4",)
    assert {step.state for step in planned.steps} == {"have"} and all(step.size_bytes for step in planned.steps)


def test_a_good_recipe_and_a_wrong_one_are_linted_into_the_same_shape(
    built: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_ARTIFACTS", str(built / "empty"))  # the checkpoint in the other has no config.json
    assert document(documents.Linted, capsys, "lint", "--json").builds == ("tiny-int4",)
    (built / "recipes" / "wrong.yaml").write_text("name: wrong\nnonsense: 1\n", encoding="utf-8")
    errors = document(documents.Linted, capsys, "lint", "--json", code=1).errors
    assert {Path(one.file).name for one in errors} == {"wrong.yaml"}
    assert [(one.line, one.column) for one in errors if "nonsense" in one.what] == [(2, 1)]


def test_the_store_is_checked_and_the_repair_named(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = document(documents.CheckedStore, capsys, "check", "--json")
    assert good.files and not good.faults and good.repair == ""
    package = built / "artifacts" / "packages" / "tiny-int4"
    (package / "notes.txt").write_text("mine", encoding="utf-8")
    bad = document(documents.CheckedStore, capsys, "check", "tiny-int4", "--json", code=1)
    assert bad.damaged == ("build:tiny-int4",)
    assert bad.repair == "bakehouse clean build:tiny-int4 && bakehouse build build:tiny-int4"


def test_a_folder_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = pack(tmp_path / "package")
    good = document(documents.CheckedPackage, capsys, "check", str(package), "--json")
    assert (good.faults, good.signature, good.newer) == ((), "none", False)
    (package / "notes.txt").write_text("mine", encoding="utf-8")
    assert document(documents.CheckedPackage, capsys, "check", str(package), "--json", code=1).faults


def test_packages_are_compared(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compared = document(documents.Compared, capsys, "compare", "--json")
    (package,) = compared.packages
    assert package.fidelity and package.measured_on == "bakehouse-1" and compared.pairs == ()
    assert package.answers and 0 < package.common_tokens <= package.source_tokens


def test_a_matrix_is_json_with_and_without_the_flag(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["matrix"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert main(["matrix", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == plain


@pytest.mark.parametrize("verb", ["plan", "check", "compare", "matrix"])
def test_a_wrong_name_is_refused_in_a_document_and_in_a_sentence(verb: str, built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "nonsense", "--json"]) == 1
    said = capsys.readouterr()
    assert documents.Refused.model_validate_json(said.out).error.what == "No build is called nonsense."
    assert said.err.startswith("ERROR: No build is called nonsense.")
