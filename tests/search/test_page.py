"""A search as a page: a point for each measured candidate, and nothing from elsewhere."""

from __future__ import annotations

from bakehouse.search.page import page
from bakehouse.search.results import Result
from tests.search.test_decide import fidelity


def test_each_measured_candidate_is_a_point_and_the_winner_is_marked() -> None:
    results = {
        "a": Result(size_bytes=90_000_000, confirmed=fidelity(0.25, 0.1)),
        "b": Result(size_bytes=99_000_000, confirmed=fidelity(0.16, 0.1)),
        "c": Result(size_bytes=80_000_000, screened=fidelity(0.9, 0.1)),
    }
    made = page("Search <x>", "b wins.", "b", results, ["candidate"], [["a"], ["b"], ["c"]])
    assert made.count("<circle") == 2
    assert made.count('class="winner"') == 1
    assert "Search &lt;x&gt;" in made
    assert "http" not in made


def test_a_search_without_measurements_has_an_empty_chart() -> None:
    assert "<circle" not in page("t", "w", "", {}, [], [])
