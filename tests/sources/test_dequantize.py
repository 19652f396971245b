"""A quantized checkpoint becomes a plain one: its integers times their scales, rounded once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bakehouse.formats import quantized as formats
from bakehouse.formats import safetensors_files
from bakehouse.sources import dequantize
from bakehouse.sources.seams import DequantizeRequest, DequantizeResult
from bakehouse.sources.workers import dequantize as worker
from bakehouse.sources.workers.shards import write_shards
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Step

pytestmark = pytest.mark.model

# The function of tests/support/quantized.py that writes it, and its arguments; that module imports torch.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "gptq": ("gptq", {}),
    "gptq in another order of inputs": ("gptq", {"act_order": True}),
    "gptq of version 2": ("gptq", {"version": 2}),
    "gptq in 8 bits": ("gptq", {"bits": 8}),
    "awq": ("awq", {}),
    "fp8 with blocks that end at the edge": ("fp8", {}),
    "mxfp4": ("mxfp4", {}),
    "compressed-tensors, packed": ("compressed", {"form": "pack-quantized"}),
    "compressed-tensors, integers": ("compressed", {"form": "int-quantized"}),
    "compressed-tensors, floating point": ("compressed", {"form": "float-quantized"}),
}
WEIGHT, EXPERTS = "model.layers.0.mlp.up_proj", "model.layers.0.mlp.experts.down_proj"


def written(case: str) -> tuple[dict[str, Any], dict[str, Any], Any]:
    """Settings, tensors, and what the weight is by hand."""
    from tests.support import quantized

    name, arguments = CASES[case]
    found: tuple[dict[str, Any], dict[str, Any], Any] = getattr(quantized, name)(**arguments)
    return found


def made(folder: Path, case: str, dtype: str) -> tuple[Path, Path, DequantizeResult]:
    from tests.support import quantized

    settings, tensors, _ = written(case)
    source, files = quantized.checkpoint(folder / "source", settings, tensors, dtype), folder / "files"
    files.mkdir()
    return source, files, worker.run(DequantizeRequest(checkpoint=source, files=files))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("case", CASES)
def test_every_weight_is_its_integers_times_their_scales_rounded_once(case: str, dtype: str, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    _, files, _ = made(tmp_path, case, dtype)
    found = load_file(files / "model.safetensors")
    name = EXPERTS if case == "mxfp4" else f"{WEIGHT}.weight"
    assert found.keys() == {name, "model.norm.weight", f"{WEIGHT}.bias"}
    assert found[name].dtype == getattr(torch, dtype)
    assert torch.equal(found[name], written(case)[2].float().to(getattr(torch, dtype)))


@pytest.mark.parametrize("case", CASES)
def test_what_is_made_is_what_was_planned_from_the_headers(case: str, tmp_path: Path) -> None:
    source, files, result = made(tmp_path, case, "bfloat16")
    download = Step(kind="download", maker="local", label="tiny", spec=dequantize.DequantizeSpec())
    verified = dequantize.verify(
        dequantize.checkpoint(download, "tiny"), {"download": source}, files, Report(result.model_dump(mode="json", exclude_none=True))
    )
    assert verified.faults == () and verified.measured["dequantized"] == 1
    assert "quantization_config" not in json.loads((files / "config.json").read_text())
    assert (files / "tokenizer.json").read_text() == "{}"


def test_a_weight_that_is_missing_or_of_another_shape_is_named(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    source, files, result = made(tmp_path, "awq", "float16")
    tensors = load_file(files / "model.safetensors")
    tensors[f"{WEIGHT}.weight"] = tensors[f"{WEIGHT}.weight"].T.contiguous()
    save_file(tensors, files / "model.safetensors", {"format": "pt"})
    download = Step(kind="download", maker="local", label="tiny", spec=dequantize.DequantizeSpec())
    step = dequantize.checkpoint(download, "tiny")
    verified = dequantize.verify(step, {"download": source}, files, Report(result.model_dump(mode="json", exclude_none=True)))
    assert verified.faults == (
        f"{WEIGHT}.weight F16 [64, 128] was not made",
        f"{WEIGHT}.weight F16 [128, 64] was not expected",
    )


def test_the_same_bytes_come_out_twice(tmp_path: Path) -> None:
    one, other = (made(tmp_path / name, "gptq", "float16")[1] for name in ("one", "other"))
    assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()


def test_large_checkpoints_are_written_in_several_files_with_an_index(tmp_path: Path) -> None:
    import torch

    tensors = [(f"w{number}", torch.full((4,), float(number))) for number in range(5)]
    write_shards(iter(tensors), tmp_path, shard_bytes=40)
    names = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    assert names == [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]
    assert [one.name for one in safetensors_files.tensors(tmp_path)] == [name for name, _ in tensors]


def test_the_loaders_of_onnxruntime_genai_read_the_same_weights() -> None:
    """An implementation that knows nothing of this one; it computes in float16."""
    import torch
    from onnxruntime_genai.models.loaders.awq import AWQModel
    from onnxruntime_genai.models.loaders.gptq import GPTQModel

    from bakehouse.sources.workers import dequantized_weights
    from tests.support import quantized

    for kind, (_, tensors, _) in ((GPTQModel, written("gptq")), (AWQModel, written("awq"))):
        parts = {name.rpartition(".")[2]: tensor for name, tensor in tensors.items()}
        module: Any = type("Module", (), {})()
        module.bits, module.group_size, module.g_idx = 4, quantized.GROUP, parts.get("g_idx")
        module.in_features, module.out_features = quantized.INPUTS, quantized.OUTPUTS
        module.qweight, module.qzeros, module.scales = parts["qweight"], parts["qzeros"].clone(), parts["scales"]
        loader = kind.__new__(kind)
        if kind is GPTQModel:
            loader.prepare_quantized_tensor(module)
        loader.unpack(module)
        shape = (quantized.OUTPUTS, quantized.INPUTS)
        ours = dequantized_weights.gptq(parts, shape, 1) if kind is GPTQModel else dequantized_weights.awq(parts)
        assert torch.allclose(module.qweight.float(), ours, atol=float(ours.abs().max()) * 2**-9)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"quant_method": "bitsandbytes"}, "bitsandbytes is not dequantized here"),
        ({"quant_method": "gptq", "bits": 3}, "gptq with 3 bits is not dequantized here"),
        ({"quant_method": "awq", "version": "gemv"}, "AWQ of version gemv is not dequantized here, gemm is"),
        (
            {"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized"},
            "compressed-tensors in the format nvfp4-pack-quantized ",
        ),
        ({}, ""),
    ],
)
def test_what_is_not_dequantized_has_a_reason(settings: dict[str, Any], reason: str) -> None:
    config = {"quantization_config": settings}
    assert formats.why_not(config).startswith(reason) if settings else not formats.method(config)


def test_estimates_and_checks_see_the_plain_checkpoint(tmp_path: Path) -> None:
    from bakehouse.formats.checkpoint import read_checkpoint

    source, files, _ = made(tmp_path, "gptq", "float16")
    before = dequantize.survey(read_checkpoint(source))
    after = read_checkpoint(files)
    assert before.tensors == after.tensors and before.config == after.config
