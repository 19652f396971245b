"""Keeps tensors in memory that OpenVINO's constants share while a model is exported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_COPIED = ("torch.bfloat16", "torch.float8")  # what numpy does not have, so that no array holds the copy


@contextmanager
def temporaries() -> Iterator[None]:
    """Keep what the frontend makes of a tensor that does not lie in one piece, until the model is saved.

    It shares the memory of a copy that nothing else holds (openvino 2026.4.1, frontend/pytorch/utils.py, torch_tensor_to_ov_const): of
    weights in bfloat16 that are parts of others, such as the experts of an AFMoE, what is written to that memory next comes into the model.
    """
    from openvino.frontend.pytorch import utils

    original, held = utils.torch_tensor_to_ov_const, list[Any]()

    def kept(tensor: Any, shared_memory: bool = True) -> Any:
        if not tensor.is_contiguous() and str(tensor.dtype).startswith(_COPIED):
            tensor = tensor.contiguous()
            held.append(tensor)
        return original(tensor, shared_memory)

    utils.torch_tensor_to_ov_const = kept
    try:
        yield
    finally:
        utils.torch_tensor_to_ov_const = original
