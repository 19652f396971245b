"""The names of Vulkan's devices and drivers on this machine: ONNX Runtime names neither of a device that WebGPU runs on.

WebGPU (Dawn) takes Vulkan where it is, by the system's loader, which is asked here for what it has; the layouts are those of Vulkan 1.2.
"""

from __future__ import annotations

import ctypes
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_INSTANCE, _APPLICATION, _PROPERTIES, _DRIVER = 1, 0, 1000059001, 1000196000  # VkStructureType
_VERSION = 1 << 22 | 2 << 12  # 1.2, which has the driver's names
_CPU = 4  # VK_PHYSICAL_DEVICE_TYPE_CPU
_MOST = 16  # devices
_NAME = 256  # bytes
_AT_DEVICE, _AT_NAME = 24, 36  # in VkPhysicalDeviceProperties2: vendor, device and type; the device's name
_AT_DRIVER = 20  # in VkPhysicalDeviceDriverProperties: two names, one after the other
_SIZE = 4096  # more than either takes


@dataclass(frozen=True)
class Device:
    """A device as its driver names it, and the driver; `software`: the processor computes."""

    vendor: int
    number: int
    software: bool
    name: str
    driver: str


class _Application(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("version", ctypes.c_uint32),
        ("engine", ctypes.c_char_p),
        ("engine_version", ctypes.c_uint32),
        ("api", ctypes.c_uint32),
    )


class _Create(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("flags", ctypes.c_uint32),
        ("application", ctypes.POINTER(_Application)),
        ("layers", ctypes.c_uint32),
        ("layer_names", ctypes.c_void_p),
        ("extensions", ctypes.c_uint32),
        ("extension_names", ctypes.c_void_p),
    )


def devices() -> tuple[Device, ...]:
    """All of them; none where there is no loader of Vulkan, or none that gives a device of 1.2."""
    try:
        vulkan = ctypes.CDLL("vulkan-1.dll" if sys.platform == "win32" else "libvulkan.so.1")
    except OSError:
        return ()
    application = _Application(type=_APPLICATION, api=_VERSION)
    create = _Create(type=_INSTANCE, application=ctypes.pointer(application))
    instance = ctypes.c_void_p()
    if vulkan.vkCreateInstance(ctypes.byref(create), None, ctypes.byref(instance)) != 0:
        return ()
    try:
        return tuple(_of(vulkan, instance))
    finally:
        vulkan.vkDestroyInstance(instance, None)


def _of(vulkan: Any, instance: ctypes.c_void_p) -> Iterator[Device]:
    count, found = ctypes.c_uint32(_MOST), (ctypes.c_void_p * _MOST)()
    if vulkan.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), found) < 0:
        return
    for handle in found[: count.value]:
        driver, about = ctypes.create_string_buffer(_SIZE), ctypes.create_string_buffer(_SIZE)
        struct.pack_into("=i", driver, 0, _DRIVER)
        struct.pack_into("=i4xQ", about, 0, _PROPERTIES, ctypes.addressof(driver))
        vulkan.vkGetPhysicalDeviceProperties2(ctypes.c_void_p(handle), about)
        vendor, number, kind = struct.unpack_from("=IIi", about, _AT_DEVICE)
        names = (_text(driver.raw, _AT_DRIVER + place) for place in (0, _NAME))
        yield Device(vendor, number, kind == _CPU, _text(about.raw, _AT_NAME), " ".join(filter(None, names)))


def _text(data: bytes, at: int) -> str:
    """A name in C's form, on one line."""
    return " ".join(data[at : at + _NAME].split(b"\0")[0].decode("utf-8", "replace").split())
