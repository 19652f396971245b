"""Reads what a compiled NPU model says about itself. The backend judges whether that is right.

An LLM's blob is written by OpenVINO's NPUW (LLMCompiledModel::export_model and serialization.hpp of its NPU plugin, compared with
blobs of 2026.4.1): a header, the model's ports, the configuration it was compiled with, one compiled graph after the other, and the
weights (npu_bank).
A graph for the NPU is an ELF image with the plugin's metadata, whose end names compiler and platform; a graph for the CPU is a
model's XML with the instruction set that it wants.
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bakehouse.formats import npu_bank
from bakehouse.formats.npu_bank import Bank

_MAGIC = b"\x13\x37npuw"
_LLM = b"LLMCMO"
_VERSION = struct.Struct("<3iQ")  # OpenVINO's year, minor and patch; size of the format's version, which follows
_SIZE = struct.Struct("<Q")
_ELF = b"\x7fELF"
_END = b"OVNPU"
_TRAILER = re.compile(rb"(compiler=[\x20-\x7e]*;npu=[\x20-\x7e]*)\x00.{8}OVNPU$", re.DOTALL)
_LONGEST_TRAILER = 512
_SETTING = re.compile(rb'(NPUW?_[A-Z0-9_]+)="([^"]*)"')
_PROMPT_LEN = b'NPUW_LLM_MAX_PROMPT_LEN="'
_DEVICES = b'NPUW_DEVICES="'
_CPU_CODE = re.compile(rb"meta=[0-9.]+;ov=[0-9.]+$")
_CPU_MARK = b";isa="
_SPAN = 4096  # more than a list of settings takes


@dataclass(frozen=True)
class Image:
    """A graph compiled for the NPU: its bytes with the metadata, where it ends, and what it says there ("npu" -> "4000")."""

    size_bytes: int
    end: int
    says: Mapping[str, str]


@dataclass(frozen=True)
class Blob:
    """What a blob is.

    Attributes:
        openvino: version that made it.
        format: version of NPUW's format.
        weightless: whether it needs the IR's weights to be loaded.
        settings: what the blob was compiled with, NPUW_LLM_MAX_PROMPT_LEN and so on.
        devices: what the graphs may run on.
        images: the graphs for the NPU, in order.
        cpu_graphs: number of graphs for the CPU.
        bank: the weights at its end.
    """

    openvino: str
    format: str
    encrypted: bool
    weightless: bool
    settings: Mapping[str, str]
    devices: tuple[str, ...]
    images: tuple[Image, ...]
    cpu_graphs: int
    bank: Bank


class NotABlob(ValueError):
    """The file is not what NPUW writes; with a sentence that says why."""


def read(path: Path) -> Blob:
    """Read a blob; its weights are looked through and not kept.

    Raises:
        NotABlob: it is something else, or not complete.
    """
    if path.stat().st_size < 64:
        raise NotABlob(f"{path.name} has only {path.stat().st_size} bytes")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _read(data, path.name)


def trailers(path: Path) -> tuple[Mapping[str, str], ...]:
    """What the images in a file say at their ends, whatever surrounds them."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return tuple(_statements(found) for _, found in _trailers(data))


def _read(data: mmap.mmap, name: str) -> Blob:
    if data[:6] != _MAGIC or data[6:12] != _LLM:
        raise NotABlob(f"{name} does not begin as the compiled language model that NPUW writes")
    year, minor, patch, size = _VERSION.unpack_from(data, 12)
    at = 12 + _VERSION.size
    if size > 16:
        raise NotABlob(f"{name} is damaged: the version of its format has {size} characters")
    prompt_len = data.find(_PROMPT_LEN)
    if prompt_len == -1:
        raise NotABlob(f"{name} does not say for which prompt length it was compiled")
    weightless = data[at + size + 1] != 0
    images = tuple(_images(data, name))
    last = max((image.end for image in images), default=at)
    bank = npu_bank.read(data, last, weightless=weightless)
    if bank is None:
        raise NotABlob(f"{name} breaks off: the weights, which are its last part, do not end where it ends")
    devices = {
        data[found + len(_DEVICES) : data.find(b'"', found + len(_DEVICES))].decode("ascii", "replace") for found in _all(data, _DEVICES)
    }
    return Blob(
        openvino=f"{year}.{minor}.{patch}",
        format=data[at : at + size].decode("ascii", "replace"),
        encrypted=data[at + size] != 0,
        weightless=weightless,
        settings=_settings(data, prompt_len),
        devices=tuple(sorted(devices)),
        images=images,
        cpu_graphs=sum(_CPU_CODE.search(data[max(0, found - 64) : found]) is not None for found in _all(data, _CPU_MARK)),
        bank=bank,
    )


def _all(data: mmap.mmap, what: bytes) -> Iterator[int]:
    """Every position of `what`."""
    found = data.find(what)
    while found != -1:
        yield found
        found = data.find(what, found + len(what))


def _settings(data: mmap.mmap, inside: int) -> Mapping[str, str]:
    """The settings of the list that the position is in; lists begin and end with bytes that are not text."""
    begin = max(0, inside - _SPAN)
    text = data[begin : inside + _SPAN]
    left = max(text.rfind(bytes([other]), 0, inside - begin) for other in range(0x20))
    right = min((end for other in range(0x20) if (end := text.find(bytes([other]), inside - begin)) != -1), default=len(text))
    return {key.decode(): value.decode("ascii", "replace") for key, value in _SETTING.findall(text[left + 1 : right])}


def _trailers(data: mmap.mmap) -> Iterator[tuple[int, bytes]]:
    """Where each trailer ends, and its text."""
    for mark in _all(data, _END):
        end = mark + len(_END)
        if found := _TRAILER.search(data[max(0, end - _LONGEST_TRAILER) : end]):
            yield end, found[1]


def _images(data: mmap.mmap, name: str) -> Iterator[Image]:
    """Every image; it begins with an ELF header, and its size precedes it, so that a missing part is noticed."""
    after = 0
    for end, text in _trailers(data):
        start = data.find(_ELF, after, end)
        while start != -1 and _SIZE.unpack_from(data, start - _SIZE.size)[0] != end - start:
            start = data.find(_ELF, start + 1, end)
        if start == -1:
            raise NotABlob(f"{name} is damaged: no ELF image has the size that fits the trailer {text.decode()}")
        yield Image(end - start, end, _statements(text))
        after = end


def _statements(trailer: bytes) -> Mapping[str, str]:
    return dict(part.split("=", 1) for part in trailer.decode("ascii").split(";") if "=" in part)
