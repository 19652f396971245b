"""Execution providers that are packages of their own, which the runtime knows once they are registered: WebGPU.

A provider without a device ends in the CPU's silently, so what is registered is looked at (onnxruntime 1.31, onnxruntime-ep-webgpu 0.4).
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from bakehouse.backends.onnxruntime_genai.workers import vulkan

_PACKAGES = {"webgpu": ("onnxruntime_ep_webgpu", "WebGpuExecutionProvider")}
SOFTWARE = "a software adapter, which computes on the CPU"


def register(provider: str) -> bool:
    """Make a provider known to ONNX Runtime GenAI, once a process; False for one that is built in or not installed."""
    return _registered("onnxruntime_genai", provider.lower())


@cache
def _registered(runtime: str, provider: str) -> bool:
    """Each of the two runtimes knows what was registered through it alone."""
    module, name = _PACKAGES.get(provider, ("", ""))
    if not module or find_spec(module) is None:
        return False
    make_known = getattr(import_module(runtime), "register_execution_provider_library", None)  # not in older releases
    if make_known is None:
        return False
    make_known(name, import_module(module).get_library_path())
    return True


def devices() -> dict[str, str]:
    """The providers of that kind that have a device here, and what it is."""
    found = {name.removesuffix("ExecutionProvider"): _device(provider) for provider, (_, name) in _PACKAGES.items()}
    return {name: text for name, text in found.items() if text}


def described(device_type: str) -> str:
    """What a loaded model runs on, by the runtime's word for its kind of device."""
    text = _device(device_type)
    return f"{device_type} on {text}" if text else f"the first {device_type} device"


def _device(provider: str) -> str:
    """A provider's first device in words; "" without one. ONNX Runtime takes the CPU for it where a software adapter is allowed."""
    if not _registered("onnxruntime", provider.lower()):
        return ""
    import onnxruntime

    runtime: Any = onnxruntime
    name = _PACKAGES[provider.lower()][1]
    found = next((one.device for one in runtime.get_ep_devices() if one.ep_name == name), None)
    if found is None:
        return ""
    software = str(found.type).endswith("CPU")
    names = _named([one for one in vulkan.devices() if (one.software if software else _is(one, found))])
    if software:
        return f"{names}, {SOFTWARE}" if names else SOFTWARE
    about = ", ".join(filter(None, (names, *(f"{key} {value}" for key, value in sorted(dict(found.metadata).items())))))
    return f"{found.vendor or 'a device'} {found.device_id:#06x}" + (f" ({about})" if about else "")


def _is(one: vulkan.Device, found: Any) -> bool:
    return (one.vendor, one.number) == (found.vendor_id, found.device_id)


def _named(fitting: list[vulkan.Device]) -> str:
    """The device and its driver as Vulkan has them; "" where it has no such device, or two that differ."""
    names = {f"{one.name} by the driver {one.driver}" for one in fitting}
    return names.pop() if len(names) == 1 else ""
