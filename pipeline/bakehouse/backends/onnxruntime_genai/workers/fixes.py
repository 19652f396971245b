"""What the model builder of onnxruntime-genai 0.18.0 gets wrong and can be put right before it begins."""

from __future__ import annotations

from typing import Any


def layers_without_rope() -> None:
    """Have SmolLM3's layers without rotary embeddings built without them.

    The builder only takes the rotation out of the attention operator there, and then writes one before it, for which a model with
    fused rotation has no input (`KeyError: 'position_ids'`; smollm.py make_attention, base.py make_attention_qk_rope).
    """
    from builders.smollm import SmolLM3Model

    original = SmolLM3Model.make_attention_qk_rope

    def make_attention_qk_rope(self: Any, layer_id: int, **named: Any) -> Any:
        return original(self, layer_id, **named) if self.no_rope_layers[layer_id] else ("", "")

    SmolLM3Model.make_attention_qk_rope = make_attention_qk_rope
