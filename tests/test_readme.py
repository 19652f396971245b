"""What README.md shows in code blocks is what happens: each shell block is run to the letter, or has a reason above it why not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from tests.support import hub as hubs
from tests.support import pages
from tests.support.bench import ROOT
from tests.test_docs import COMMIT, posix

pytestmark = pytest.mark.needs_backend("openvino", "openvino_npu", "onnxruntime", "onnxruntime_genai", "npu_library")
README = "README.md"
RECIPES = "docs/guides/recipes.md"
RECIPE = "# yaml-language-server"


def test_a_person_reads_it_in_one_go() -> None:
    assert len((ROOT / README).read_text(encoding="utf-8").splitlines()) < 120


@pytest.mark.parametrize("page", [README, "docs/guides/install.md"])
def test_the_two_commands_are_targets_that_come_to_the_build_and_the_suite(page: str) -> None:
    # printed and not run: they make an environment and fetch some gigabytes
    printed = pages.sh(pages.block(page, "make build "), ROOT, {"MAKEFLAGS": "n --no-print-directory"}).splitlines()
    assert ".venv/bin/doit build:smollm2-int4-openvino" in printed
    assert printed[-1] == snapshot(".venv/bin/python -m pytest -n 2 --dist loadfile")


def test_every_runtime_of_the_table_is_one_that_a_recipe_may_name() -> None:
    from bakehouse.backends.table import BACKENDS

    for page in (README, "docs/reference/targets.md"):
        rows = re.findall(r"^\| `([\w-]+)` \|", (ROOT / page).read_text(encoding="utf-8"), re.M)
        assert sorted(rows) == sorted(BACKENDS)


def _lint(folder: Path, recipe: str) -> str:
    """What `bakehouse lint` prints of the one recipe in a folder, on both channels."""
    (folder / "recipes").mkdir(exist_ok=True)
    (folder / "recipes" / "phi3.yaml").write_text(recipe, encoding="utf-8")
    return pages.sh("bakehouse lint 2>&1 || true", folder).replace(f"{folder}/", "")


@pytest.mark.whole
@posix
@pytest.mark.parametrize("page", [README, RECIPES])
def test_the_recipe_that_is_shown_is_well_formed(page: str, tmp_path: Path) -> None:
    assert _lint(tmp_path, pages.block(page, RECIPE)) == snapshot("1 recipe with 2 builds is well formed\n")


@posix
def test_a_typing_error_is_answered_as_shown(tmp_path: Path) -> None:
    wrong = pages.block(RECIPES, RECIPE).replace("group_size: 128, ratio", "group_sise: 128, ratio")
    assert f"$ bakehouse lint\n{_lint(tmp_path, wrong)}" == pages.block(RECIPES, "$ bakehouse lint")


@posix
@pytest.mark.model
def test_the_quick_start_ends_with_a_package(tmp_path: Path, hub: hubs.Hub, tiny_checkpoint: Path) -> None:
    hub.serve(tiny_checkpoint, "HuggingFaceTB/SmolLM2-135M-Instruct", COMMIT)
    (start,) = pages.runnable(README)
    pages.sh(start, tmp_path, {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "hf")})
    assert (tmp_path / "artifacts" / "packages" / "smollm2-int8-openvino" / "README.md").is_file()
