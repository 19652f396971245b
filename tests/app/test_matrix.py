"""The builds as a CI matrix: what each needs of a machine, and what is left out because it did not change."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.app import matrix
from bakehouse.app.commands.matrix import Matrix
from bakehouse.app.workspace import open_workspace
from bakehouse.errors import Failure
from bakehouse.plan.plan import Build
from tests.support.bench import ROOT, recipe
from tests.support.fakes import HUB, planned
from tests.support.hub import Hub
from tests.support.published import SOURCE
from tests.support.systems import needs_git

pytestmark = pytest.mark.needs_backend("onnxruntime_genai", "openvino")


def _rows(builds: tuple[Build, ...], scratch: Path, known: Mapping[str, str] | None = None) -> dict[str, dict[str, Any]]:
    """name -> row, without a question to any hub."""
    return {row["name"]: row for row in matrix.rows(builds, known or {}, ask=False, scratch=scratch, warn=pytest.fail)}


def test_directml_is_made_on_windows_and_all_else_on_linux_each_with_a_cache_of_its_own(tmp_path: Path) -> None:
    builds = open_workspace({"PIPELINE_RECIPES": str(ROOT / "recipes"), "PIPELINE_ARTIFACTS": str(tmp_path)}).plan.builds
    rows = _rows(builds, tmp_path / "scratch")
    assert rows["phi3-int4-ort-directml"]["os"] == "windows-2025"
    assert rows["phi3-int4-openvino"]["os"] == rows["phi3-int4-ort-cpu"]["os"] == "ubuntu-24.04"
    assert len({row["cache"] for row in rows.values()}) == len(rows) == len(builds)
    assert all(row["key"][:32] in row["cache"] for row in rows.values())


def test_what_the_hub_alone_knows_is_not_made_up(tmp_path: Path) -> None:
    builds = open_workspace({"PIPELINE_RECIPES": str(ROOT / "recipes"), "PIPELINE_ARTIFACTS": str(tmp_path)}).plan.builds
    row = _rows(builds, tmp_path / "scratch")["phi3-int4-openvino"]
    assert (row["memory_bytes"], row["disk_bytes"]) == (None, None)


def test_what_has_the_same_key_is_left_out(tmp_path: Path) -> None:
    builds = open_workspace({"PIPELINE_RECIPES": str(ROOT / "recipes"), "PIPELINE_ARTIFACTS": str(tmp_path)}).plan.builds
    known = {build.name: build.package.key for build in builds} | {"phi3-int8-openvino": "00" * 32}
    assert list(_rows(builds, tmp_path / "scratch", known)) == ["phi3-int8-openvino"]


def test_what_the_hub_did_not_answer_is_reported_once_for_a_checkpoint(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    builds = {name: {"runtime": "openvino", "quantization": {"weights": name}} for name in ("int8", "fp16")}
    plan = planned(tmp_path / "recipes", recipe(source=HUB, builds=builds), recipe(name="gguf", source=SOURCE))
    said: list[str] = []
    rows = matrix.rows(plan.builds, {}, ask=True, scratch=tmp_path / "scratch", warn=said.append)
    assert {(row["memory_bytes"], row["disk_bytes"]) for row in rows} == {(None, None)}
    of_gguf, of_hub = sorted(said)
    assert of_gguf == snapshot("memory and disk are not known of gguf-int4: its source tells its shapes only after the download")
    assert of_hub.startswith("memory and disk are not known of tiny-int8, tiny-fp16: ")
    assert HUB["repo"] in of_hub and "what to do: " in of_hub


def test_what_cannot_both_count_is_refused() -> None:
    command = Matrix()
    with pytest.raises(Failure) as caught:
        command._do(*command.cmdparser.parse(["--against", "release.json", "--base", "HEAD"]))
    assert str(caught.value) == snapshot("""\
--against and --base both say what is known already.
  what to do: Leave one of them out.\
""")


@needs_git
def test_a_commit_is_never_an_option_of_git(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / "recipes").mkdir()
    commit = f"--output={tmp_path / 'written'}"
    with pytest.raises(Failure) as caught:
        matrix.keys_at(commit, tmp_path, tmp_path / "recipes", tmp_path / "scratch", confined=False)
    assert caught.value.what == f"git knows no commit {commit} here."
    assert not (tmp_path / "written").exists()


def test_a_machine_without_git_gets_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Failure) as caught:
        matrix.keys_at("HEAD", tmp_path, tmp_path, tmp_path / "scratch", confined=False)
    assert str(caught.value) == snapshot("""\
git is not installed, and only git has the recipes of a commit.
  what to do: Install git, or leave out --base.\
""")


@needs_git
def test_a_folder_outside_a_repository_and_a_commit_that_git_does_not_know_get_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    said = []
    for number, commit in enumerate(("HEAD", "0123abc")):
        if number:
            subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
        with pytest.raises(Failure) as caught:
            matrix.keys_at(commit, tmp_path, tmp_path / "recipes", tmp_path / str(number), confined=False)
        said.append(str(caught.value).replace(str(tmp_path), "DIR"))
    assert said == snapshot(
        [
            """\
DIR: This folder is not in a git repository, so it has no earlier commits.
  what to do: Run the command in a clone, or leave out --base.\
""",
            """\
DIR: git knows no commit 0123abc here.
  what to do: Name a commit, branch or tag of this repository; a shallow clone has only the last commits (`git fetch --unshallow`).\
""",
        ]
    )
