"""LoRA adapters next to a model, which OpenVINO GenAI applies when it loads the model.

Read in openvino.genai 2026.3 (src/cpp/src/lora/adapter.cpp) and tried with 2026.4.1: LLMPipeline takes the tensors whose names begin with
`base_model.model.`, and applies a pair of matrices to every matrix product in whose name the rest of theirs is found. All other tensors
are passed over without a word, or with a warning, and so is the `lora_alpha` of adapter_config.json.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bakehouse.backends.openvino.seams import AdapterRequest, AdapterResult, AdapterSpec, MeasuredAdapter
from bakehouse.formats import openvino_ir
from bakehouse.recipe.source import ADAPTER_ROLES, adapter_role
from bakehouse.steps.cost import installed
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Step
from bakehouse.store import files as file_tools

KIND = "adapter"
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"  # in the adapter's folder of a package, as peft has them
PREFIX = "base_model.model."  # of the names of tensors that LLMPipeline looks at
_TOOLS = ("safetensors", "torch")


def steps(label: str, parts: Mapping[str, Step], fetched: Sequence[tuple[Step, float]]) -> dict[str, Step]:
    """The steps that make adapters for the model of these parts, by role; `fetched` bring them, each with its scale."""
    return {
        adapter_role(number): Step(
            kind="adapter",
            maker="openvino",
            label=f"{label}-{number}",
            spec=AdapterSpec(scale=scale),
            needs=(("adapter", adapter), ("export", parts["config"])),
            tools=installed(*_TOOLS),
        )
        for number, (adapter, scale) in enumerate(fetched, 1)
    }


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that makes one."""
    model = openvino_ir.read(inputs["export"] / "openvino_model.xml")
    layers = tuple(user for weight in model.weights if weight.kind == "MatMul" for user in weight.users)
    scale = step.spec_as(AdapterSpec).scale
    return worker(
        "backends.openvino.workers.adapter", request=AdapterRequest(adapter=inputs["adapter"], scale=scale, layers=layers, files=files)
    )


def verify(files: Path, report: Report) -> Verification:
    """Complete, and with an effect."""
    if absent := [f"{name} was not made" for name in (WEIGHTS, CONFIG) if not (files / name).is_file()]:
        return Verification(faults=tuple(absent))
    result = report.read(AdapterResult)
    faults = () if set(result.ranks) - set(result.silent) else ("The adapter changes no layer.",)
    measured = MeasuredAdapter(
        adapted_layers=len(result.ranks), ranks=tuple(sorted(set(result.ranks.values()))), silent_layers=result.silent
    )
    return Verification(measured.model_dump(mode="json"), faults)


def layout(parts: Mapping[str, Path]) -> dict[str, Path]:
    """Path in the package -> file, of the adapters among the parts."""
    folders = {role: path for role, path in parts.items() if role.startswith(ADAPTER_ROLES)}
    return {f"{role}/{path.relative_to(folder).as_posix()}": path for role, folder in folders.items() for path in file_tools.walk(folder)}


def folders_of(model: Path, parts: Mapping[str, Path]) -> tuple[Path, ...]:
    """The folders of the adapters among the parts, in the folder of a model that was laid out."""
    return tuple(model / role for role in parts if role.startswith(ADAPTER_ROLES))


def folders(package: Path) -> tuple[Path, ...]:
    """The folders of the adapters in a package, in the order in which the recipe has them."""
    found = [path.parent for path in package.glob(f"{ADAPTER_ROLES}*/{WEIGHTS}")]
    return tuple(sorted(found, key=lambda path: int(path.name.removeprefix(ADAPTER_ROLES))))
