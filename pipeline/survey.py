"""What a checkpoint is, known from its headers alone: enough to refuse a build before hours of work."""

from __future__ import annotations

from typing import Any

from pipeline.manifest import Written


class Tensor(Written):
    """One tensor of a checkpoint: name, safetensors dtype ("BF16", "F16", "F32", ...) and shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class Survey(Written):
    """Sizes and shapes of a checkpoint before it is downloaded.

    Attributes:
        download_bytes: size of all files that a download would fetch.
        config: config.json, as it is.
        tensors: every weight, from the safetensors headers; empty where headers cannot be had beforehand (GGUF).
    """

    download_bytes: int
    config: dict[str, Any]
    tensors: tuple[Tensor, ...]

    @property
    def parameters(self) -> int:
        """Number of weights."""
        total = 0
        for tensor in self.tensors:
            count = 1
            for size in tensor.shape:
                count *= size
            total += count
        return total
