"""Modules that each know one converter: which steps, which options, how to read back what was done, how to generate."""

from __future__ import annotations

from types import MappingProxyType

from pipeline.backends import npulib, openvino, openvino_npu, ort_genai
from pipeline.backends.base import Backend

BACKENDS: MappingProxyType[str, Backend] = MappingProxyType(
    {"openvino": openvino, "onnxruntime-genai": ort_genai, "openvino-npu": openvino_npu, "intel-npu-acceleration-library": npulib}
)
