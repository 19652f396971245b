"""What is known of checkpoints before any download, for tests of rules."""

from __future__ import annotations

from typing import Any

from bakehouse.formats.checkpoint import Survey, Tensor


def survey(hidden: int = 576, layers: int = 2, dtype: str = "BF16", **config: Any) -> Survey:
    """A Llama's weights: embedding, head, four square ones and one of 1536 channels a layer."""
    tensors = [Tensor(name=f"{name}.weight", dtype=dtype, shape=(1024, hidden)) for name in ("model.embed_tokens", "lm_head")]
    for number in range(layers):
        for name, shape in {"q": (hidden, hidden), "k": (192, hidden), "up": (1536, hidden), "down": (hidden, 1536)}.items():
            tensors.append(Tensor(name=f"model.layers.{number}.{name}_proj.weight", dtype=dtype, shape=shape))
        tensors.append(Tensor(name=f"model.layers.{number}.norm.weight", dtype=dtype, shape=(hidden,)))
    return Survey(download_bytes=1, config={"model_type": "llama"} | config, tensors=tuple(tensors))


PHI3 = Survey(
    download_bytes=7_643_000_000,
    config={"model_type": "phi3"},
    tensors=(
        *(Tensor(name=f"{name}.weight", dtype="BF16", shape=(32064, 3072)) for name in ("model.embed_tokens", "lm_head")),
        *(
            Tensor(name=f"model.layers.{number}.{name}.weight", dtype="BF16", shape=shape)
            for number in range(32)
            for name, shape in {"qkv": (9216, 3072), "o": (3072, 3072), "gate_up": (16384, 3072), "down": (3072, 8192)}.items()
        ),
    ),
)
