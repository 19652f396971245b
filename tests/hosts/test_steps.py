"""Who made a step, and who only brought it, is read from what the workers said."""

from __future__ import annotations

from pathlib import Path

from tests.hosts import runs
from tests.hosts.site import Site

BRINGS = "bringing what it needs from the shared store"
WAITS = "waiting for the shared store, which is out of reach: no answer"
SITE = Site(Path("no folder"), Path("no model"), Path("no recipes"), Path("no environment"))


def said(*doings: tuple[str, str]) -> list[runs.Event]:
    """Events of one step, a second apart."""
    return [(float(at), "compress-openvino-key", f"{host}-17-1", doing) for at, (host, doing) in enumerate(doings)]


def test_a_worker_that_waits_for_the_store_begins_once() -> None:
    (step,) = runs.steps(
        SITE, said(("one", BRINGS), ("one", WAITS), ("one", BRINGS), ("one", "converting"), ("one", WAITS), ("one", "sent"))
    )
    assert (step.by, step.brought, step.seconds) == (["one"], 0, 5.0)


def test_a_step_whose_worker_is_lost_is_begun_again() -> None:
    (step,) = runs.steps(SITE, said(("one", BRINGS), ("one", "converting"), ("two", BRINGS), ("two", "converting"), ("two", "written")))
    assert (step.by, step.brought, step.seconds) == (["one", "two"], 0, 2.0)
    (same,) = runs.steps(SITE, said(("one", BRINGS), ("one", "converting"), ("one", BRINGS), ("one", "converting")))
    assert same.by == ["one", "one"]


def test_a_step_that_is_in_the_store_is_brought() -> None:
    (step,) = runs.steps(SITE, said(("one", BRINGS), ("one", "converting"), ("two", BRINGS), ("one", BRINGS)))
    assert (step.by, step.brought) == (["one"], 2)
