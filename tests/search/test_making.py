"""A candidate is the same steps as an ordinary build."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakehouse.plan import plan
from bakehouse.plan.measuring import POSITIONS
from bakehouse.recipe.loader import load_all
from bakehouse.search import making

pytestmark = pytest.mark.needs_backend("openvino")
RECIPE = """\
schema_version: 1
name: tiny
description: A model for tests
source: {type: huggingface, repo: owner/tiny, revision: f39ac1d28e925b323eae81227eaba4464caced4e, license: mit}
golden:
  - prompt: What is the capital of France?
    contains: [Paris]
builds:
  same:
    runtime: openvino
    quantization: {weights: int4, group_size: 64, ratio: 0.8}
    bounds: {kl_mean: 0.3}
searches:
  small:
    runtime: openvino
    minimize: size
    bounds: {kl_mean: 0.2}
    over: {group_size: [32, 64], ratio: [0.8, 1.0]}
"""


def test_what_a_candidate_makes_and_measures_serves_the_build_that_is_equal(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(RECIPE, encoding="utf-8")
    (loaded,) = load_all(tmp_path)
    (build,) = plan.make([loaded], lambda path: "0" * 64, confined=False).builds
    trials = making.builds(loaded, "small", making.combinations(loaded, "small"), lambda path: "0" * 64, confined=False)
    assert [trial.name for trial in trials] == [f"tiny-small-00{number}" for number in (1, 2, 3, 4)]
    assert {role: step.key for role, step in trials[2].parts.items()} == {role: step.key for role, step in build.parts.items()}
    measured, wanted = (dict(one.package.needs)["fidelity"] for one in (trials[2], build))
    assert measured.key == wanted.key


def test_candidates_share_one_export_and_one_reference(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(RECIPE, encoding="utf-8")
    (loaded,) = load_all(tmp_path)
    trials = making.builds(loaded, "small", making.combinations(loaded, "small"), lambda path: "0" * 64, confined=False)
    kinds = [step.kind for step in plan.unique(dict(trial.package.needs)["fidelity"] for trial in trials)]
    assert {kind: kinds.count(kind) for kind in ("export", "fidelity_reference", "compress")} == {
        "export": 1,
        "fidelity_reference": 1,
        "compress": 4,
    }
    assert POSITIONS < 1000
