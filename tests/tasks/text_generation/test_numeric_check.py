"""The numeric check: what is wrong is named by the length at which it begins, and what only rounds is right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.backends.table import BACKENDS
from bakehouse.tasks.text_generation import numeric_check as numeric
from bakehouse.tasks.text_generation.seams import Failed, Figures
from bakehouse.tasks.text_generation.workers.logits_compare import Group, compare, ends
from bakehouse.tasks.text_generation.workers.positions_to_check import Boundary, Run
from tests.support.bench import INT4, recipe
from tests.support.fakes import HUB, planned

WINDOW = Boundary("sliding_window", 2047)


OF: dict[str, Any] = {"name": "x", "layers": 2, "of": 32}


def run(tokens: int, kld: float = 1e-7, crosses: Boundary | None = None, prefill: int | None = None, **other: Any) -> Figures:
    figures = {"kld": (kld,) * 16, "relative": (kld,) * 16, "same": 16 if kld < 1 else 3, "positions": 16} | other
    return Figures(**OF, tokens=tokens, prefill=tokens if prefill is None else prefill, crosses=crosses, **figures)


def failed(tokens: int, error: str, crosses: Boundary | None = None) -> Failed:
    return Failed(**OF, tokens=tokens, prefill=tokens, crosses=crosses, error=error)


def test_right_figures_are_not_a_fault_and_neither_is_one_position_in_five() -> None:
    off = run(24).model_copy(update={"kld": (1e-7,) * 13 + (5.0,) * 3})
    assert numeric.faults([run(24), off, run(2063, crosses=WINDOW)], "float32") == ()


def test_what_is_wrong_beyond_a_boundary_is_named_by_it() -> None:
    assert numeric.faults([run(24), run(2063, 1.3, WINDOW), run(4088, 2.0)], "float32") == snapshot(
        (
            "its logits differ from the source's from 2,047 tokens on (sliding_window): mean KLD 1.3, 3 of 16 next tokens the same, "
            "a difference of up to 1.3 standard deviations; so it is with 1 longer input",
        )
    )


def test_what_is_wrong_only_from_the_cache_is_reported_so() -> None:
    (fault,) = numeric.faults([run(24), run(2063, crosses=WINDOW), run(2063, 1.3, WINDOW, 2039)], "float32")
    assert fault.startswith("its logits differ from the source's from 2,047 tokens on (sliding_window) when tokens come one by one: ")


def test_what_is_wrong_from_the_shortest_input_on_computes_something_else() -> None:
    (fault,) = numeric.faults([run(24, 1.3), run(2063, 1.3, WINDOW)], "float32")
    assert fault.startswith("it computes something else than the source: on 24 tokens mean KLD 1.3, ")


def test_an_error_of_the_runtime_is_a_fault_with_its_length() -> None:
    assert numeric.faults([run(24), failed(2063, "kv_sequence_length", WINDOW), failed(4088, "kv")], "float32") == snapshot(
        ("it does not run with 2,063 tokens (sliding_window): kv_sequence_length; so it is with 1 longer input",)
    )


def test_float16_may_round_more_than_float32() -> None:
    rounded = run(24, 5e-3, relative=(0.05,) * 16)
    assert numeric.faults([rounded], "float16") == ()
    assert numeric.faults([rounded], "float32") != ()


def test_a_small_difference_is_a_fault_where_short_inputs_have_none() -> None:
    near: dict[str, Any] = {"kld": 1e-5, "relative": (1e-3,) * 16}
    assert numeric.faults([run(24), run(2063, crosses=WINDOW, **near)], "float32") != ()
    assert numeric.faults([run(24, **near), run(2063, crosses=WINDOW, **near)], "float32") == ()


def test_numbers_that_are_none_are_wrong() -> None:
    group = _group([[0.0, 1.0, 2.0]])
    (found,), _ = compare(group, lambda ids, prefill, scored: {0: [float("nan")] * 3}, "float32")
    assert numeric.faults([found], "float32") != ()


def _group(rows: list[list[float]], joined: bool = False) -> Group:
    """Runs of one token, two tokens and so on, scored at the last."""
    import numpy as np

    runs = [Run(f"{at + 1}", at + 1, at + 1, (at,)) for at in range(len(rows))]
    return Group(2, 2, joined, False, list(range(len(rows))), runs, [np.array([row], np.float32) for row in rows])


def test_a_long_input_that_goes_wrong_is_divided_to_find_the_shortest_wrong_one() -> None:
    import numpy as np

    rows = [[0.0, 1.0, 2.0], [2.0, 1.0, 0.0], [0.0, 3.0, 0.0]]
    asked: list[int] = []

    def evaluate(ids: list[int], prefill: int, scored: Any) -> dict[int, Any]:
        asked.append(len(ids))
        if len(ids) > 2:
            raise RuntimeError("first line\nkv_sequence_length")
        return {at: np.array(rows[at]) for at in scored}

    found, _ = compare(_group(rows, joined=True), evaluate, "float32")
    assert asked == [3, 1, 2, 3]
    assert [one.error if isinstance(one, Failed) else None for one in found] == [None, None, "kv_sequence_length"]


def test_a_long_input_that_is_right_serves_the_shorter_ones() -> None:
    import numpy as np

    rows = [[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]
    asked: list[int] = []

    def evaluate(ids: list[int], prefill: int, scored: Any) -> dict[int, Any]:
        asked.append(len(ids))
        return {at: np.array(rows[at]) + 5.0 for at in scored}  # a shift of all logits changes nothing

    found, _ = compare(_group(rows, joined=True), evaluate, "float32")
    assert (asked, [isinstance(one, Figures) and one.same for one in found]) == ([2], [1, 1])
    assert numeric.faults(found, "float32") == ()


def test_what_is_left_of_a_long_input_begins_with_the_longest_so_that_its_cache_can_be_cut_back() -> None:
    import numpy as np

    group = _group([[0.0, 1.0, 2.0]] * 6, joined=True)
    group = replace(group, runs=[replace(one, prefill=1) if 1 < one.tokens < 5 else one for one in group.runs])
    asked: list[tuple[int, int]] = []

    def evaluate(ids: list[int], prefill: int, scored: Any) -> dict[int, Any]:
        asked.append((len(ids), prefill))
        return {at: np.array([0.0, 1.0, 2.0]) for at in scored}

    found, _ = compare(group, evaluate, "float32")
    assert asked == [(6, 6), (4, 1), (3, 1), (2, 1)]
    assert [one.tokens for one in found] == [1, 2, 3, 4, 5, 6]


def test_tokens_come_one_by_one_across_a_boundary_and_together_where_nothing_is_compared() -> None:
    scored = [*range(2043, 2051), *range(2372, 2388)]
    assert ends(2388, 2039, scored, together=True) == [*range(2039, 2052), *range(2372, 2389)]
    assert ends(2388, 2039, scored, together=False) == list(range(2039, 2389))
    assert ends(24, 12, range(11, 24), together=True) == list(range(12, 25))


def test_inputs_longer_than_the_artifacts_context_are_reported_as_left_out() -> None:
    import numpy as np

    rows = [[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]
    found, beyond = compare(_group(rows), lambda ids, prefill, scored: {at: np.array(rows[at]) for at in scored}, "float32", limit=1)
    assert [one.tokens for one in found] == [1]
    assert beyond == [("2 tokens (2)", "the artifact's context ends at 1 tokens")]


ORT = {"runtime": "onnxruntime-genai", "execution_provider": "cpu"}


@pytest.mark.needs_backend("onnxruntime_genai", "openvino", "openvino_npu")
@pytest.mark.parametrize(
    ("builds", "checks"),
    [
        ({"a": {"runtime": "openvino", "quantization": INT4}, "b": {"runtime": "openvino", "quantization": {"weights": "fp16"}}}, 1),
        ({"a": {"runtime": "openvino", "quantization": INT4}, "b": {"runtime": "openvino-npu", "quantization": {"weights": "int4"}}}, 1),
        ({"a": {**ORT, "quantization": {"weights": "int4"}}, "b": {**ORT, "quantization": {"weights": "int8"}}}, 1),
        ({"a": {**ORT, "quantization": {"weights": "int4"}}, "b": {**ORT, "quantization": {"weights": "fp32"}}}, 2),
        ({"a": {**ORT, "quantization": {"weights": "int4"}}, "b": {"runtime": "openvino", "quantization": INT4}}, 2),
    ],
)
def test_one_check_serves_all_builds_of_an_export_or_of_a_provider(tmp_path: Path, builds: dict[str, Any], checks: int) -> None:
    plan = planned(tmp_path, recipe(source=HUB, builds=builds))
    assert len([step for step in plan.steps if step.kind == "numeric_check"]) == checks
    assert len([step for step in plan.steps if step.kind == "reference_logits"]) == 1
    assert all("numeric" in dict(build.validate.needs) for build in plan.builds)


@pytest.mark.needs_backend("npu_library")
def test_every_runtime_has_a_check_but_the_acceleration_library(tmp_path: Path) -> None:
    builds = {"a": {"runtime": "intel-npu-acceleration-library", "quantization": {"weights": "fp16"}}}
    (build,) = planned(tmp_path, recipe(source=HUB, builds=builds)).builds
    assert "numeric" not in dict(build.validate.needs)
    assert "intel-npu-acceleration-library" in BACKENDS
