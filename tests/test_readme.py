"""What README.md shows in code blocks is what happens: each shell block is run to the letter, or stands below with the reason why not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from inline_snapshot import snapshot

from bakehouse.release import archive
from bakehouse.store import files
from tests.support.bench import ROOT, Bench

pytestmark = pytest.mark.needs_backend("openvino")


class Block(NamedTuple):
    """A fenced block: the word after its fence ("" if there is none), and its text."""

    kind: str
    text: str


BLOCKS = [Block(*found) for found in re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)]
SHELL = ("sh", "bash", "shell", "console", "powershell")
MAKE, JOIN = "make build ", "[ -f NAME.tar ]"  # how the shell blocks begin that the tests below run
NOT_RUN = {"py -3.11 -m venv .venv\n": "it is for Windows PowerShell, and installs from a package index"}


def block(start: str) -> str:
    """The one block that begins like this."""
    (found,) = (one.text for one in BLOCKS if one.text.startswith(start))
    return found


def sh(script: str, folder: Path, **environ: str) -> str:
    """What a script prints that must end well; it stops at the first line that fails, as whoever types them would."""
    argv = ["sh", "-ec", script]
    done = subprocess.run(argv, cwd=folder, env={**os.environ, **environ}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_shell_block_is_run_below_or_has_a_reason_why_not() -> None:
    starts = (MAKE, JOIN, *NOT_RUN)
    assert [one.text for one in BLOCKS if one.kind in SHELL and not one.text.startswith(starts)] == []
    assert all(block(start) for start in starts)


def test_the_two_commands_are_targets_that_come_to_the_build_and_the_suite() -> None:
    # only said and not done: they make an environment and fetch some gigabytes
    said = sh(block(MAKE), ROOT, MAKEFLAGS="n --no-print-directory").splitlines()  # a make below a make says where it goes
    assert ".venv/bin/doit build:smollm2-int4-openvino" in said
    assert said[-1] == snapshot(".venv/bin/python -m pytest -n 2 --dist loadfile")


@pytest.mark.skipif(sys.platform == "win32", reason="it is a line for sh")
@pytest.mark.parametrize(("part_bytes", "parts"), [(10**9, 1), (20_000, 3)])
def test_the_line_that_puts_a_release_together_is_right_for_one_part_and_for_many(tmp_path: Path, part_bytes: int, parts: int) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "model.bin").write_bytes(bytes(range(256)) * 190)
    (tmp_path / "release").mkdir()
    packed = archive.write(tmp_path / "package", "NAME", tmp_path / "release", part_bytes)
    files.write(tmp_path / "release" / "NAME.tar.sha256", f"{packed.sha256}  NAME.tar\n")
    assert len(packed.parts) == parts
    for _ in range(2):  # also when it was put together before
        assert sh(block(JOIN), tmp_path / "release") == "NAME.tar: OK\n"
    assert files.records(tmp_path / "release" / "NAME") == files.records(tmp_path / "package")


def test_the_list_that_is_shown_is_that_of_our_recipes(tmp_path: Path) -> None:
    shown = [line for line in block("$ doit list").splitlines() if line.startswith("build:")]
    there = Bench(tmp_path).with_env(PIPELINE_RECIPES=str(ROOT / "recipes")).build("list").splitlines()
    columns = {(name, *rest) for name, _, *rest in (re.split(r"  +", line) for line in there)}
    assert len(shown) > 2
    for line in shown:
        name, _, *rest = re.split(r"  +", line)
        assert (name, *rest) in columns


def test_the_recipe_that_is_shown_is_well_formed_and_its_typing_error_is_answered_as_shown(tmp_path: Path) -> None:
    recipe = block("# yaml-language-server")
    (tmp_path / "recipes").mkdir()
    for name in ("dodo.py", "pyproject.toml"):  # the tasks and the commands, as in a checkout
        shutil.copyfile(ROOT / name, tmp_path / name)
    path = tmp_path / "recipes" / "phi3.yaml"

    def lint() -> subprocess.CompletedProcess[str]:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PIPELINE_")} | {
            "PYTHONPATH": str(ROOT / "pipeline")
        }
        argv = [sys.executable, "-m", "doit", "lint"]
        return subprocess.run(argv, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)

    path.write_text(recipe, encoding="utf-8")
    assert lint().stdout == snapshot("1 recipe with 2 builds is well formed\n")
    path.write_text(recipe.replace("group_size: 128, ratio", "group_sise: 128, ratio"), encoding="utf-8")
    assert f"$ doit lint\n{lint().stderr.replace(f'{tmp_path}/', '')}" == block("$ doit lint")
