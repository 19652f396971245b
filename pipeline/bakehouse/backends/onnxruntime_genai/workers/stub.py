"""A model folder without weights: with it the runtime loads a real folder's tokenizer, or shows whether it has a provider at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from bakehouse.backends.onnxruntime_genai import genai_config

# What a model folder holds besides its tokenizer.
_MODEL_FILES = (".onnx", ".data")


def write(model: Path, folder: Path) -> None:
    """Fill `folder` with the tokenizer of the model folder `model` and a graph that turns ids into floats.

    Only a loaded model gives a tokenizer (og.Tokenizer, onnxruntime-genai 0.18), and the real one takes gigabytes, or needs a
    provider that this machine does not have.
    """
    for path in model.iterdir():
        if path.is_file() and path.suffix not in _MODEL_FILES:
            shutil.copyfile(path, folder / path.name)
    config = json.loads((model / genai_config.NAME).read_text(encoding="utf-8"))
    decoder = config["model"]["decoder"]
    decoder["filename"] = "stub.onnx"
    decoder["session_options"]["provider_options"] = []
    decoder |= {"inputs": {"input_ids": "input_ids"}, "outputs": {"logits": "logits"}}
    (folder / genai_config.NAME).write_text(json.dumps(config), encoding="utf-8", newline="\n")
    _write_graph(folder / "stub.onnx")


def _write_graph(path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["input_ids"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["floats", "last"], ["logits"]),
        ],
        "stub",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch_size", "sequence_length"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch_size", "sequence_length", 1])],
        [helper.make_tensor("last", TensorProto.INT64, [1], [2])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
