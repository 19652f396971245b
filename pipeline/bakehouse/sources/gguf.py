"""A Hugging Face checkpoint made from a GGUF file, whichever source the file comes from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from bakehouse.formats import safetensors_files
from bakehouse.sources.seams import GGUFRequest, GGUFResult, GGUFSpec
from bakehouse.steps.cost import installed, not_installed
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Step

# What decides the bytes: gguf dequantizes, torch rounds to bfloat16, the others write weights, configuration and tokenizer.
TOOLS = ("gguf", "transformers", "torch", "safetensors", "tokenizers", "numpy")


def checkpoint(download: Step, file: str, label: str) -> Step:
    """The step that turns `file` of the `download` step into a checkpoint."""
    return Step(
        kind="checkpoint",
        maker="gguf",
        label=label,
        spec=GGUFSpec(file=file),
        needs=(("download", download),),
        tools=installed(*TOOLS),
        format=2,  # 2: an end token where only the chat template names it
    )


def missing() -> str | None:
    """What is not installed and what to do; None if all of it is."""
    return not_installed(TOOLS)


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that reads the GGUF in the download and writes the checkpoint into `files`."""
    gguf = inputs["download"] / step.spec_as(GGUFSpec).file
    return worker("sources.workers.gguf_checkpoint", request=GGUFRequest(gguf=gguf, files=files))


def verify(step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    """Compare the checkpoint with what was requested: complete, weights in bfloat16, a tokenizer, an end token."""
    faults = list(safetensors_files.faults(files))
    dtypes = sorted({tensor.dtype for tensor in safetensors_files.tensors(files)}) if not faults else []
    if dtypes not in ([], ["BF16"]):
        faults.append(f"The weights are {', '.join(dtypes)}, not BF16.")
    found = report.read(GGUFResult)
    if not found.end_tokens:
        faults.append("No token ends an answer.")
    weights: list[JsonValue] = [*dtypes]
    return Verification({"weights": weights, **found.model_dump(mode="json")}, tuple(faults))
