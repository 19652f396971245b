"""Which of two models is closer to its source."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bakehouse.fidelity_pairs import paired, why_not
from bakehouse.records import Estimated, Fidelity, FidelityFigures, FidelityWindow

ONE = Estimated(value=0.5, low=0.4, high=0.6)
FIGURES = FidelityFigures(positions=40, windows=4, kl_mean=ONE, kl_p99=ONE, kl_max=1.0, top1=ONE, ppl_ratio=ONE)


def measured(kl_sums: Sequence[float], **changes: object) -> Fidelity:
    """A model with these divergences, summed over windows of 10 positions."""
    windows = tuple(FidelityWindow(set="prose", positions=10, kl_sum=kl, same=8, nll_sum=0.1) for kl in kl_sums)
    made = Fidelity(version=1, text="t", reference_precision="float32", floor_kl=0, device="CPU", figures=FIGURES, sets={}, windows=windows)
    return made.model_copy(update=changes)


VARIED = [1.0, 2.0, 8.0, 4.0, 0.5, 6.0]


def test_a_small_gap_that_all_windows_have_decides_although_windows_vary() -> None:
    found = paired(measured(VARIED), measured([kl + 0.1 for kl in VARIED]))
    assert found is not None and found.closer == "first"
    assert found.difference.value == pytest.approx(-0.01) and found.difference.high < 0


def test_the_order_of_the_two_only_turns_the_sign() -> None:
    one, other = measured(VARIED), measured([kl * 1.2 for kl in VARIED])
    there, back = paired(one, other), paired(other, one)
    assert there and back and (there.closer, back.closer) == ("first", "second")
    assert there.difference.low == pytest.approx(-back.difference.high) and there.difference.high == pytest.approx(-back.difference.low)


def test_a_gap_whose_sign_depends_on_the_window_is_a_tie() -> None:
    found = paired(measured(VARIED), measured([kl + gap for kl, gap in zip(VARIED, (0.3, -0.2, 0.2, -0.3, 0.1, 0.0), strict=True)]))
    assert found is not None and found.closer == "tie" and found.difference.low < 0 < found.difference.high


def test_a_model_ties_with_itself() -> None:
    found = paired(measured(VARIED), measured(VARIED))
    assert found is not None and found.closer == "tie" and found.difference == Estimated(value=0, low=0, high=0)


def test_the_same_two_give_the_same_interval_each_time() -> None:
    one, other = measured(VARIED), measured([kl * 1.1 for kl in VARIED])
    assert paired(one, other) == paired(one, other)


def test_longer_windows_count_for_more() -> None:
    long = FidelityWindow(set="prose", positions=90, kl_sum=9.0, same=8, nll_sum=0.1)
    one = measured([5.0])
    first = one.model_copy(update={"windows": (*one.windows, long)})
    second = one.model_copy(update={"windows": (*one.windows, long.model_copy(update={"kl_sum": 19.0}))})
    found = paired(first, second)
    assert found is not None and found.difference.value == pytest.approx(-10 / 100)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": 2}, "they were measured by versions 1 and 2 of the definitions"),
        ({"text": "u"}, "they were measured on different text: t, and u"),
        ({"reference_precision": "bfloat16"}, "their sources were computed in float32 and in bfloat16"),
        ({"windows": ()}, "they were measured on different windows of text"),
    ],
)
def test_models_measured_differently_do_not_compare(changes: dict[str, object], reason: str) -> None:
    one, other = measured(VARIED), measured(VARIED, **changes)
    assert why_not(one, other) == reason and paired(one, other) is None
