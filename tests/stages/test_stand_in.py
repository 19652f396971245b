"""A model that was only run on a device which stands in for its own: bounds decide if it answers wrongly, and a recipe can refuse it."""

from __future__ import annotations

from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.package import card_words
from bakehouse.package.manifest import PackageManifest
from bakehouse.package.release_policy import shortcomings
from bakehouse.recipe.bounds import Bounds
from bakehouse.records import Fidelity, GraphsFidelity, Verdict
from bakehouse.stages.stand_in import not_proven
from tests.package.test_card import manifest, verdict
from tests.support.fidelities import fidelity, figures

pytestmark = pytest.mark.needs_backend("onnxruntime_genai", "openvino", "openvino_npu")

WRONG = verdict(answer="Lyon.", passed=False, reasons=("it does not contain 'Paris'",))
BOUNDED: dict[str, Any] = {"bounds": Bounds(kl_mean=0.3)}


def ran_elsewhere(name: str = "int4-npu", *verdicts: Verdict, found: Fidelity | None = None, **options: Any) -> PackageManifest:
    """A package that was run on the CPU in place of its own device."""
    made = manifest("phi3", name, *verdicts, fidelity=found or fidelity(0.2), targets=("NPU",))
    validation = made.validation.model_copy(update={"stand_in": True, "in_use": None})
    build = made.build.model_copy(update={"options": made.build.options.model_copy(update=options)})
    return made.model_copy(update={"validation": validation, "build": build})


def refusal(made: PackageManifest) -> list[str] | None:
    found = not_proven(made.build, "NPU", made.validation, made.fidelity)
    return [found.what, *found.faults, found.remedy] if found else None


def test_right_answers_on_a_stand_in_are_enough_by_default() -> None:
    assert refusal(ran_elsewhere()) is None


def test_wrong_answers_on_a_stand_in_refuse_a_model_without_bounds() -> None:
    assert refusal(ran_elsewhere("int4-npu", WRONG)) == snapshot(
        [
            "the model answers wrongly on the device that stands in for its own",
            "'What is the capital of France?' was answered 'Lyon.': it does not contain 'Paris'",
            "give the build `bounds`, by which its fidelity decides, or build it on a machine with NPU",
        ]
    )


def test_bounds_that_hold_speak_for_a_model_that_answers_wrongly_on_a_stand_in() -> None:
    made = ran_elsewhere("int4-npu", WRONG, **BOUNDED)
    assert refusal(made) is None
    assert shortcomings(made) == []
    assert card_words.ran(made).endswith(
        "It has **not** been run on NPU. **An answer above is not as expected. Try the model on its own device before you use it.** "
        "It was packaged because its fidelity is within the recipe's bounds."
    )


def test_bounds_hold_for_the_graphs_that_the_device_runs_too() -> None:
    graphs = GraphsFidelity(graphs=figures(9.0), model=figures(0.2))
    assert refusal(ran_elsewhere("int4-npu", WRONG, found=fidelity(0.2, graphs=graphs), **BOUNDED)) == snapshot(
        [
            "the model answers wrongly on the device that stands in for its own",
            "'What is the capital of France?' was answered 'Lyon.': it does not contain 'Paris'",
            "in the device's graphs the mean KL divergence is 9 (95 % interval 8.1 to 9.9), and kl_mean allows at most 0.3",
            "choose a quantization that loses less, or build it on a machine with NPU",
        ]
    )


def test_a_recipe_can_demand_the_device_itself() -> None:
    assert refusal(ran_elsewhere(proven_on="provider")) == snapshot(
        [
            "the model is not proven on the device that it is made for",
            "the recipe has `proven_on: provider`, and the model was run on Some Processor in place of NPU",
            "build it on a machine with NPU, or leave proven_on out",
        ]
    )


def test_where_the_device_was_there_the_stage_before_has_judged() -> None:
    made = ran_elsewhere("int4-npu", WRONG, proven_on="provider")
    assert refusal(made.model_copy(update={"validation": made.validation.model_copy(update={"stand_in": False})})) is None


def test_a_wrong_answer_without_bounds_may_not_leave_whatever_it_ran_on() -> None:
    assert shortcomings(ran_elsewhere("int4-npu", WRONG)) == ["'What is the capital of France?' was not answered as expected"]
    there = ran_elsewhere("int4-npu", WRONG, **BOUNDED)
    there = there.model_copy(update={"validation": there.validation.model_copy(update={"stand_in": False})})
    assert shortcomings(there) == ["'What is the capital of France?' was not answered as expected"]
