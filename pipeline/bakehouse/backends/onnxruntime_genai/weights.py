"""Compares the matrices of a model folder, as the worker read them, with what the recipe requests: how each is stored."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from bakehouse.backends.onnxruntime_genai.quantization import LAST, MatMulNBits, OrtFloat, OrtInt4, OrtInt8, embeds_in_four_bits
from bakehouse.backends.onnxruntime_genai.seams import BuildSpec, Matrix, MeasuredWeights, Precision
from bakehouse.backends.onnxruntime_genai.source import Source
from bakehouse.formats import fields

_TYPES = {"fp32": "float", "fp16": "float16", "bf16": "bfloat16"}
_NAMES = {element: name for name, element in _TYPES.items()}
_SUFFIX = re.compile(r"(_matmul)?_Q[48]$")  # what the quantizers append to a node's name
_MIXED = re.compile(r"/model/layers\.(\d+)/(?:attn/(?:qkv|v)_proj|mlp/down_proj)/MatMul")
GATHERS = ("Gather", "GatherBlockQuantized")


def io_type(spec: BuildSpec) -> str:
    """Element type of what is not quantized, as quant_config.default_io_dtype in the builder has it."""
    if isinstance(spec.quantization, OrtFloat):
        return _TYPES[spec.quantization.weights]
    return "float" if spec.in_fp32 else "float16"


def name_of(matrix: Matrix) -> str:
    """The operation's name before it was quantized."""
    return without_suffix(matrix.name).replace("/GatherBlockQuantized", "/Gather")


def without_suffix(node: str) -> str:
    """The name of a MatMul without what the quantizers append to it."""
    return _SUFFIX.sub("", node)


def described(stored: Precision) -> str:
    """How a matrix is stored, in words."""
    if stored.bits is None:
        return stored.type
    level = f", accuracy level {stored.accuracy_level}" if stored.accuracy_level else ""
    zeros = "with" if stored.zero_points else "without"
    return f"int{stored.bits} in blocks of {stored.block_size} {zeros} zero points{level}, scales in {stored.type}"


def measure(matrices: Iterable[Matrix]) -> MeasuredWeights:
    """Numbers for the manifest and the card: weights by precision, and the MatMuls that have more bits than most."""
    matrices = list(matrices)
    matmuls = [matrix for matrix in matrices if matrix.op not in GATHERS]
    usual = Counter(described(matrix) for matrix in matmuls).most_common(1)[0][0]
    return MeasuredWeights(
        weights=dict(sorted(counted(matrices).items())),
        matmul=usual,
        embedding=", ".join(sorted({described(matrix) for matrix in matrices if matrix.op in GATHERS})) or "shared with the last MatMul",
        last_matmul=", ".join(described(matrix) for matrix in matrices if name_of(matrix) == LAST),
        other_precision=tuple(name_of(matrix) for matrix in matmuls if described(matrix) != usual),
    )


def counted(matrices: Iterable[Matrix]) -> Counter[str]:
    """Numbers of weights by precision; what shares the weights of another matrix has none."""
    counts: Counter[str] = Counter()
    for matrix in matrices:
        if matrix.shape:
            counts[_NAMES[matrix.type] if matrix.bits is None else f"int{matrix.bits}"] += size(matrix)
    return counts


def stored_otherwise(matrices: Iterable[Matrix], expected: Callable[[Matrix], Precision]) -> Mapping[tuple[str, str], list[str]]:
    """The names of the matrices that are stored in another way than expected, by how they are and how they should be."""
    wrong: dict[tuple[str, str], list[str]] = {}
    for matrix in matrices:
        found, should = described(matrix), described(expected(matrix))
        if found != should:
            wrong.setdefault((found, should), []).append(name_of(matrix))
    return wrong


