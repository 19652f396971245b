"""Whose failure it is when a step of a candidate cannot be made: the candidate's, or that of the whole search."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakehouse.errors import Failure
from bakehouse.plan import measuring
from bakehouse.plan.plan import Build
from bakehouse.recipe.loader import load_all
from bakehouse.search import loop, making
from bakehouse.search.candidates import candidate
from bakehouse.search.decide import Done, Goal
from bakehouse.search.loop import Means, StepFailure
from bakehouse.search.making import Prepared, Trial
from bakehouse.steps.step import Step
from bakehouse.store.store import Store
from tests.search.test_making import RECIPE

pytestmark = pytest.mark.needs_backend("openvino")


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    """A search with four candidates, of which nothing is made."""
    (tmp_path / "tiny.yaml").write_text(RECIPE, encoding="utf-8")
    (loaded,) = load_all(tmp_path)
    found = making.combinations(loaded, "small")
    planned = making.builds(loaded, "small", found, lambda path: "0" * 64, confined=False)
    trials = []
    for number, (one, build) in enumerate(zip(found.combinations, planned, strict=True), 1):
        screen, confirm = measuring.screening(build), measuring.confirmation(build)
        assert screen and confirm
        trials.append(Trial(candidate(build.resolved.build, one.varied, one.build, number), one.build, build, screen, confirm))
    search = loaded.recipe.searches["small"]
    return Prepared("small", search, Goal(search.minimize, search.bounds), tuple(trials), 0)


def means(fails: str, *, stopped: bool, width: int) -> Means:
    """A place where the step of that kind cannot be made."""

    def have(step: Step, build: Build) -> None:
        failing = next(one for one in step.closure() if one.kind == fails)
        raise StepFailure(Failure("it is too large"), failing)

    return Means(have, lambda step: None, lambda trial: 0.0, lambda: stopped, width)


@pytest.mark.parametrize("width", [1, 3])
def test_a_candidate_that_cannot_be_made_is_out_and_the_search_ends_well(prepared: Prepared, tmp_path: Path, width: int) -> None:
    *_, (done, results) = loop.run(prepared, Store(tmp_path), means("compress", stopped=False, width=width))
    assert isinstance(done, Done) and done.winner is None
    assert {result.failed for result in results.values()} == {"It is too large."}


@pytest.mark.parametrize(("fails", "stopped"), [("download", False), ("compress", True)])
@pytest.mark.parametrize("width", [1, 3])
def test_what_all_need_or_a_place_that_is_gone_ends_the_search(
    prepared: Prepared, tmp_path: Path, width: int, fails: str, stopped: bool
) -> None:
    with pytest.raises(StepFailure, match="It is too large"):
        list(loop.run(prepared, Store(tmp_path), means(fails, stopped=stopped, width=width)))
