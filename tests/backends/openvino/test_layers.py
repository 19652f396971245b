"""Which layers keep 8 bits where each was measured alone in 4."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bakehouse.backends.openvino import backend as openvino
from bakehouse.backends.openvino.quantization import Scope
from bakehouse.backends.openvino.verify import precision
from bakehouse.formats import openvino_ir
from bakehouse.steps.step import Step
from bakehouse.tasks.text_generation import layers
from bakehouse.tasks.text_generation.layers import LAYERS, Layer
from tests.support import fidelity_making
from tests.support.openvino_making import build, make, sha256, steps

INT4: dict[str, Any] = {"weights": "int4", "group_size": 64}
FOUR = (
    Layer(node="a", weights=100, harm=0.4),
    Layer(node="b", weights=400, harm=0.4),
    Layer(node="c", weights=300, harm=0.0),
    Layer(node="d", weights=200, harm=0.5),
)


def step(**quantization: Any) -> Step | None:
    return openvino.sensitivity("model-build", build(**quantization), steps(**quantization), fidelity_making.REFERENCE)


def test_a_ratio_becomes_names(tmp_path: Path) -> None:
    (tmp_path / LAYERS).write_text(json.dumps([layer.model_dump() for layer in FOUR]), encoding="utf-8")
    named = openvino.keeping(build(**INT4, ratio=0.7), tmp_path).quantization
    assert (named.ratio, named.backup_scope) == (1.0, Scope(names=("a", "d"), patterns=(), types=()))
    as_they_are = openvino.keeping(build(**INT4, ratio=0.7, backup_precision="none"), tmp_path).quantization
    assert (as_they_are.backup_scope, as_they_are.ignored_scope) == (None, Scope(names=("a", "d"), patterns=(), types=()))


def test_every_ratio_of_a_group_size_shares_one_measurement() -> None:
    one, other, finer = step(**INT4, ratio=0.6), step(**INT4, ratio=0.8), step(weights="int4", group_size=32, ratio=0.6)
    assert one and other and finer
    assert one.key == other.key != finer.key
    assert step(**INT4) is None, "with ratio 1.0 there is nothing to choose"


@pytest.mark.model
def test_each_layer_is_measured_and_what_is_chosen_is_made(tiny_checkpoint: Path, tmp_path: Path) -> None:
    export = make(steps(**INT4)["config"], tmp_path / "export", checkpoint=tiny_checkpoint).files
    inputs = {"checkpoint": tiny_checkpoint, "export": export, "reference": fidelity_making.reference_of(tiny_checkpoint)}
    wanted = step(**INT4, ratio=0.5)
    assert wanted
    made, again = (make(wanted, tmp_path / name, **inputs) for name in ("one", "two"))
    assert made.verification.faults == () and sha256(made.files / LAYERS) == sha256(again.files / LAYERS)
    found = layers.read(made.files)
    inner = {weight.user: weight.count for weight in openvino_ir.read(export / "openvino_model.xml").weights if weight.role == "matmul"}
    assert {layer.node: layer.weights for layer in found} == inner
    assert len({layer.harm for layer in found}) > 1 and all(layer.harm >= 0 for layer in found)
    options = openvino.keeping(build(**INT4, ratio=0.5), made.files)
    model = make(
        openvino.steps("model-build", options, fidelity_making.CHECKPOINT, "model", None, False)["model"], tmp_path / "model", export=export
    )
    assert model.verification.faults == ()
    four = {w.user for w in openvino_ir.read(model.files / "openvino_model.xml").weights if precision(w) == "int4_asym"}
    assert four == inner.keys() - set(layers.out_of_four_bits(found, 0.5))


@pytest.mark.model
def test_a_layer_is_rounded_as_nncf_rounds_it(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """The numbers of a layer that was measured are those that the runtime has: read out of the graph, by OpenVINO itself."""
    import numpy as np
    import openvino as ov
    import torch
    from safetensors.torch import load_file

    from bakehouse.backends.openvino.seams import SensitivitySpec
    from bakehouse.backends.openvino.workers.sensitivity import rounded

    export = make(steps(**INT4)["config"], tmp_path / "export", checkpoint=tiny_checkpoint).files
    model = make(steps(**INT4)["model"], tmp_path / "model", export=export).files
    graph = ov.Core().read_model(model / "openvino_model.xml")
    node = next(
        op
        for op in graph.get_ops()
        if op.get_friendly_name().startswith("__module.model.layers.0.mlp.down_proj/") and op.get_type_name() == "MatMul"
    )
    weight = ov.Model([node.input_value(1)], [], "weight")
    stored = ov.Core().compile_model(weight, "CPU", {"EXECUTION_MODE_HINT": "ACCURACY"})([])[0]
    source = load_file(tiny_checkpoint / "model.safetensors")["model.layers.0.mlp.down_proj.weight"]
    options = SensitivitySpec(symmetric=False, group_size=64, windows=2, float32_below=0, remote_code=False)
    ours = rounded(source.to(torch.float32), options).numpy()
    step_size = np.abs(source.float().numpy()).max() / 7.5
    assert np.abs(stored - ours).max() < 0.02 * step_size  # scales are stored in 16 bits
