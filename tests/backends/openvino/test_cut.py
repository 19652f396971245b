"""A graph that is cut computes what the whole one computes: of its first layers, of wanted positions, and from a cache that is cut back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bakehouse.backends.openvino.workers import cut as openvino_cut
from bakehouse.backends.openvino.workers.logits import ACCURATE, MODEL, Runner

pytestmark = pytest.mark.model

WIDTH, ROWS = 16, 50
IDS = [(7 * at + at * at) % ROWS for at in range(600)]


def graph(layers: int, name: str = "layers") -> Any:
    """A stateful model of this kind: attention of one head with a cache, and a feed-forward part, with the names that exports have."""
    import numpy as np
    import openvino as ov
    from openvino import opset13 as op
    from openvino.op.util import Variable, VariableInfo

    random = np.random.default_rng(0)
    whole, one = op.constant(np.int64(0)), op.constant(np.int64(1))

    def weight(*shape: int) -> Any:
        return op.constant(random.normal(size=shape).astype(np.float32))

    def named(node: Any, path: str) -> Any:
        node.set_friendly_name(f"__module.model.{path}")
        return node

    ids, mask = (op.parameter(ov.PartialShape([-1, -1]), ov.Type.i64, name=each) for each in ("input_ids", "attention_mask"))
    for node in (ids, mask):
        node.output(0).set_names({node.get_friendly_name()})
    hidden = named(op.gather(weight(ROWS, WIDTH), ids, whole), "embed_tokens/Gather")
    sinks, variables = [], []
    for layer in range(layers):
        keys, read = [], []
        for part in ("key", "value"):
            info = VariableInfo()
            info.data_shape, info.data_type, info.variable_id = ov.PartialShape([-1, 1, -1, WIDTH]), ov.Type.f32, f"{part}.{layer}"
            variables.append(Variable(info))
            batch = op.gather(op.shape_of(ids), op.constant(np.array([0])), whole)
            empty = op.broadcast(op.constant(np.float32(0)), op.concat([batch, op.constant(np.array([1, 0, WIDTH]))], 0))
            old = op.read_value(empty, variables[-1])
            row = named(op.matmul(hidden, weight(WIDTH, WIDTH), False, False), f"{name}.{layer}.self_attn.{part}/MatMul")
            read.append(op.concat([old, op.unsqueeze(row, one)], 2))
            keys.append(op.assign(read[-1], variables[-1]))
        sinks += keys
        query = op.unsqueeze(named(op.matmul(hidden, weight(WIDTH, WIDTH), False, False), f"{name}.{layer}.self_attn.q/MatMul"), one)
        count, total = (op.gather(op.shape_of(each), one, whole) for each in (ids, mask))
        past = op.range(op.subtract(total, count), total, one, ov.Type.i64)
        seen = op.less_equal(op.unsqueeze(op.range(whole, total, one, ov.Type.i64), whole), op.unsqueeze(past, one))
        attended = named(op.squeeze(op.scaled_dot_product_attention(query, *read, seen), one), f"{name}.{layer}.self_attn/Squeeze")
        hidden = named(op.add(hidden, op.matmul(attended, weight(WIDTH, WIDTH), False, False)), f"{name}.{layer}/Add")
        inner = op.tanh(op.matmul(hidden, weight(WIDTH, 2 * WIDTH), False, False))
        hidden = named(op.add(hidden, op.matmul(inner, weight(2 * WIDTH, WIDTH), False, False)), f"{name}.{layer}/Add_1")
    random = np.random.default_rng(1)  # the head is the same for any number of layers
    logits = op.result(named(op.matmul(op.tanh(hidden), weight(WIDTH, ROWS), False, False), "lm_head/MatMul"))
    logits.output(0).set_names({"logits"})
    return ov.Model([logits], sinks, [ids, mask], variables, "model")


def saved(folder: Path, model: Any) -> Path:
    import openvino as ov

    ov.save_model(model, folder / MODEL, compress_to_fp16=False)
    return folder


def difference(one: dict[int, Any], other: dict[int, Any]) -> float:
    assert one.keys() == other.keys()
    return max(float(abs(one[at] - other[at]).max()) for at in one)


def test_the_first_layers_of_a_graph_compute_what_a_model_of_these_does(tmp_path: Path) -> None:
    (tmp_path / "four").mkdir(), (tmp_path / "one").mkdir()
    cut = Runner(saved(tmp_path / "four", graph(4)), True, True, 1, 4)
    alone = Runner(saved(tmp_path / "one", graph(1)))
    for prefill in (20, 12):
        assert difference(cut.evaluate(IDS[:20], prefill, range(12, 20)), alone.evaluate(IDS[:20], prefill, range(12, 20))) < 1e-4
    assert len(cut.request.query_state()) == 2


def test_the_last_layer_computes_the_wanted_positions_alone_from_attention_on() -> None:
    import openvino as ov

    model = graph(2)
    assert openvino_cut.keep_rows(model)
    positions = next(node for node in model.get_parameters() if node.get_friendly_name() == openvino_cut.POSITIONS)
    gathers = [port.get_node() for port in positions.output(0).get_target_inputs()]
    sources = {gather.input_value(0).get_node().get_friendly_name() for gather in gathers}
    assert sources == {"__module.model.layers.0/Add_1", "__module.model.layers.1.self_attn/Squeeze"}
    assert ov.Core().compile_model(model, "CPU", ACCURATE)


def test_the_head_alone_may_be_the_only_thing_that_computes_wanted_positions() -> None:
    model = graph(2)
    assert openvino_cut.keep_rows(model, head_only=True)
    positions = next(node for node in model.get_parameters() if node.get_friendly_name() == openvino_cut.POSITIONS)
    (gather,) = (port.get_node() for port in positions.output(0).get_target_inputs())
    assert gather.output(0).get_target_inputs().pop().get_node().get_friendly_name() == "__module.model.lm_head/MatMul"


def test_a_cache_that_is_cut_back_gives_what_a_new_one_gives(tmp_path: Path) -> None:
    folder = saved(tmp_path, graph(2))
    quick, plain = Runner(folder, True, True), Runner(folder)
    scored = [399, *range(404, 412), *range(580, 600)]
    quick.evaluate(IDS, 600, scored)
    assert difference(quick.evaluate(IDS, 400, scored), plain.evaluate(IDS, 400, scored)) < 1e-4
    assert difference(quick.evaluate(IDS, 300, scored), plain.evaluate(IDS, 300, scored)) < 1e-4
    other = [3, *IDS[1:]]  # another input, of which nothing is in the cache
    assert difference(quick.evaluate(other, 400, scored), plain.evaluate(other, 400, scored)) < 1e-4


@pytest.mark.parametrize(("name", "layers"), [("parts", 3), ("layers", 4)], ids=["unknown names", "another number of layers"])
def test_a_graph_whose_layers_are_unknown_is_left_as_it_is(name: str, layers: int) -> None:
    model = graph(3, name)
    assert not openvino_cut.keep_first(model, 1, layers)
    assert len(model.get_sinks()) == 6
