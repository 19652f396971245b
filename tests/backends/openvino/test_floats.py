"""The largest weight is found by its bits, of either 16-bit float, whatever its sign."""

from __future__ import annotations

import numpy as np
import pytest

from bakehouse.backends.openvino.workers.floats import largest

pytestmark = pytest.mark.model  # for the module's imports


@pytest.mark.parametrize("exponent", [-6, 0, 4])
@pytest.mark.parametrize("signs", [1, -1, 0], ids=["positive", "negative", "both"])
def test_the_largest_magnitude_is_that_of_the_numbers(exponent: int, signs: int) -> None:
    drawn = np.random.default_rng(1).standard_normal(500).astype(np.float32) * np.float32(10.0**exponent)
    values = drawn if signs == 0 else np.abs(drawn) * np.float32(signs)
    half = values.astype(np.float16)
    assert largest(half, "f16") == float(np.abs(half).max())
    bits = (values.view(np.uint32) >> np.uint32(16)).astype(np.uint16)
    assert largest(bits, "bf16") == float(np.abs((bits.astype(np.uint32) << np.uint32(16)).view(np.float32)).max())


def test_zero_and_infinity_are_found() -> None:
    assert largest(np.array([-0.0, 0.0], dtype=np.float16), "f16") == 0.0
    assert largest(np.array([-np.inf, 1.0], dtype=np.float16), "f16") == np.inf
