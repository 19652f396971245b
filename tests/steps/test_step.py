from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bakehouse.steps.step import Notes
from tests.support.fakes import FakeSpec, step


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "export"},
        {"maker": "other"},
        {"spec": FakeSpec(bits=8)},
        {"tools": {"oven": "1.1"}},
        {"format": 2},
        {"needs": (("model", step(bits=4)),)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_can_change_the_bytes_changes_the_key(change: dict[str, object]) -> None:
    before = step(bits=4)
    assert replace(before, **change).key != before.key  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"label": "other"}, {"notes": Notes(path=Path("/somewhere"))}], ids=lambda change: next(iter(change)))
def test_what_cannot_change_the_bytes_does_not_change_the_key(change: dict[str, object]) -> None:
    before = step(bits=4)
    assert replace(before, **change).key == before.key  # type: ignore[arg-type]


def test_a_key_depends_on_what_is_needed_however_deep() -> None:
    def chain(bits: int) -> str:
        return step("package", needs=(("model", step("compress", needs=(("export", step("export", bits=bits)),))),)).key

    assert chain(4) == chain(4)
    assert chain(4) != chain(8)


def test_the_key_is_the_same_in_every_run_and_on_every_machine() -> None:
    assert step(bits=4, name="ä").key == "796ba5d216a50d671a4f64a21598874768920f6c177a097531c0bf33fcebd17f"


def test_a_shared_need_is_walked_once_and_before_what_needs_it() -> None:
    export = step("export")
    a, b = step("compress", needs=(("export", export),), bits=4), step("compress", needs=(("export", export),), bits=8)
    package = step("package", needs=(("a", a), ("b", b)))
    assert [one.key for one in package.closure()] == [export.key, a.key, b.key, package.key]


def test_an_option_that_json_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        _ = step(ratio=float("nan")).key
