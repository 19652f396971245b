"""Packages side by side by how close they are to their source: which of two is closer, and the chart."""

from __future__ import annotations

from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.package import compare, compare_fidelity
from tests.package.test_card import manifest
from tests.package.test_compare import package, said
from tests.support.fidelities import fidelity

pytestmark = pytest.mark.needs_backend("openvino")


def measured(name: str, kl: float, **changes: Any) -> compare.Row:
    """A package with this mean divergence from its source."""
    return package(name, fidelity=fidelity(kl, **changes))


def sentences(*rows: compare.Row) -> list[str]:
    return [one.sentence for one in compare_fidelity.pairs(rows)]


def test_the_closer_of_two_is_named_first_with_a_negative_difference() -> None:
    expected = snapshot(["a is closer than b (mean KL divergence -0.100 nats, 95 % interval -0.127 to -0.0767)."])
    assert sentences(measured("a", 0.1), measured("b", 0.2)) == expected
    assert sentences(measured("b", 0.2), measured("a", 0.1)) == expected


def test_two_that_are_the_same_are_a_tie() -> None:
    assert sentences(measured("a", 0.1), measured("b", 0.1)) == snapshot(
        ["a and b: a tie (mean KL divergence 0.00 nats, 95 % interval 0.00 to 0.00)."]
    )


def test_packages_measured_on_other_text_or_from_another_source_do_not_compare() -> None:
    other = manifest("smollm2", "int4-openvino").build
    rows = (measured("a", 0.1), measured("b", 0.1, text="the recipe's own"), package("c", fidelity=fidelity(0.1), build=other))
    assert sentences(*rows) == snapshot(
        [
            "a and b do not compare: they were measured on different text: bakehouse-1, and the recipe's own.",
            "a and c do not compare: they were made from different sources.",
            "b and c do not compare: they were measured on different text: the recipe's own, and bakehouse-1.",
        ]
    )
    assert [one.closer for one in compare_fidelity.pairs(rows)] == [None, None, None]


def test_a_package_that_was_not_measured_is_in_no_pair() -> None:
    assert sentences(measured("a", 0.1), package("b")) == []


def test_the_table_shows_figures_and_then_the_pairs() -> None:
    lines = said(measured("a", 0.1), measured("b", 0.2))
    assert [line.split(" | ")[2:5] for line in lines[1:3]] == [
        ["0.100 (0.0900 to 0.110)", "90.9 %", "1.100"],
        ["0.200 (0.180 to 0.220)", "83.3 %", "1.200"],
    ]
    assert lines[3].startswith("a is closer than b (mean KL divergence -0.100 nats")


def test_a_chart_needs_two_packages_that_were_measured() -> None:
    assert compare_fidelity.chart([measured("a", 0.1), package("b")]) is None
    assert "<svg" not in compare.page([measured("a", 0.1), package("b")])


@pytest.mark.parametrize(("least", "logarithmic"), [(0.1, False), (0.001, True), (0.0, True)])
def test_a_chart_is_logarithmic_beyond_a_factor_of_twenty_and_holds_all_points(least: float, logarithmic: bool) -> None:
    found = compare_fidelity.chart([measured("a", least), measured("b", 0.8)])
    assert found is not None and found.logarithmic is logarithmic
    first, second = found.points
    assert first.y > second.y, "closer is further down"
    for point in found.points:
        assert 0 < point.high <= point.y <= point.low < compare_fidelity.HEIGHT and 0 < point.x < compare_fidelity.WIDTH
    assert 2 <= len(found.divergences) <= 8 and 2 <= len(found.sizes) <= 6


def test_a_page_has_columns_a_chart_and_pairs() -> None:
    page = compare.page([measured("a", 0.1), measured("b", 0.2)])
    assert page.count("<circle") == 2 and "a is closer than b" in page and 'data-value="0.1"' in page
