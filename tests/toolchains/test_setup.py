"""A toolchain is a step of its own, and only what it changes is made with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bakehouse.plan.plan import Plan
from bakehouse.steps.maker import Command
from bakehouse.steps.step import Step
from bakehouse.toolchains import setup
from bakehouse.toolchains.table import TOOLCHAINS
from tests.support.bench import INT4, recipe
from tests.support.fakes import HUB, planned

OPENVINO: dict[str, Any] = {"int4": {"runtime": "openvino", "quantization": INT4}}
NPULIB: dict[str, Any] = {"fp16": {"runtime": "intel-npu-acceleration-library", "quantization": {"weights": "fp16"}}}


def plan_of(folder: Path, **changes: Any) -> Plan:
    return planned(folder, recipe(**{"source": HUB, "builds": OPENVINO} | changes))


def by_kind(plan: Plan) -> dict[str, Step]:
    return {step.kind: step for step in plan.steps}


@pytest.mark.needs_backend("openvino")
def test_a_recipe_that_names_what_is_installed_has_the_steps_of_one_that_names_nothing(tmp_path: Path) -> None:
    named = plan_of(tmp_path / "a", toolchain="transformers-5.5")
    assert [step.key for step in named.steps] == [step.key for step in plan_of(tmp_path / "b").steps]


@pytest.mark.needs_backend("openvino")
def test_what_reads_the_checkpoint_is_made_with_the_toolchain_and_the_download_is_not(tmp_path: Path) -> None:
    before, after = by_kind(plan_of(tmp_path / "a")), by_kind(plan_of(tmp_path / "b", toolchain="transformers-5.0"))
    with_it = {kind for kind, step in after.items() if setup.ROLE in dict(step.needs)}
    assert with_it == {"export", "tokenizer", "reference", "reference_logits", "numeric_check", "fidelity_reference"}
    assert after["export"].tools["transformers"] == "5.0.0" != before["export"].tools["transformers"]
    assert {kind for kind in before if before[kind].key == after[kind].key} == {"download", "survey"} & before.keys()
    assert after.keys() - before.keys() == {"setup"}


@pytest.mark.needs_backend("openvino")
def test_all_steps_of_a_recipe_share_one_toolchain(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path, toolchain="transformers-4.57", builds=OPENVINO | {"int8": {"runtime": "openvino", "quantization": {"weights": "int8"}}}
    )
    assert [step.label for step in plan.steps if step.kind == "setup"] == ["transformers-4.57"]
    assert len([step for step in plan.steps if step.kind == "export"]) == 1


@pytest.mark.needs_backend("npu_library")
def test_a_library_with_an_environment_of_its_own_keeps_it(tmp_path: Path) -> None:
    before = plan_of(tmp_path / "a", builds=NPULIB).builds[0].parts
    after = plan_of(tmp_path / "b", builds=NPULIB, toolchain="transformers-5.0").builds[0].parts
    assert before["model"].key == after["model"].key


def test_only_wheels_that_differ_between_systems_have_the_system_in_their_key(monkeypatch: pytest.MonkeyPatch) -> None:
    here = {name: setup.step(toolchain).key for name, toolchain in TOOLCHAINS.items() if toolchain.versions}
    monkeypatch.setattr(setup.sys, "platform", "win32" if sys.platform != "win32" else "linux")
    there = {name: setup.step(toolchain).key for name, toolchain in TOOLCHAINS.items() if toolchain.versions}
    assert {name for name in here if here[name] != there[name]} == {"transformers-4.53"}


def test_a_child_finds_the_wheels_of_the_toolchain_before_the_installed_ones(tmp_path: Path) -> None:
    from bakehouse.executor import process

    (tmp_path / "yaml.py").write_text("release = 'of the toolchain'\n")
    command = setup.within(tmp_path, Command((sys.executable, "-c", "import yaml, bakehouse; print(yaml.release, bakehouse.__file__)")))
    environment = process._environment(command, tmp_path)
    done = subprocess.run(command.argv, env=os.environ | environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("of the toolchain") and "pipeline" in done.stdout
    assert not list(tmp_path.rglob("*.pyc"))
