"""Has torch's vector functions settle before two threads ask for them at once.

torch computes cos, exp and their like by MKL's vector functions, a share of the numbers in each thread. Where the very first call of a
process comes from two threads at the same time, one of them may get a function of low accuracy: with torch 2.13.0 (MKL 2024.2) and two
threads, one process in 1,500 had errors of 1.5e-4 in the second half of a table of cosines, where they are 4e-8, and so an ONNX model
with other bytes. Few numbers are computed in one thread, and after that all calls are right.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

# Those that torch gives to MKL (aten/src/ATen/cpu/vml.h).
FUNCTIONS = (
    *("acos", "asin", "atan", "cos", "cosh", "erf", "erfc", "erfinv", "exp", "expm1"),
    *("log", "log10", "log1p", "log2", "sin", "sinh", "sqrt", "rsqrt", "tan", "tanh"),
)
_FEW = 16  # numbers: torch gives a thread no fewer than 2,048


class _Finder(MetaPathFinder):
    """Finds torch once, as the others would, and has it settle when it has been imported."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != "torch":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_settle(module: ModuleType) -> None:
                execute(module)
                settle(module)

            spec.loader.exec_module = execute_and_settle  # type: ignore[method-assign]
        return spec


def when_imported() -> None:
    """Settle torch as soon as this process imports it, whoever does. Call it before any heavy import."""
    if "torch" not in sys.modules:
        sys.meta_path.insert(0, _Finder())


def settle(torch: Any) -> None:
    """Call each function once with a few numbers, in both precisions."""
    for precision in (torch.float32, torch.float64):
        few = torch.full((_FEW,), 0.5, dtype=precision)
        for name in FUNCTIONS:
            getattr(torch, name)(few)
