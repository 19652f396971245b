"""A recording that a golden input names is a step of its own, pinned by its content; a package does not say where it lay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bakehouse.app import selection
from bakehouse.plan.plan import Plan
from bakehouse.recipe.loader import RecipeErrors
from tests.support.bench import recipe
from tests.support.fakes import HUB, planned

pytestmark = pytest.mark.needs_backend("openvino")
INT8 = {"runtime": "openvino", "quantization": {"weights": "int8"}}


def of_speech(*golden: dict[str, Any]) -> dict[str, Any]:
    return recipe(source=HUB, task="speech-recognition", golden=[*golden], builds={"int8": INT8})


def plan_of(folder: Path, content: str, *golden: dict[str, Any]) -> Plan:
    folder.mkdir(parents=True)
    (folder / "a.wav").write_text(content)
    return planned(folder, of_speech(*(golden or [{"audio": "a.wav"}])), fingerprint=lambda path: path.read_text() * 64)


def test_a_recording_is_brought_by_a_step_that_reference_and_validation_need(tmp_path: Path) -> None:
    plan = plan_of(tmp_path / "a", "1")
    (brought,) = [step for step in plan.steps if step.kind == "recording"]
    users = {step.kind for step in plan.steps if brought in (needed for _, needed in step.needs)}
    assert users == {"reference", "validate"} and selection.names(plan)[brought.key] == "download:tiny-1-recording"


def test_another_recording_is_another_proof_and_no_other_model(tmp_path: Path) -> None:
    before, after = plan_of(tmp_path / "a", "1"), plan_of(tmp_path / "b", "2")
    changed = {step.kind for step in after.steps if step.key not in {one.key for one in before.steps}}
    assert changed == {"recording", "reference", "validate", "package"}


def test_a_package_does_not_say_where_a_recording_lay(tmp_path: Path) -> None:
    plan = plan_of(tmp_path / "a", "1", {"audio": str(tmp_path / "a" / "a.wav")})
    written = plan.builds[0].package.spec.model_dump_json()
    assert '"audio":"a.wav"' in written and str(tmp_path) not in written


def test_a_recording_that_is_not_there_is_an_error_at_its_field(tmp_path: Path) -> None:
    with pytest.raises(RecipeErrors) as found:
        planned(tmp_path, of_speech({"audio": "a.wav"}))
    assert "a.wav does not exist." in str(found.value) and "audio: a.wav" in str(found.value)
