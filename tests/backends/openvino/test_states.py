"""A speech model's decoder has its states in one order: optimum-intel takes them from a set, whose order no run repeats."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

pytestmark = pytest.mark.model


def states(*, turned: bool) -> list[str]:
    """The states that the exporter adds for two nodes, in their order, where they are given in the model's order or the other way round."""
    import openvino as ov
    from openvino import opset13
    from optimum.exporters.openvino import stateful

    given = opset13.parameter([1, 4], ov.Type.f32, name="given")
    first, second = opset13.abs(given), opset13.exp(given)
    result = opset13.add(first, second)
    for name, node in {"first": first, "second": second}.items():
        node.output(0).set_names({name})
    model = ov.Model([result], [given], "model")
    stateful.insert_state_for_nodes(model, [second, first] if turned else [first, second])
    return [sink.get_variable_id() for sink in model.get_sinks()]


@pytest.mark.parametrize("kept", [True, False], ids=["as exports are made", "by the exporter alone, which shows that the order counts"])
def test_the_states_of_a_decoder_come_in_the_order_of_its_nodes(*, kept: bool) -> None:
    from bakehouse.backends.openvino.workers import speech_export

    with speech_export.states_in_order() if kept else nullcontext():
        assert (states(turned=False) == states(turned=True)) is kept
