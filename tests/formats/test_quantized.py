"""Quantized weights whose parts do not fit each other are refused by name."""

from __future__ import annotations

import pytest

from bakehouse.errors import Failure
from bakehouse.formats import quantized
from bakehouse.formats.safetensors_files import Tensor


@pytest.mark.parametrize(
    ("method", "parts"),
    [
        ("gptq", {"qweight": (16, 64), "qzeros": (1,), "scales": (4, 64)}),
        ("gptq", {"qweight": (16, 64), "qzeros": (4, 8), "scales": (4, 0)}),
        ("gptq", {"qweight": (16, 64), "scales": (4, 64)}),
        ("awq", {"qweight": (64,), "qzeros": (4, 8), "scales": (4, 64)}),
    ],
)
def test_parts_of_shapes_that_the_method_does_not_give_are_named(method: str, parts: dict[str, tuple[int, ...]]) -> None:
    tensors = [Tensor(f"up.{name}", "I32", shape) for name, shape in parts.items()]
    with pytest.raises(Failure) as caught:
        quantized.plain({"quantization_config": {"quant_method": method}}, tensors)
    assert caught.value.what.startswith(f"The parts of up.weight have shapes that {method} does not give them: qweight [")
