"""Whether a checkpoint can be made an ONNX graph, and what it will take: from config and shapes alone."""

from __future__ import annotations

from collections.abc import Mapping

from bakehouse.backends.onnxruntime.options import OnnxRuntime, Weights
from bakehouse.backends.onnxruntime.seams import ConvertSpec
from bakehouse.formats import fields
from bakehouse.formats.checkpoint import Survey
from bakehouse.recipe.kinds import DEFAULT_TASK, BuildOptions
from bakehouse.steps.cost import Estimate
from bakehouse.steps.step import Step
from bakehouse.toolchains.table import INSTALLED
from bakehouse.toolchains.table import Name as Toolchain

# The model types whose graphs gave what transformers gives, of texts of several lengths at once; measured with tiny models (torch 2.13).
# Of DeBERTa the exporter computes positions beforehand, which are then no weights of the checkpoint; of ModernBERT it traces no masks.
_ENCODERS = frozenset(
    {"albert", "bert", "camembert", "distilbert", "electra", "ernie", "mpnet", "rembert", "roberta", "roformer", "xlm-roberta"}
    | {"xlm-roberta-xl"}
)
EXPORTABLE: Mapping[str, frozenset[str]] = {"embeddings": _ENCODERS | {"qwen3"}, "reranker": _ENCODERS}
_WIDTHS: Mapping[Weights, int] = {"fp32": 4, "fp16": 2, "int8": 1}
_BASE_BYTES = 800_000_000  # interpreter, torch and a tiny model


def preflight(build: BuildOptions, survey: Survey, toolchain: Toolchain = INSTALLED, task: str = DEFAULT_TASK) -> tuple[str, ...]:
    """Sentences, one for each reason why this build of this checkpoint cannot work with this toolchain."""
    assert isinstance(build, OnnxRuntime)
    kind, tried = fields.text(survey.config, "model_type"), build.unknown_architecture == "try"
    known = EXPORTABLE.get(task, frozenset())
    reasons = []
    if kind not in known and not tried:
        reasons.append(
            f"no ONNX graph of models of type {kind or 'unknown'} for {task} has been shown to work; "
            "with `unknown_architecture: try` the build tries it"
        )
    if toolchain != INSTALLED and not tried:
        reasons.append(f"ONNX graphs for {task} are made with the installed release of transformers only: leave `toolchain` out")
    strange = sorted({tensor.dtype for tensor in survey.tensors} - {"F32", "F16", "BF16", "I64", "I32", "BOOL", "U8"})
    if strange:
        reasons.append(f"the checkpoint has weights in {', '.join(strange)}; F32, F16 and BF16 can be exported")
    return tuple(reasons)


def estimate(step: Step, survey: Survey) -> Estimate:
    """What one step will take: an export is in float32, and the exporter holds the weights three times."""
    full = 4 * survey.parameters
    match step.kind:
        case "export":
            return Estimate(full, 3 * full + _BASE_BYTES)
        case "tokenizer":
            return Estimate(20_000_000, _BASE_BYTES)
        case "compress":
            made = survey.parameters * _WIDTHS[step.spec_as(ConvertSpec).weights]
            return Estimate(made, 2 * full + made + _BASE_BYTES)
        case "validate":
            return Estimate(0, 2 * full + _BASE_BYTES)
        case _:
            return Estimate(0, 0)
