"""Bounds are proposed for a build that was measured."""

from __future__ import annotations

from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.app.init.bounds import proposed
from bakehouse.app.main import main
from bakehouse.executor.session import Session
from bakehouse.records import Estimated
from bakehouse.store.store import Store
from tests.app.test_overview import answered
from tests.support.bench import recipe
from tests.support.fakes import HUB, planned
from tests.support.fidelities import fidelity

pytestmark = pytest.mark.needs_backend("npu_library", "openvino", "openvino_npu")


@pytest.mark.parametrize(("high", "bound"), [(0.193, 0.25), (0.16, 0.2), (4.6e-3, 0.0058), (4.5e-8, 5.7e-8), (1.0, 1.3), (0.0, 1e-6)])
def test_a_bound_has_some_room_and_two_digits(high: float, bound: float) -> None:
    assert proposed(Estimated(value=high, low=high, high=high)) == bound


@pytest.mark.needs_backend("openvino")
def test_the_owner_of_a_measured_build_gets_a_line_for_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = planned(tmp_path / "recipes", recipe(source=HUB))
    monkeypatch.setenv("PIPELINE_RECIPES", str(tmp_path / "recipes"))
    monkeypatch.setenv("PIPELINE_ARTIFACTS", str(tmp_path / "artifacts"))
    assert main(["init", "tiny-int4", "--bounds"]) != 0
    assert "tiny-int4 was not measured yet" in capsys.readouterr().err
    answered(plan.builds[0], Session(Store(tmp_path / "artifacts")), "Paris.", fidelity(0.2))
    assert main(["init", "tiny-int4", "--bounds"]) == 0
    assert capsys.readouterr().out == snapshot("""\
tiny-int4: mean KL divergence 0.200 nats (95 % interval 0.180 to 0.220)
to have later builds of it fail that are further away, add to int4 in tiny.yaml:
    bounds: {kl_mean: 0.28}
""")
