"""A plain checkpoint made from one whose weights are quantized already: GPTQ, AWQ, FP8, MXFP4, compressed-tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from bakehouse.formats import config_json, quantized, safetensors_files
from bakehouse.formats.checkpoint import Survey, Tensor
from bakehouse.sources.seams import SHARD_BYTES, DequantizeRequest, DequantizeResult, DequantizeSpec
from bakehouse.steps.cost import Estimate, installed, not_installed
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Step

MAKER = "dequantize"
TOOLS = ("torch", "safetensors", "numpy", "transformers", "compressed-tensors")  # the last two know MXFP4 and their own format

_SIZES = {"F32": 4, "F16": 2, "BF16": 2}
_BASE_BYTES = 600_000_000  # interpreter and torch


def checkpoint(download: Step, label: str) -> Step:
    """The step that turns the quantized checkpoint of the `download` step into a plain one."""
    needs = (("download", download),)
    return Step(kind="checkpoint", maker=MAKER, label=label, spec=DequantizeSpec(), needs=needs, tools=installed(*TOOLS))


def missing() -> str | None:
    """What is not installed and what to do; None if all of it is."""
    return not_installed(TOOLS)


def survey(of: Survey) -> Survey:
    """What is known of the plain checkpoint, from what is known of the quantized one; the same if that cannot be dequantized."""
    if not quantized.method(of.config) or quantized.why_not(of.config):
        return of
    read = [safetensors_files.Tensor(one.name, one.dtype, one.shape) for one in of.tensors]
    made = (Tensor(name=name, dtype=dtype, shape=shape) for name, dtype, shape in quantized.plain(of.config, read))
    return of.model_copy(update={"config": quantized.plain_config(of.config), "tensors": tuple(made)})


def estimate(plain: Survey) -> Estimate:
    """What making it takes: its files, and one of them in memory with the largest weight in float32."""
    size = sum(_SIZES.get(tensor.dtype, 4) * math.prod(tensor.shape) for tensor in plain.tensors)
    largest = max((math.prod(tensor.shape) for tensor in plain.tensors), default=0)
    return Estimate(size, min(size, SHARD_BYTES) + 16 * largest + _BASE_BYTES)


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that reads the download and writes the plain checkpoint into `files`."""
    return worker("sources.workers.dequantize", request=DequantizeRequest(checkpoint=inputs["download"], files=files))


def verify(step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    """Compare names, types and shapes of all tensors with what the quantized ones come to, and config.json with the source's."""
    faults = list(safetensors_files.faults(files))
    if faults:
        return Verification(faults=tuple(faults))
    config = config_json.read(inputs["download"])
    wanted = quantized.plain(config, tuple(safetensors_files.tensors(inputs["download"])))
    found = tuple(sorted(safetensors_files.tensors(files)))
    faults += [f"{name} {dtype} {list(shape)} was not made" for name, dtype, shape in sorted(set(wanted) - set(found))]
    faults += [f"{name} {dtype} {list(shape)} was not expected" for name, dtype, shape in sorted(set(found) - set(wanted))]
    if config_json.read(files) != quantized.plain_config(config):
        faults.append("config.json is not the source's without its quantization_config.")
    done = report.read(DequantizeResult)
    measured: dict[str, JsonValue] = {"dequantized": done.weights, "method": done.method, "stored_as": quantized.stored_as(config)}
    return Verification(measured, tuple(faults))
