"""What CI is told to do: pinned, with least permissions, without secrets, and only commands that this suite runs too."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.bench import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
INSTALL = re.compile(
    r"python -m pip install (--quiet --disable-pip-version-check --constraint constraints.txt --editable) '\.\[(test|sign)\]'"
)
# Where the suite runs them: `make test` is running, its Makefile installs with the same line, tests that are named run the others.
RUN_BY = {
    "make build": "make",
    "make test": "make",
    "python -m doit lint": "tests/test_release_doit.py",
    "python -m pytest -n 2 --dist loadfile": "make",
    'python -m doit matrix --as matrix >> "$GITHUB_OUTPUT"': "tests/test_release_doit.py",
    'python -m doit "build:$NAME"': "tests/test_release_doit.py",
    'python -m doit "sign:$NAME"': "tests/test_release_doit.py",
    'python -m doit verify --package "artifacts/signed/$NAME"': "tests/test_release_doit.py",
    "python -m doit release --from packages --output release": "tests/test_release_doit.py",
}


def _read(path: Path) -> dict[str, Any]:
    read = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(read, dict)
    return read


def _steps() -> Iterator[dict[str, Any]]:
    for path in WORKFLOWS:
        for job in _read(path)["jobs"].values():
            yield from job["steps"]


def test_there_is_a_workflow_for_every_change_and_one_for_a_tag() -> None:
    on = {path.stem: _read(path)[True] for path in WORKFLOWS}  # YAML 1.1 reads `on` as true
    assert on.keys() == {"test", "release"}
    assert on["test"].keys() == {"push", "pull_request"}
    assert on["release"] == {"push": {"tags": ["v*"]}}


def test_zizmor_finds_nothing_wrong() -> None:
    argv = [str(Path(sys.executable).parent / "zizmor"), "--offline", "--no-progress", "--persona", "regular", *map(str, WORKFLOWS)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_zizmor_would_find_an_injection_and_an_action_that_is_not_pinned(tmp_path: Path) -> None:
    workflow = _read(ROOT / ".github" / "workflows" / "test.yml")
    workflow["on"] = workflow.pop(True)
    steps = workflow["jobs"]["linux"]["steps"]
    steps[0]["uses"] = "actions/checkout@v5"
    steps.append({"run": "echo ${{ github.head_ref }}"})
    (tmp_path / "bad.yml").write_text(yaml.safe_dump(workflow))
    argv = [str(Path(sys.executable).parent / "zizmor"), "--offline", "--no-progress", str(tmp_path / "bad.yml")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "unpinned-uses" in done.stdout and "template-injection" in done.stdout


def test_every_action_is_pinned_by_commit_and_the_same_one_everywhere() -> None:
    used = {step["uses"] for step in _steps() if "uses" in step}
    assert used and all(re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", one) for one in used)
    assert len({one.split("@")[0] for one in used}) == len(used)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_do_nothing_but_what_a_job_says(path: Path) -> None:
    workflow = _read(path)
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        wanted = {"build": {"contents": "read", "id-token": "write"}, "release": {"contents": "write"}}.get(name, {"contents": "read"})
        assert job["permissions"] == wanted
        assert job["timeout-minutes"] <= 360


def test_no_workflow_knows_a_secret_or_leaves_a_token_in_the_checkout() -> None:
    for path in WORKFLOWS:
        assert "secrets." not in path.read_text(encoding="utf-8")
    for step in _steps():
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"] == {"persist-credentials": False}


def test_every_command_is_one_that_this_suite_runs_or_one_of_the_two_make_commands() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = [step["run"] for step in _steps() if "run" in step]
    assert set(RUN_BY) <= set(commands)
    for command in commands:
        if installs := INSTALL.fullmatch(command):
            assert f"-m pip install {installs[1]} " in makefile
        else:
            assert command in RUN_BY


def test_the_release_runs_on_the_machines_that_the_matrix_names() -> None:
    jobs = _read(ROOT / ".github" / "workflows" / "release.yml")["jobs"]
    assert jobs["build"]["runs-on"] == "${{ matrix.os }}"
    assert jobs["build"]["strategy"]["matrix"] == "${{ fromJSON(needs.plan.outputs.matrix) }}"
    (cache,) = [step for step in jobs["build"]["steps"] if step.get("uses", "").startswith("actions/cache@")]
    assert cache["with"] == {"path": "artifacts/store", "key": "${{ matrix.cache }}"}
