"""A build for ONNX Runtime GenAI: its provider and what is done to the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, JsonValue

from bakehouse.backends.onnxruntime_genai import folders, speech_limits
from bakehouse.backends.onnxruntime_genai.quantization import CAPTURES, PRECISIONS, MatMulNBits, OrtInt4, OrtQuantization, Provider
from bakehouse.recipe import agreement
from bakehouse.recipe.build import RuntimeBuild
from bakehouse.recipe.model import Fault, Model, Rule
from bakehouse.tasks.speech.golden import AUDIO, Recording


class OnnxRuntimeGenAI(RuntimeBuild):
    """ONNX for ONNX Runtime GenAI: CPU, any DirectX 12 GPU (dml), NVIDIA, WebGPU."""

    tasks: ClassVar[tuple[str, ...]] = ("text-generation", "speech-recognition")

    runtime: Literal["onnxruntime-genai"] = Field(description="ONNX for ONNX Runtime GenAI: CPU, any DirectX 12 GPU (dml), NVIDIA, WebGPU.")
    execution_provider: Provider = Field(description="What the model is made for: cpu, dml (DirectML), cuda, webgpu or NvTensorRtRtx.")
    quantization: OrtQuantization = Field(description="What is done to the weights.")
    graph_capture: bool | None = Field(
        None, description="Whether the provider records the graph once and replays it (dml, cuda, webgpu); by default on dml only."
    )
    use_webgpu_fp32: bool = Field(
        False,
        description="Whether a model for webgpu computes in fp32 where it is not quantized, for GPUs without fp16; by default in fp16.",
        exclude_if=lambda chosen: not chosen,
    )
    min_agreement: agreement.Tokens = 0
    min_agreement_reason: agreement.Reason = None

    search_base: ClassVar[Mapping[str, JsonValue]] = {"weights": "int4", "execution_provider": "cpu"}
    elsewhere: ClassVar[Mapping[str, str]] = {
        "runtime_options": "an ONNX model says in itself how precisely it is computed (accuracy_level); runtime_options does not apply"
    }
    rules: ClassVar[tuple[Rule, ...]] = (
        # base ignores: the others do not have such an option.
        Rule(
            "graph_capture",
            lambda b: b.graph_capture is not None and b.execution_provider not in CAPTURES,
            "only cuda, dml and webgpu can capture a graph",
        ),
        # quant_config.default_io_dtype ignores.
        Rule(
            "use_webgpu_fp32",
            lambda b: b.use_webgpu_fp32 and b.execution_provider != "webgpu",
            "models for other providers have no such choice; use_webgpu_fp32 does not apply",
        ),
    )

    def faults(self) -> Iterator[Fault]:
        yield from super().faults()
        takes = PRECISIONS[self.execution_provider]
        if self.quantization.weights not in takes:
            yield Fault(
                ("execution_provider",),
                f"the model builder makes no {self.quantization.weights} model for {self.execution_provider}",
                f"For {self.execution_provider} it makes {', '.join(takes)}.",
            )

    def only_text(self) -> tuple[str, ...]:
        """Also what compares tokens one by one."""
        return (*super().only_text(), *(("min_agreement",) if self.min_agreement else ()))

    def misfits(self, golden: Model, files: Mapping[str, Path]) -> Iterator[str]:
        """Of a recording: times, and more than a window."""
        if isinstance(golden, Recording):
            yield from speech_limits.refusals(files.get(AUDIO), times=golden.timestamps is not None)

    def stood_in(self) -> bool:
        """The CPU computes for every other provider that is not here."""
        return self.execution_provider != "cpu"

    def normal(self) -> Self:
        """The same with what is left open spelled out and sets in order, so that equals are equal.

        `shared_embeddings` may stay None: whether the model ties its embeddings is not known here.
        """
        requested = self.quantization
        changes: dict[str, object] = {}
        if isinstance(requested, MatMulNBits):
            changes["symmetric"] = requested.algorithm != "k_quant" if requested.symmetric is None else requested.symmetric
            level = 0 if isinstance(requested, OrtInt4) and requested.use_qdq else 4 if self.execution_provider in ("cpu", "webgpu") else 0
            changes["accuracy_level"] = level if requested.accuracy_level is None else requested.accuracy_level
            changes["nodes_to_exclude"] = tuple(sorted(set(requested.nodes_to_exclude)))
        if isinstance(requested, OrtInt4):
            changes["op_types_to_quantize"] = tuple(sorted(set(requested.op_types_to_quantize), reverse=True))
            changes["shared_embeddings"] = requested.shared_embeddings if requested.shareable else False
            changes["int8_nodes"] = tuple(sorted(set(requested.int8_nodes)))
        captures = self.execution_provider == "dml" if self.graph_capture is None else self.graph_capture
        return self.model_copy(
            update={
                "quantization": requested.model_copy(update=changes),
                "graph_capture": captures if self.execution_provider in CAPTURES else None,
            }
        )

    def folder(self) -> str:
        """The folder in the package, named from the options as `normal` spells them out."""
        spelled = self.normal()
        return folders.folder(spelled.execution_provider, spelled.quantization, bool(spelled.graph_capture), spelled.use_webgpu_fp32)

    def unranked(self) -> str:
        """Another precision than int4, and options that choose layers themselves or leave them no 8 bits."""
        options = self.quantization
        if not isinstance(options, OrtInt4):
            return "Only layers in int4 are measured."
        if options.use_qdq:
            return "With use_qdq no layer can have 8 bits."
        mixed = options.matmul_mixed_precision
        chosen = [name for name in ("int8_nodes", "nodes_to_exclude") if getattr(options, name)]
        chosen += ["mixed_layers"] if mixed and mixed.mixed_layers else []
        return f"{chosen[0]} chooses layers, too." if chosen else ""

    def only_searched(self) -> str:
        """A ratio is no option of the model builder."""
        return "ratio" if isinstance(self.quantization, OrtInt4) and self.quantization.ratio < 1.0 else ""

    @classmethod
    def coarseness(cls, option: str, value: JsonValue) -> float | None:
        """Larger blocks make a smaller model that is farther from its source, and so do more weights in 4 bits (SmolLM2-135M)."""
        return float(value) if option in ("block_size", "ratio") and isinstance(value, int | float) else None
