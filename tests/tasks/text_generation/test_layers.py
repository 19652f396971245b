"""Which layers get fewer bits, by what each of them does to the model."""

from __future__ import annotations

import pytest

from bakehouse.tasks.text_generation import layers
from bakehouse.tasks.text_generation.layers import Layer

FOUR = (
    Layer(node="a", weights=100, harm=0.4),
    Layer(node="b", weights=400, harm=0.4),
    Layer(node="c", weights=300, harm=0.0),
    Layer(node="d", weights=200, harm=0.5),
)


@pytest.mark.parametrize(
    ("ratio", "kept"),
    [
        (0.99, ("a",)),
        (0.9, ("a",)),  # of the harm for each weight, not of the harm
        (0.7, ("a", "d")),
        (0.5, ("a", "b")),  # d fits in beside c where b does not
        (0.3, ("a", "b", "d")),
        (0.1, ("b", "c", "d")),
    ],
)
def test_the_least_harmful_for_their_size_get_4_bits_as_far_as_the_ratio_goes(ratio: float, kept: tuple[str, ...]) -> None:
    assert layers.out_of_four_bits(FOUR, ratio) == kept
