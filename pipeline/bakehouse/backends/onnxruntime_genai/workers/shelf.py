"""Where quantized weights wait until the whole model is written: in memory, and what is too much for it in a file."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir

from bakehouse.backends.onnxruntime_genai.memory import KEPT_BYTES

_NAME = "quantized"


class Shelf:
    """Keeps tensors for one model; those in its file are read again, mapped, when they are asked for.

    Args:
        folder: where the file is made; it has to stay until the model is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._room = KEPT_BYTES

    def keep(self, tensor: ir.TensorProtocol) -> ir.TensorProtocol:
        """The same tensor, in memory as long as there is room; else out of the file."""
        if tensor.nbytes <= self._room:
            self._room -= tensor.nbytes
            return tensor
        with (self._folder / _NAME).open("ab") as file:
            at = file.tell()
            file.write(tensor.tobytes())
        return ir.ExternalTensor(_NAME, at, tensor.nbytes, tensor.dtype, shape=tensor.shape, name=str(tensor.name), base_dir=self._folder)
