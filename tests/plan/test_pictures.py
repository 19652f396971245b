"""A picture that a golden input names is a step of its own, pinned by its content, as a recording is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bakehouse.app import selection
from bakehouse.plan.plan import Plan
from tests.support.bench import recipe
from tests.support.fakes import HUB, planned

pytestmark = pytest.mark.needs_backend("openvino")
INT8 = {"runtime": "openvino", "quantization": {"weights": "int8"}}


def plan_of(folder: Path, content: str, **changes: Any) -> Plan:
    folder.mkdir(parents=True)
    (folder / "a.png").write_text(content)
    golden = [{"picture": str(folder / "a.png"), "prompt": "What is this?", **changes}]
    made = recipe(source=HUB, task="vision-language", golden=golden, builds={"int8": INT8})
    return planned(folder, made, fingerprint=lambda path: path.read_text() * 64)


def changed(before: Plan, after: Plan) -> set[str]:
    return {step.kind for step in after.steps if step.key not in {one.key for one in before.steps}}


def test_a_picture_is_brought_by_a_step_that_reference_and_validation_need(tmp_path: Path) -> None:
    plan = plan_of(tmp_path / "a", "1")
    (brought,) = [step for step in plan.steps if step.kind == "picture"]
    users = {step.kind for step in plan.steps if brought in (needed for _, needed in step.needs)}
    assert users == {"reference", "validate"} and selection.names(plan)[brought.key] == "download:tiny-1-picture"


def test_another_picture_or_prompt_is_another_proof_and_no_other_model(tmp_path: Path) -> None:
    before = plan_of(tmp_path / "a", "1")
    assert changed(before, plan_of(tmp_path / "b", "2")) == {"picture", "reference", "validate", "package"}
    assert changed(before, plan_of(tmp_path / "c", "1", max_new_tokens=8)) == {"reference", "validate", "package"}
    assert changed(before, plan_of(tmp_path / "d", "1", contains=["bread"])) == {"validate", "package"}


def test_a_package_does_not_say_where_a_picture_lay(tmp_path: Path) -> None:
    written = plan_of(tmp_path / "a", "1").builds[0].package.spec.model_dump_json()
    assert '"picture":"a.png"' in written and str(tmp_path) not in written
