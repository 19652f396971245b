"""Stands in for openvino in children of tests: a machine with a CPU."""

from __future__ import annotations

from typing import Any


class Core:
    available_devices = ("CPU",)

    def get_property(self, device: str, name: str) -> str:
        return "Made-up Processor"


class Tensor:
    def __init__(self, data: Any) -> None:
        self.data = data
