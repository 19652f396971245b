"""Why LoRA adapters are merged for ONNX Runtime GenAI: what its own model builder makes of them takes no adapter file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import lora

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def folder(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Graphs that the builder makes of the tiny model and an adapter, in two precisions."""
    made = tmp_path_factory.mktemp("builder")
    adapter = lora.adapter(tiny_checkpoint, made / "adapter", size=0.4, seed=1)
    for precision in ("fp32", "int4"):
        words = ("-i", tiny_checkpoint, "-o", made / precision, "-p", precision, "-e", "cpu", "-c", made / "cache")
        program = (sys.executable, "-m", "onnxruntime_genai.models.builder", *map(str, words), "--extra_options", f"adapter_path={adapter}")
        done = subprocess.run(program, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return made


def graph(folder: Path, *, data: bool = False) -> Any:
    import onnx

    return onnx.load(folder / "model.onnx", load_external_data=data).graph


def test_the_builder_makes_constants_of_the_adapter_and_quantizes_them(folder: Path) -> None:
    full, quantized = graph(folder / "fp32"), graph(folder / "int4")
    assert {one.name for one in full.input if "past_key_values" not in one.name} == {"input_ids", "attention_mask"}
    assert len([one for one in full.initializer if "lora_" in one.name]) == 2 * 6
    kinds = {node.op_type for node in quantized.node if "/lora_" in node.name}
    assert kinds == {"MatMulNBits"}


def test_an_adapter_file_for_such_a_graph_is_refused_by_the_runtime(folder: Path) -> None:
    import onnxruntime
    import onnxruntime_genai
    from onnx import numpy_helper

    weights = {one.name: numpy_helper.to_array(one) for one in graph(folder / "fp32", data=True).initializer if "lora_" in one.name}
    file = onnxruntime.AdapterFormat()
    file.set_adapter_version(1)
    file.set_model_version(1)
    file.set_parameters({name: onnxruntime.OrtValue.ortvalue_from_numpy(one) for name, one in weights.items()})
    file.export_adapter(str(folder / "polite.onnx_adapter"))
    model = onnxruntime_genai.Model(str(folder / "fp32"))
    adapters = onnxruntime_genai.Adapters(model)
    adapters.load(str(folder / "polite.onnx_adapter"), "polite")
    settings = onnxruntime_genai.GeneratorParams(model)
    settings.set_search_options(max_length=16)
    generator = onnxruntime_genai.Generator(model, settings)
    generator.set_active_adapter(adapters, "polite")
    with pytest.raises(RuntimeError, match="Invalid input name"):
        generator.append_tokens([1, 2, 3])
        generator.generate_next_token()
