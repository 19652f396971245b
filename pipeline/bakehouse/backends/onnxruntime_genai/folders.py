"""Where a build for ONNX Runtime GenAI lies in its repository: named as Microsoft names such folders, from the real options."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from bakehouse.backends.onnxruntime_genai.quantization import MatMulNBits, OrtFloat, OrtInt4, OrtQuantization, Provider, embeds_in_four_bits

_GROUPS = {"cpu": "cpu_and_mobile", "dml": "directml", "NvTensorRtRtx": "nvtensorrtrtx"}
_PROVIDERS = {"dml": "directml", "NvTensorRtRtx": "nvtensorrtrtx"}
# MLAS' rounding, the default, is round-to-nearest too, and Microsoft's folders call it rtn; the other is neural-compressor's.
_ALGORITHMS = {"default": "rtn", "rtn": "rtn-nc", "k_quant": "k-quant"}

_LONGEST = 99  # bytes of a name; file systems take 255, and Windows 260 characters of a complete path


def folder(provider: Provider, requested: OrtQuantization, captures: bool, in_fp32: bool = False) -> str:
    """The folder of a build in its normal form, below the repository, with forward slashes; `captures`: whether it captures the graph,
    `in_fp32`: whether it computes in fp32 where its provider's models have fp16 by default.

    `cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4`, `directml/directml-int4-rtn-block-32`, `cuda/cuda-fp16`: provider, precision,
    then for integers how they are rounded, the block size and, where one is set, the accuracy level. What else is not the default
    is appended; of a name of 100 bytes or more, eight digits of its sha256 stand for the parts that do not fit.
    Builds that differ in nothing but shared embeddings left open or requested, or in min_agreement and its reason, come to the same.
    """
    parts = [_PROVIDERS.get(provider, provider), *_parts(provider, requested, captures), *(["fp32-io"] if in_fp32 else [])]
    return f"{_GROUPS.get(provider, provider)}/{_joined(parts)}"


def _joined(parts: list[str]) -> str:
    whole = "-".join(parts)
    if len(whole.encode()) <= _LONGEST:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    while len("-".join([*parts, digest]).encode()) > _LONGEST:
        parts = parts[:-1]
    return "-".join([*parts, digest])


def _parts(provider: Provider, requested: OrtQuantization, captures: bool) -> Iterator[str]:
    yield requested.weights
    if isinstance(requested, MatMulNBits):
        yield _ALGORITHMS[requested.algorithm]
        yield f"block-{requested.block_size}"
        if requested.accuracy_level:
            yield f"acc-level-{requested.accuracy_level}"
        if not requested.symmetric and requested.algorithm != "k_quant":
            yield "asym"
    if isinstance(requested, OrtInt4):
        mixed = requested.matmul_mixed_precision
        yield from (f"{name.replace('_', '-')}-int8" for name in ("last_matmul", "mixed_layers") if mixed and getattr(mixed, name))
        if requested.int8_nodes:
            named = hashlib.sha256(" ".join(sorted(requested.int8_nodes)).encode()).hexdigest()[:8]
            yield f"{len(set(requested.int8_nodes))}-nodes-int8-{named}"
        if embeds_in_four_bits(requested):
            yield "embedding"
        if requested.use_qdq:
            yield "qdq"
    if isinstance(requested, MatMulNBits):
        yield from (f"without-{name.strip('/').replace('/', '-')}" for name in requested.nodes_to_exclude)
    if (
        isinstance(requested, OrtFloat) or (isinstance(requested, OrtInt4) and requested.shareable)
    ) and requested.shared_embeddings is False:
        yield "own-embedding"
    if provider == "dml" and not captures:
        yield "no-graph-capture"
    if provider != "dml" and captures:
        yield "graph-capture"
