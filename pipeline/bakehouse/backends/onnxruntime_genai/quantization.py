"""What ONNX Runtime GenAI's model builder can make, and which options it refuses or ignores: we refuse both, with the reason.

Sources, read in onnxruntime-genai 0.18.0 and onnxruntime 1.31.1: `builder` is onnxruntime_genai/models/builder.py, `base` and
`quant_config` are builders/base.py and quantization/quant_config.py next to it; `quantizer` is MatMulNBitsQuantizer in
onnxruntime/quantization/matmul_nbits_quantizer.py, and `rtn` is rtn_quantize in neural_compressor/weight_only.py next to it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from bakehouse.recipe.model import Model, Rule
from bakehouse.recipe.types import Text

Provider = Literal["cpu", "cuda", "dml", "webgpu", "NvTensorRtRtx"]
BlockSize = Literal[16, 32, 64, 128, 256]
Algorithm = Literal["default", "rtn", "k_quant"]

# What the builder says it can make (builder, get_args); it makes other pairs too, and no kernels run them.
PRECISIONS: Mapping[Provider, tuple[str, ...]] = {
    "cpu": ("fp32", "int8", "int4"),
    "cuda": ("fp32", "fp16", "bf16", "int8", "int4"),
    "dml": ("fp16", "int4"),
    "webgpu": ("int8", "int4"),
    "NvTensorRtRtx": ("fp16", "bf16"),
}
# What people call the providers.
TITLES: Mapping[Provider, str] = {
    "cpu": "CPU",
    "cuda": "CUDA",
    "dml": "DirectML",
    "webgpu": "WebGPU",
    "NvTensorRtRtx": "TensorRT for RTX",
}
EMBEDDING = "/model/embed_tokens/Gather"
LAST = "/lm_head/MatMul"
CAPTURES = ("cuda", "dml", "webgpu")
_FLOAT = "weights in floating point are not quantized"
_QUANTIZED = ("symmetric", "block_size", "accuracy_level", "algorithm", "nodes_to_exclude")
_FOUR = ("op_types_to_quantize", "matmul_mixed_precision", "use_qdq", "int8_nodes", "ratio")


class OrtFloat(Model):
    """Weights in floating point; nothing is quantized."""

    weights: Literal["fp32", "fp16", "bf16"] = Field(description="Precision of the weights.")
    shared_embeddings: bool | None = Field(
        None, description="Whether the embedding and the last MatMul share their weights; by default where the model ties them."
    )

    elsewhere: ClassVar[Mapping[str, str]] = {field: f"{_FLOAT}; {field} does not apply" for field in (*_QUANTIZED, *_FOUR)}


class MatMulNBits(Model):
    """What the integer precisions have in common."""

    block_size: BlockSize = Field(32, description="Weights of a column that share a scale.")
    symmetric: bool | None = Field(
        None, description="Whether the integers have no zero point; by default yes, but k_quant always has them."
    )
    accuracy_level: Literal[0, 1, 2, 3, 4] | None = Field(
        None,
        description="Least precision inside the MatMul: 1 fp32, 2 fp16, 3 bf16, 4 int8, 0 any; by default 4 on cpu and webgpu.",
    )
    algorithm: Algorithm = Field(
        "default", description="How weights are rounded: by MLAS (default), to nearest (rtn), or as llama.cpp does (k_quant)."
    )
    nodes_to_exclude: tuple[Text, ...] = Field((), description="Names of nodes to leave in floating point, such as /lm_head/MatMul.")

    def block_bytes(self, shape: tuple[int, ...], scale_bytes: int, width: float) -> float:
        """What a matrix takes whose weights have `width` bytes: whole blocks, the last one of a column filled up, each with a scale, and
        an asymmetric one with a zero point.
        """
        blocks = math.prod(shape[:-1]) * -(-shape[-1] // self.block_size)
        return blocks * (self.block_size * width + scale_bytes + (0 if self.symmetric else width))

    rules: ClassVar[tuple[Rule, ...]] = (
        # rtn ignores: it makes zero points whenever the algorithm is k_quant.
        Rule("symmetric", lambda q: q.symmetric is True and q.algorithm == "k_quant", "k_quant makes zero points in any case"),
    )


class OrtInt8(MatMulNBits):
    """Weights of every MatMul in 8-bit integers."""

    weights: Literal["int8"] = Field(description="Precision of the weights.")

    elsewhere: ClassVar[Mapping[str, str]] = {
        "op_types_to_quantize": "embeddings cannot have 8 bits, so op_types_to_quantize would change nothing",  # quantizer ignores
        "matmul_mixed_precision": "with int8 every MatMul has 8 bits already; matmul_mixed_precision does not apply",
        "use_qdq": "8 bits exist as MatMulNBits only; use_qdq does not apply",  # builder refuses
        "int8_nodes": "with int8 every MatMul has 8 bits already; int8_nodes does not apply",
        "ratio": "with int8 every MatMul has 8 bits; ratio does not apply",
        "shared_embeddings": "8-bit weights cannot serve as the embedding too, so shared_embeddings would change nothing",  # base ignores
    }
    rules: ClassVar[tuple[Rule, ...]] = (
        *MatMulNBits.rules,
        Rule(
            "nodes_to_exclude",
            lambda q: EMBEDDING in q.nodes_to_exclude,
            f"embeddings cannot have 8 bits, so leaving out {EMBEDDING} would change nothing",
        ),
    )


class MixedPrecision(Model):
    """Groups of nodes that get 8 bits where the others get 4."""

    last_matmul: Literal["int8"] | None = Field(None, description="Precision of the last MatMul, lm_head.")
    mixed_layers: Literal["int8"] | None = Field(
        None, description="Precision of the attention inputs and down projections of the layers that llama.cpp finds most sensitive."
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("last_matmul", lambda m: not (m.last_matmul or m.mixed_layers), "no group is named, so this would change nothing"),
    )


class OrtInt4(MatMulNBits):
    """Weights of every MatMul in 4-bit integers, with exceptions."""

    weights: Literal["int4"] = Field(description="Precision of the weights.")
    op_types_to_quantize: tuple[Literal["MatMul", "Gather"], ...] = Field(
        ("MatMul",), description="Types of operations to quantize: MatMul, and Gather for an embedding with weights of its own."
    )
    matmul_mixed_precision: MixedPrecision | None = Field(None, description="Groups of nodes that get 8 bits.")
    shared_embeddings: bool | None = Field(
        None,
        description="Whether the embedding and the last MatMul share their weights; by default where the model ties them and it can be.",
    )
    use_qdq: bool = Field(False, description="Whether to write DequantizeLinear and MatMul in place of MatMulNBits.")
    # Left out at their defaults, so that the keys of builds without them stay the same.
    int8_nodes: tuple[Text, ...] = Field(
        (),
        description="Names of nodes that get 8 bits, such as /model/layers.0/mlp/down_proj/MatMul. A search can write it.",
        exclude_if=lambda names: not names,
    )
    ratio: float = Field(
        1.0,
        gt=0.0,
        le=1.0,
        description="Share of the layers' weights that get 4 bits where a search with rank_layers chooses them; it writes the others into "
        "int8_nodes.",
        exclude_if=lambda ratio: ratio == 1.0,
    )

    @property
    def shareable(self) -> bool:
        """Whether a quantized last MatMul can serve as the embedding.

        base.make_tied_quantized_embedding_input_names gives names that do not exist for zero points by the default algorithm and for
        a last MatMul of 8 bits by it, and does not think of QDQ; an excluded last MatMul is not quantized.
        """
        last_is_8 = self.matmul_mixed_precision is not None and self.matmul_mixed_precision.last_matmul is not None
        by_default = self.algorithm == "default"
        return not (self.use_qdq or LAST in self.nodes_to_exclude or (by_default and (self.symmetric is False or last_is_8)))

    rules: ClassVar[tuple[Rule, ...]] = (
        *MatMulNBits.rules,
        # base: only Gather and shared_embeddings quantize it, so this would be the same model under another name.
        Rule(
            "nodes_to_exclude",
            lambda q: EMBEDDING in q.nodes_to_exclude,
            "the embedding is in floating point unless Gather is to be quantized or it shares the last MatMul's weights",
            "Leave Gather out of op_types_to_quantize, and for a model that ties its embeddings say shared_embeddings: false.",
        ),
        Rule("op_types_to_quantize", lambda q: "MatMul" not in q.op_types_to_quantize, "without MatMul hardly any weight would get 4 bits"),
        # rtn ignores all but MatMul.
        Rule(
            "op_types_to_quantize",
            lambda q: "Gather" in q.op_types_to_quantize and q.algorithm != "default",
            "only the default algorithm quantizes embeddings",
        ),
        # quantizer refuses.
        Rule(
            "op_types_to_quantize",
            lambda q: "Gather" in q.op_types_to_quantize and q.use_qdq,
            "an embedding cannot be written with use_qdq",
        ),
        # base ignores: then no Gather has weights.
        Rule(
            "op_types_to_quantize",
            lambda q: "Gather" in q.op_types_to_quantize and q.shared_embeddings is True,
            "with shared_embeddings the embedding has the last MatMul's weights, so Gather would change nothing",
        ),
        # base refuses.
        Rule(
            "matmul_mixed_precision",
            lambda q: q.use_qdq and q.matmul_mixed_precision is not None,
            "8 bits exist as MatMulNBits only, not with use_qdq",
        ),
        # base ignores: exclusions come first.
        Rule(
            "matmul_mixed_precision",
            lambda q: LAST in q.nodes_to_exclude and q.matmul_mixed_precision is not None and q.matmul_mixed_precision.last_matmul,
            "/lm_head/MatMul is in nodes_to_exclude, so last_matmul would change nothing",
        ),
        Rule(
            "shared_embeddings",
            lambda q: q.shared_embeddings is True and not q.shareable,
            "the last MatMul as it would be quantized here cannot serve as the embedding too",
        ),
        # base ignores: make_algo_config makes MatMulNBits for rtn and k_quant in any case.
        Rule("use_qdq", lambda q: q.use_qdq and q.algorithm != "default", "only the default algorithm can be written with use_qdq"),
        # base refuses.
        Rule(
            "int8_nodes",
            lambda q: bool(q.use_qdq and q.int8_nodes),
            "8 bits exist as MatMulNBits only, not with use_qdq",
        ),
        # base refuses, or takes what comes first.
        Rule(
            "int8_nodes",
            lambda q: EMBEDDING in q.int8_nodes,
            f"embeddings cannot have 8 bits, so {EMBEDDING} cannot be one of them",
        ),
        Rule(
            "int8_nodes",
            lambda q: LAST in q.int8_nodes,
            f"{LAST} has a field of its own",
            "Write matmul_mixed_precision: {last_matmul: int8}.",
        ),
        Rule(
            "int8_nodes",
            lambda q: bool(set(q.int8_nodes) & set(q.nodes_to_exclude)),
            "a node of nodes_to_exclude has no 8 bits",
            "Keep it in one of the two.",
        ),
        Rule(
            "int8_nodes",
            lambda q: bool(q.int8_nodes) and q.matmul_mixed_precision is not None and q.matmul_mixed_precision.mixed_layers is not None,
            "mixed_layers chooses layers for 8 bits, too",
            "Name all of them in int8_nodes, or keep one of the two.",
        ),
        # quantizer ignores: DequantizeLinear has no such attribute.
        Rule("accuracy_level", lambda q: q.use_qdq and q.accuracy_level, "with use_qdq no operation has an accuracy_level"),
    )


OrtQuantization = Annotated[OrtFloat | OrtInt8 | OrtInt4, Field(discriminator="weights")]


def embeds_in_four_bits(requested: OrtFloat | OrtInt8 | OrtInt4) -> bool:
    """Whether the recipe has the embedding quantized too; only four bits can be."""
    return isinstance(requested, OrtInt4) and "Gather" in requested.op_types_to_quantize
