"""Windows, scaled rotary embeddings and norms: what a model computes differs from one length to the next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.cases.making import LONG, ONNX, RAW, SENTENCE, Case, edit, model, raw, save

_ROPE: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "llama3": (
        "llama",
        {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64},
        {},
    ),
    "linear": ("llama", {"rope_type": "linear", "factor": 4.0}, {}),
    "dynamic": ("llama", {"rope_type": "dynamic", "factor": 4.0}, {"max_position_embeddings": 64}),
    "yarn-llama": ("llama", {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}, {}),
    "llama3-mistral": (
        "mistral",
        {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64},
        {"sliding_window": None},
    ),
    "linear-nemotron": ("nemotron", {"rope_type": "linear", "factor": 4.0, "partial_rotary_factor": 0.5}, {"head_dim": 32}),
    "yarn": ("qwen2", {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}, {}),
}


def _of(kind: str, **changes: Any) -> Callable[[Path], None]:
    return lambda files: save(model(kind, **changes), files)


def _rope(kind: str, rope: dict[str, Any], more: dict[str, Any]) -> Callable[[Path], None]:
    """With config.json as the hub has it: rope_scaling and rope_theta."""

    def make(files: Path) -> None:
        save(model(kind, rope_parameters={**rope, "rope_theta": 10000.0}, **more), files)
        edit(files / "config.json", rope_parameters=None, rope_theta=10000.0, rope_scaling=rope)

    return make


def _shaken(kind: str, fields: dict[str, Any] | None = None, **changes: Any) -> Callable[[Path], None]:
    """With norms that are not all ones or zeros, and with more `fields` in config.json."""

    def make(files: Path) -> None:
        import torch

        made = model(kind, **changes).float()
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(1)
            for name, weight in made.named_parameters():
                if "norm" in name or name.endswith("bias"):
                    weight += torch.randn(weight.shape) * 0.1
        save(made.to(torch.bfloat16), files)
        edit(files / "config.json", **(fields or {}))

    return make


def _longrope(head: int, rotated: int, original: int, word: str = "type") -> Callable[[Path], None]:
    """Phi-3.5 and Phi-4-mini: longrope, partly rotated, tied."""
    factors = {
        "short_factor": [1.0 + 0.02 * index for index in range(rotated // 2)],
        "long_factor": [2.0 + 0.5 * index for index in range(rotated // 2)],
    }
    partial = {"partial_rotary_factor": 0.75, "original_max_position_embeddings": original}

    def make(files: Path) -> None:
        rope = {"rope_type": "longrope", **factors, "rope_theta": 10000.0, **partial}
        phi3 = model("phi3", hidden_size=4 * head, rope_parameters=rope, **partial, tie_word_embeddings=True, sliding_window=None)
        save(phi3, files)
        if word == "type":
            edit(files / "config.json", rope_parameters=None, rope_theta=10000.0, **partial, rope_scaling={"type": "longrope", **factors})

    return make


# Fields that transformers does not read of a Llama, and the model builder does of every model.
_LEFT_OVER = {
    "attn_logit_softcapping": 5.0,
    "ffn_hidden_size": 64,
    "final_logit_softcapping": 3.0,
    "hidden_activation": "gelu",
    "layer_types": ["sliding_attention", "sliding_attention"],
    "moe_intermediate_size": 64,
    "partial_rotary_factor": 0.5,
    "rope_position_scale": 0.5,
    "seq_length": 256,
    "sliding_window": 16,
}


def _window(kind: str, window: int, **more: Any) -> Callable[[Path], None]:
    own = {"original_max_position_embeddings": 512} if kind == "phi3" else {}
    return _of(kind, sliding_window=window, **own, **more)


def _window_cases() -> dict[str, Case]:
    """A window of 64 and prompts shorter than it, a little longer, and longer than two of them; answers that cross it."""
    prompts = {"in": raw(SENTENCE), "cross": raw(SENTENCE * 2, 40), "over": raw(SENTENCE * 4), "far": raw(SENTENCE * 9)}
    return {
        f"sliding2-{kind}-{name}": Case(_window(kind, 64), golden=[prompt], builds=ONNX)
        for kind in ("phi3", "mistral")
        for name, prompt in prompts.items()
    }


CASES = {
    **{f"rope-{name}": Case(_rope(*rope), golden=[raw(LONG), *RAW]) for name, rope in _ROPE.items()},
    "longrope-short": Case(_longrope(16, 12, 64)),
    "longrope-long": Case(_longrope(16, 12, 64), golden=[raw(LONG)]),
    "longrope64-short": Case(_longrope(64, 48, 128)),
    "longrope64-long": Case(_longrope(64, 48, 128), golden=[raw(LONG)]),
    "longrope64-cross": Case(_longrope(64, 48, 128), golden=[raw(SENTENCE * 4, 24)]),
    "longrope64-new-word": Case(_longrope(64, 48, 128, word="rope_type")),
    "sliding-mistral": Case(_window("mistral", 16), golden=[raw(LONG)]),
    "sliding-phi3": Case(_window("phi3", 16), golden=[raw(LONG)]),
    "sliding-qwen2": Case(_window("qwen2", 16, use_sliding_window=True, max_window_layers=1), golden=[raw(LONG)]),
    **_window_cases(),
    "phi3-2047": Case(_of("phi3", sliding_window=2047, max_position_embeddings=4096, original_max_position_embeddings=4096)),
    "gemma2": Case(_of("gemma2", sliding_window=64, head_dim=16)),
    "three-layers": Case(_of("llama", num_hidden_layers=3)),
    "head-24": Case(_of("llama", hidden_size=96)),
    "olmo": Case(_of("olmo", num_key_value_heads=4)),
    "olmo-clip": Case(_of("olmo", num_key_value_heads=4, clip_qkv=0.3)),
    "phi-qk-norm": Case(_of("phi", num_key_value_heads=4, qk_layernorm=True)),
    "nemotron-mlp-bias": Case(_of("nemotron", head_dim=16, mlp_bias=True)),
    "norms-gemma": Case(_shaken("gemma", head_dim=16, hidden_size=96)),
    "norms-gemma2": Case(_shaken("gemma2", head_dim=16, sliding_window=64)),
    "norms-nemotron": Case(_shaken("nemotron", head_dim=32)),
    "norms-phi": Case(_shaken("phi", num_key_value_heads=4, hidden_size=128)),
    "left-over": Case(_shaken("llama", _LEFT_OVER)),
    "left-over-ernie": Case(_shaken("ernie4_5", {"compression_ratio": 2.0}, head_dim=16)),
    "left-over-mrope": Case(
        _shaken("qwen2", {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]}})
    ),
    "phi3-unscaled": Case(_shaken("phi3", sliding_window=None, original_max_position_embeddings=4096)),
}
