"""A build is written into a recipe, and every other byte stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.errors import Failure
from bakehouse.recipe.edit import with_build
from bakehouse.recipe.loader import load_all

pytestmark = pytest.mark.needs_backend("openvino")
HEAD = """\
# our model
schema_version: 1
name: tiny
description: A model for tests   # in one line
source: {type: huggingface, repo: owner/tiny, revision: f39ac1d28e925b323eae81227eaba4464caced4e, license: mit}
golden:
- prompt: What is the capital of France?
  contains: [Paris]
"""
BUILDS = """\
builds:
    # small enough
    int4:
        runtime: openvino
        quantization: {weights: int4,   ratio: 0.6}  # as measured
"""
BUILD = {"runtime": "openvino", "quantization": {"weights": "int4", "ratio": 1.0, "awq": True}, "bounds": {"kl_mean": 0.2}}


def written(folder: Path, text: str) -> str:
    path = folder / "tiny.yaml"
    path.write_bytes(text.encode())
    (loaded,) = load_all(folder)
    changed = with_build(loaded, "best", BUILD, "Found by a search.")
    path.write_bytes(changed.encode())
    (again,) = load_all(folder)
    assert {"int4", "best"} == set(again.recipe.builds)
    assert changed.replace(changed[len(text) :], "") == text or all(line in changed for line in text.splitlines())
    return changed


def test_a_build_is_added_after_the_others_and_comments_stay(tmp_path: Path) -> None:
    after = "\n# where it goes\nrepositories: {}\n"
    changed = written(tmp_path, HEAD + BUILDS + after)
    added = changed.removeprefix(HEAD + BUILDS).removesuffix(after)
    assert added == snapshot("""\
    # Found by a search.
    best:
      runtime: openvino
      quantization: {weights: int4, ratio: 1.0, awq: true}
      bounds: {kl_mean: 0.2}
""")


def test_a_build_is_added_to_a_recipe_that_ends_with_its_builds(tmp_path: Path) -> None:
    assert written(tmp_path, (HEAD + BUILDS).rstrip("\n")).startswith(HEAD + BUILDS)


def test_line_ends_of_windows_stay(tmp_path: Path) -> None:
    changed = written(tmp_path, (HEAD + BUILDS).replace("\n", "\r\n"))
    assert changed.count("\n") == changed.count("\r\n")


def test_a_build_of_the_same_name_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(HEAD + BUILDS.replace("int4:", "best:"), encoding="utf-8")
    (loaded,) = load_all(tmp_path)
    with pytest.raises(Failure, match="a build best with other options"):
        with_build(loaded, "best", BUILD)


def test_builds_on_one_line_are_left_alone(tmp_path: Path) -> None:
    builds = "builds: {int4: {runtime: openvino, quantization: {weights: int8}}}\n"
    (tmp_path / "tiny.yaml").write_text(HEAD + builds, encoding="utf-8")
    (loaded,) = load_all(tmp_path)
    with pytest.raises(Failure, match="not one below the other"):
        with_build(loaded, "best", BUILD)
