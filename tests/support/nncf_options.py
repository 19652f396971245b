"""A program for openvino/test_quantization.py: what NNCF makes of options, on a graph with an embedding, two layers and a last MatMul.

Reads a JSON list of keyword sets for `nncf.compress_weights`; writes for each the sha256 of all constants, or the name of the error.
"""

from __future__ import annotations

import hashlib
import json
import sys
from typing import Any

import nncf
import numpy as np
import openvino as ov
from openvino import opset13 as op

HIDDEN, VOCABULARY = 128, 256
ENUMS = {"mode": nncf.CompressWeightsMode, "backup_mode": nncf.BackupMode, "sensitivity_metric": nncf.SensitivityMetric}


def model() -> ov.Model:
    chance = np.random.default_rng(0)

    def weights(rows: int) -> ov.Node:
        return op.constant(chance.normal(size=(rows, HIDDEN)).astype(np.float32))

    tokens = op.parameter([-1, -1], np.int64, name="tokens")
    layer = op.gather(weights(VOCABULARY), tokens, op.constant(np.int64(0)))
    for _ in range(2):
        layer = op.relu(op.matmul(layer, weights(HIDDEN), False, True))
    return ov.Model([op.matmul(layer, weights(VOCABULARY), False, True)], [tokens], "tiny")


def made(requested: dict[str, Any]) -> str:
    chance = np.random.default_rng(1)
    arguments = {name: ENUMS[name](value) if name in ENUMS else value for name, value in requested.items()}
    if arguments.pop("calibration", False):
        arguments["dataset"] = nncf.Dataset([{"tokens": chance.integers(0, VOCABULARY, size=(1, 16))} for _ in range(8)])
    if fallback := arguments.pop("group_size_fallback", None):
        mode = nncf.GroupSizeFallbackMode(fallback)
        arguments["advanced_parameters"] = nncf.AdvancedCompressionParameters(group_size_fallback_mode=mode)
    try:
        compressed = nncf.compress_weights(model(), **arguments)
    except (nncf.ValidationError, nncf.ParameterNotSupportedError, nncf.InvalidGroupSizeError, KeyError, ZeroDivisionError) as error:
        return type(error).__name__
    digest = hashlib.sha256()
    for node in compressed.get_ordered_ops():
        if node.get_type_name() == "Constant":
            digest.update(f"{node.get_element_type()}{node.get_output_shape(0)}".encode())
            digest.update(np.ascontiguousarray(node.data).tobytes())
    return digest.hexdigest()


print(json.dumps([made(requested) for requested in json.load(sys.stdin)]))
