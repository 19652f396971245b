"""Reads the tensors of a checkpoint one at a time, whichever of its files they are in."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any


class Tensors:
    """The tensors of all safetensors files of a folder; the files stay open as long as `opened` is."""

    def __init__(self, folder: Path, opened: ExitStack) -> None:
        from safetensors import safe_open as opens

        safe_open: Callable[..., Any] = opens
        self._files: dict[str, Any] = {}
        for path in sorted(folder.glob("*.safetensors")):
            file = opened.enter_context(safe_open(path, "pt"))
            self._files |= dict.fromkeys(file.keys(), file)

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in order."""
        return tuple(sorted(self._files))

    def get(self, name: str) -> Any:
        """A tensor by its name."""
        return self._files[name].get_tensor(name)
