"""Modules that each know one converter: which steps, which options, how to read back what was done, how to generate."""

from __future__ import annotations

from types import MappingProxyType

from bakehouse.backends.base import Backend, Card
from bakehouse.backends.npu_library import backend as npulib
from bakehouse.backends.npu_library import card as npulib_card
from bakehouse.backends.onnxruntime import backend as onnxruntime
from bakehouse.backends.onnxruntime import card as onnxruntime_card
from bakehouse.backends.onnxruntime_genai import backend as ort_genai
from bakehouse.backends.onnxruntime_genai import card as ort_genai_card
from bakehouse.backends.openvino import backend as openvino
from bakehouse.backends.openvino import card as openvino_card
from bakehouse.backends.openvino_npu import backend as openvino_npu
from bakehouse.backends.openvino_npu import card as openvino_npu_card

BACKENDS: MappingProxyType[str, Backend] = MappingProxyType(
    {
        "openvino": openvino,
        "onnxruntime-genai": ort_genai,
        "onnxruntime": onnxruntime,
        "openvino-npu": openvino_npu,
        "intel-npu-acceleration-library": npulib,
    }
)
CARDS: MappingProxyType[str, Card] = MappingProxyType(
    {
        "openvino": openvino_card,
        "onnxruntime-genai": ort_genai_card,
        "onnxruntime": onnxruntime_card,
        "openvino-npu": openvino_npu_card,
        "intel-npu-acceleration-library": npulib_card,
    }
)