def judge(matrices: Iterable[Matrix], source: Source, spec: BuildSpec) -> Iterator[str]:
    """Every matrix has the bits, blocks, zero points, accuracy level and type requested for it, and none is missing."""
    matrices = list(matrices)
    for (found, should), names in stored_otherwise(matrices, lambda matrix: _expected(matrix, source, spec)).items():
        more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
        yield f"the weight of {names[0]}{more} is {found}, should be {should}"
    yield from _judge_exclusions(matrices, source, spec)
    own = [matrix for matrix in matrices if matrix.op in GATHERS and matrix.shape]
    if bool(own) == shares(source, spec):
        yield f"the embedding {'has weights of its own' if own else 'shares those of the last MatMul'}, not what the recipe requests"
    count = sum(size(matrix) for matrix in matrices) - sum(size(matrix) for matrix in own if source.ties)
    if source.matrix_weights is not None and count != source.matrix_weights:
        yield f"the model's matrices have {count:,} weights, the checkpoint's {source.matrix_weights:,}"


def size(matrix: Matrix) -> int:
    return math.prod(matrix.shape) if matrix.shape else 0


def _excluded(spec: BuildSpec) -> tuple[str, ...]:
    return spec.quantization.nodes_to_exclude if isinstance(spec.quantization, MatMulNBits) else ()


def _judge_exclusions(matrices: Iterable[Matrix], source: Source, spec: BuildSpec) -> Iterator[str]:
    """Every node that is to be left in floating point is in the graph, and would have been quantized."""
    without = {name_of(matrix): _unless_excluded(matrix, source, spec) for matrix in matrices}
    for name in _excluded(spec):
        if name not in without:
            yield f"there is no {name} to leave in floating point"
        elif without[name].bits is None:
            yield f"{name} would not be quantized in any case, so leaving it in floating point changes nothing"
    eight = spec.quantization.int8_nodes if isinstance(spec.quantization, OrtInt4) else ()
    yield from (f"there is no {name} to put into 8 bits" for name in eight if name not in without)


def shares(source: Source, spec: BuildSpec) -> bool:
    """Whether the embedding should have the last MatMul's weights.

    Those of 8 bits it cannot have, but an int8 build whose last MatMul is left out has them in floating point
    (base.make_tied_embeddings_init).
    """
    requested = spec.quantization
    if isinstance(requested, OrtInt8):
        return source.ties and LAST in requested.nodes_to_exclude
    return source.ties if requested.shared_embeddings is None else requested.shared_embeddings


def _expected(matrix: Matrix, source: Source, spec: BuildSpec) -> Precision:
    """How the matrix should be stored."""
    return _plain(spec) if name_of(matrix) in _excluded(spec) else _unless_excluded(matrix, source, spec)


def _plain(spec: BuildSpec) -> Precision:
    return Precision(type=io_type(spec))


def _unless_excluded(matrix: Matrix, source: Source, spec: BuildSpec) -> Precision:
    """How it should be stored if nodes_to_exclude does not name it."""
    requested = spec.quantization
    if isinstance(requested, OrtFloat):
        return _plain(spec)
    if matrix.op not in GATHERS:
        return _quantized(spec, requested, _bits(name_of(matrix), source, requested), requested.accuracy_level or 0)
    if isinstance(requested, OrtInt4) and shares(source, spec):
        return _quantized(spec, requested, _bits(LAST, source, requested))
    if embeds_in_four_bits(requested):
        return _quantized(spec, requested, 4)
    return _plain(spec)


def _quantized(spec: BuildSpec, requested: MatMulNBits, bits: int, accuracy_level: int = 0) -> Precision:
    return Precision(
        type=io_type(spec),
        bits=bits,
        block_size=requested.block_size,
        accuracy_level=accuracy_level,
        zero_points=not requested.symmetric,
    )


def _bits(name: str, source: Source, requested: OrtInt8 | OrtInt4) -> int:
    if isinstance(requested, OrtInt8):
        return 8
    mixed = requested.matmul_mixed_precision
    if name in requested.int8_nodes:
        return 8
    if mixed is None:
        return 4
    found = _MIXED.fullmatch(name)
    sensitive = found and mixed.mixed_layers and _sensitive(int(found[1]), fields.integer(source.config, "num_hidden_layers") or 0)
    return 8 if sensitive or (name == LAST and mixed.last_matmul) else 4


def _sensitive(layer: int, layers: int) -> bool:
    """The layers that make_matmul_mixed_precision in the builder's base.py takes from llama.cpp."""
    return layer < layers / 8 or layer >= 7 * layers / 8 or (layer - round(layers / 8)) % 3 == 2
