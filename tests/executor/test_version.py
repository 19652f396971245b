"""Which Bakehouse it is: a commit is named only where the code is that commit's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bakehouse.executor import version
from tests.support.systems import needs_git

pytestmark = needs_git


def _git(folder: Path, *words: str) -> str:
    argv = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@example.org", *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "plan.py").write_text("")
    (tmp_path / "notes.txt").write_text("")
    _git(tmp_path, "init", "--quiet")
    _git(tmp_path, "add", ".")
    return tmp_path


def test_a_clean_checkout_is_at_its_commit_whatever_lies_next_to_the_code(checkout: Path) -> None:
    assert version.commit(checkout) == ""  # there is no commit yet
    _git(checkout, "commit", "--quiet", "-m", "first")
    (checkout / "notes.txt").write_text("changed")
    assert version.commit(checkout) == _git(checkout, "rev-parse", "HEAD")


@pytest.mark.parametrize("name", ["plan.py", "new.py"])
def test_code_that_was_changed_or_added_belongs_to_no_commit(checkout: Path, name: str) -> None:
    _git(checkout, "commit", "--quiet", "-m", "first")
    (checkout / "pipeline" / name).write_text("import os\n")
    assert version.commit(checkout) == ""


def test_a_folder_inside_another_repository_is_not_at_its_commit(checkout: Path) -> None:
    _git(checkout, "commit", "--quiet", "-m", "first")
    assert version.commit(checkout / "pipeline") == ""
