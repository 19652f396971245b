"""Refuses an import of torch in a test without the marker `model`, in the test's own process and in its children."""

import importlib.machinery
import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from types import ModuleType

LIGHT = "BAKEHOUSE_TEST_LIGHT"  # set while a test without the marker runs


class _Refused(Loader):
    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        raise AssertionError("A test that imports torch needs the marker `model`.")


class _Guard(MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Torch as something that can be found, as libraries look for it, but not be imported."""
        return importlib.machinery.ModuleSpec(name, _Refused()) if name == "torch" and os.environ.get(LIGHT) else None


def install() -> None:
    """From now on, for as long as this process runs."""
    sys.meta_path.insert(0, _Guard())
