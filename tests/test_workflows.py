"""What CI does: pinned, with least permissions, without secrets, and only commands that this suite runs too."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from inline_snapshot import snapshot

from tests.release.test_doit import RUN
from tests.support.bench import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
INSTALL = re.compile(
    r"python -m pip install (--quiet --disable-pip-version-check --constraint constraints.txt --editable) '\.\[(test|build,sign(?:,s3)?)\]'"
)
TOOLS = Path(sys.executable).parent


def _read(path: Path) -> dict[str, Any]:
    read = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(read, dict)
    return read


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _commands(job: Mapping[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def _steps() -> Iterator[dict[str, Any]]:
    for path in WORKFLOWS:
        for job in _read(path)["jobs"].values():
            yield from job["steps"]


def test_there_is_a_workflow_for_every_change_and_one_for_a_tag_which_by_hand_only_fills_the_cache() -> None:
    on = {path.stem: _read(path)[True] for path in WORKFLOWS}  # YAML 1.1 reads `on` as true
    assert on.keys() == {"test", "release"}
    assert on["test"].keys() == {"push", "pull_request"}
    assert on["release"] == {"push": {"tags": ["v*"]}, "workflow_dispatch": None}
    jobs = _read(ROOT / ".github" / "workflows" / "release.yml")["jobs"]
    assert jobs["release"]["if"] == "github.ref_type == 'tag'"
    build = jobs["build"]["steps"]
    of_a_tag = [step for step in build if step.get("if") == "github.ref_type == 'tag'"]
    assert [step.get("run", step.get("uses", "").split("@")[0]) for step in of_a_tag] == snapshot(
        [
            'python -m doit "sign:$NAME"',
            'python -m doit check --package "artifacts/signed/$NAME" "$SIGNED_BY"',
            "actions/upload-artifact",
        ]
    )


# --- linters ------------------------------------------------------------------------------------------------------


def _actionlint(*paths: Path) -> subprocess.CompletedProcess[str]:
    """actionlint, with shellcheck, which it looks for on the path, for the commands."""
    argv = [str(TOOLS / "actionlint"), "-no-color", *map(str, paths)]
    env = {**os.environ, "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False)


def _zizmor(*paths: Path) -> subprocess.CompletedProcess[str]:
    argv = [str(TOOLS / "zizmor"), "--offline", "--no-progress", "--persona", "regular", *map(str, paths)]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_actionlint_finds_nothing_wrong() -> None:
    done = _actionlint(*WORKFLOWS)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(
    "right, wrong, said",
    [
        ("needs: plan", "needs: plans", 'job "build" needs job "plans" which does not exist'),
        ("runs-on: ubuntu-24.04", "runs-on: ubuntu-24.4", 'label "ubuntu-24.4" is unknown'),
        ("${{ github.ref }}", "${{ github.reff }}", 'property "reff" is not defined in object type'),
        ("needs.plan.outputs.matrix", "needs.plan.outputs.rows", 'property "rows" is not defined in object type {matrix: string}'),
        ("fromJSON(", "fromJson5(", 'undefined function "fromJson5"'),
        ('"build:$NAME"', "build:$NAME", "shellcheck reported issue in this script: SC2086"),
    ],
    ids=["needs", "runner", "property", "output", "function", "shell"],
)
def test_actionlint_would_find_what_is_broken(right: str, wrong: str, said: str, tmp_path: Path) -> None:
    text = _text(".github/workflows/release.yml")
    assert right in text
    (tmp_path / "broken.yml").write_text(text.replace(right, wrong), encoding="utf-8")
    done = _actionlint(tmp_path / "broken.yml")
    assert done.returncode == 1
    assert said in done.stdout


def test_zizmor_finds_nothing_wrong() -> None:
    done = _zizmor(*WORKFLOWS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_zizmor_would_find_an_injection_and_an_action_that_is_not_pinned(tmp_path: Path) -> None:
    workflow = _read(ROOT / ".github" / "workflows" / "test.yml")
    workflow["on"] = workflow.pop(True)
    steps = workflow["jobs"]["linux"]["steps"]
    steps[0]["uses"] = "actions/checkout@v5"
    steps.append({"run": "echo ${{ github.head_ref }}"})
    (tmp_path / "bad.yml").write_text(yaml.safe_dump(workflow))
    done = _zizmor(tmp_path / "bad.yml")
    assert done.returncode != 0
    assert "unpinned-uses" in done.stdout and "template-injection" in done.stdout


# --- what may be done, and what is run ----------------------------------------------------------------------------


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


@pytest.mark.parametrize("job", RUN, ids="-".join)
def test_a_job_runs_what_this_suite_runs_in_the_same_order(job: tuple[str, str]) -> None:
    workflow, name = job
    commands = _commands(_read(ROOT / ".github" / "workflows" / f"{workflow}.yml")["jobs"][name])
    assert tuple(command for command in commands if command not in _around()) == RUN[job]


def test_every_other_command_is_one_that_sets_up_or_starts_this_suite() -> None:
    commands = {command for path in WORKFLOWS for job in _read(path)["jobs"].values() for command in _commands(job)}
    assert commands == {*_around(), *(command for run in RUN.values() for command in run)}


def _around() -> set[str]:
    """The commands that bring tools and start the suite, each of which `.ci/run` or the Makefile has word by word."""
    system, makefile = _text(".ci/run"), _text("Makefile")
    commands = {step["run"] for step in _steps() if "run" in step}
    return {
        *(one for one in commands if (installs := INSTALL.fullmatch(one)) and f"-m pip install {installs[1]} " in makefile),
        *(one for one in commands if one.startswith("sudo ") and all(f" {part}\n" in system for part in one[5:].split(" && sudo "))),
        *(one for one in commands if f"\n{one}\n" in system),  # make build, make test
        *(one for one in commands if f"\t$(BIN)/{one}\n" in makefile),  # pytest
        *(one for one in commands if one == "make docs" and "\ndocs: " in makefile),
    }


def test_the_release_runs_on_the_machines_that_the_matrix_names() -> None:
    jobs = _read(ROOT / ".github" / "workflows" / "release.yml")["jobs"]
    assert jobs["build"]["runs-on"] == "${{ matrix.os }}"
    assert jobs["build"]["strategy"]["matrix"] == snapshot("${{ fromJSON(needs.plan.outputs.matrix) }}")
    (cache,) = [step for step in jobs["build"]["steps"] if step.get("uses", "").startswith("actions/cache@")]
    assert cache["with"] == {"path": "artifacts/store/package", "key": "${{ matrix.cache }}"}


def test_a_signature_must_be_of_the_workflow_that_has_just_made_it() -> None:
    steps = _read(ROOT / ".github" / "workflows" / "release.yml")["jobs"]["build"]["steps"]
    (check,) = [step for step in steps if "doit check" in step.get("run", "")]
    assert check["env"] == {"SIGNED_BY": "--identity=${{ github.server_url }}/${{ github.workflow_ref }}"}


def _guards() -> set[str]:
    """The variables that tell tests that something is installed, so that they fail where they would be skipped."""
    tests = (path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "support").glob("*.py"))
    return set(re.findall(r"BAKEHOUSE_TESTS_HAVE_\w+", "".join(tests)))


def test_no_test_is_skipped_in_ci_for_want_of_what_could_be_installed() -> None:
    assert _guards() == {f"BAKEHOUSE_TESTS_HAVE_{name}" for name in ("WINE", "CXX", "CHROMIUM", "NODE")}
    assert f"\nexport {' '.join(f'{name}=1' for name in sorted(_guards(), reverse=True))}\n" in _text(".ci/run")
    linux = _commands(_read(ROOT / ".github" / "workflows" / "test.yml")["jobs"]["linux"])
    assert linux == snapshot(["sudo apt-get update -qq && sudo apt-get install -y -qq wine64 g++", "make test", "make build"])


def test_pull_requests_only_read_the_shared_store_and_no_test_does() -> None:
    tests, build = (_read(ROOT / ".github" / "workflows" / f"{name}.yml")["jobs"] for name in ("test", "release"))
    remote = {"PIPELINE_REMOTE": "${{ vars.PIPELINE_REMOTE }}"}
    assert [(step["run"], step["env"]) for step in tests["linux"]["steps"] + tests["windows"]["steps"] if "env" in step] == [
        ("make test", dict.fromkeys(_guards(), "1")),
        ("make build", {**remote, "PIPELINE_REMOTE_MODE": "read"}),
    ]
    assert not any("env" in job for job in tests.values())
    assert build["build"]["env"] == {"NAME": "${{ matrix.name }}", **remote, "PIPELINE_REMOTE_MODE": "write"}
