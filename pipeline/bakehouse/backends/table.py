"""Modules that each know one converter: which steps, which options, how to read back what was done, how to generate."""

from __future__ import annotations

from types import MappingProxyType

from bakehouse.backends.base import Backend
from bakehouse.backends.npu_library import backend as npulib
from bakehouse.backends.onnxruntime_genai import backend as ort_genai
from bakehouse.backends.openvino import backend as openvino
from bakehouse.backends.openvino_npu import backend as openvino_npu

BACKENDS: MappingProxyType[str, Backend] = MappingProxyType(
    {"openvino": openvino, "onnxruntime-genai": ort_genai, "openvino-npu": openvino_npu, "intel-npu-acceleration-library": npulib}
)
