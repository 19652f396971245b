"""Where packages for ONNX Runtime GenAI can be delivered to: a module a place."""

from __future__ import annotations

from bakehouse.backends.delivery import Profile
from bakehouse.backends.onnxruntime_genai.deliver import foundry_local, openvino_ep, ort_model_package, transformers_js

_PROFILES = (foundry_local.PROFILE, transformers_js.PROFILE, openvino_ep.PROFILE, ort_model_package.PROFILE)


def profiles() -> tuple[Profile, ...]:
    """The places, in the order in which they are listed."""
    return _PROFILES
