"""Model types that optimum-intel knows and this toolchain cannot export, with the reason."""

from __future__ import annotations

from collections.abc import Mapping

# The releases of transformers, from and to, with which optimum-intel 2.1.0 exports a type for text generation, where 5.5.4 is outside:
# MIN_ and MAX_TRANSFORMERS_VERSION of the configurations in its TasksManager (held by a test).
BOUNDS: Mapping[str, tuple[str, str]] = {
    "aquila": ("4.57", "4.57.6"),
    "arctic": ("4.51.0", "4.53.3"),
    "baichuan": ("4.57", "4.57.6"),
    "bitnet": ("4.57", "4.57.6"),
    "chatglm": ("4.51.0", "4.55.4"),
    "dbrx": ("4.57", "4.57.6"),
    "deci": ("4.57", "4.57.6"),
    "deepseek": ("4.51.0", "4.53.3"),
    "deepseek_v2": ("4.51.0", "4.53.3"),
    "deepseek_v3": ("4.51.0", "4.53.3"),
    "exaone": ("4.57", "4.57.6"),
    "exaone4": ("4.57", "4.57.6"),
    "falcon_mamba": ("4.57", "5.3.0"),
    "gemma": ("4.57", "5.0"),
    "gemma2": ("4.57", "5.0"),
    "gemma3_text": ("4.57", "5.0"),
    "gemma3n_text": ("5.0", "5.0"),
    "gemma4_text": ("5.5", "5.0"),
    "gemma4_unified_text": ("5.10", "5.10.99"),
    "glm": ("4.57", "5.0"),
    "granitemoehybrid": ("4.57", "5.3.0"),
    "internlm": ("4.57", "4.57.6"),
    "internlm2": ("4.57", "4.57.6"),
    "jais": ("4.57", "4.57.6"),
    "lfm2": ("4.57", "5.4.0"),
    "lfm2_moe": ("5.0", "5.4.0"),
    "llama4": ("4.57", "4.57.6"),
    "llama4_text": ("4.57", "4.57.6"),
    "llava-qwen2": ("4.51.0", "4.53.3"),
    "mamba": ("4.57", "5.3.0"),
    "minicpm": ("4.51.0", "4.53.3"),
    "minicpm3": ("4.51.0", "4.53.3"),
    "orion": ("4.57", "4.57.6"),
    "qwen": ("4.51.0", "4.55.4"),
    "qwen3_5_moe_text": ("5.2.0", "5.2.99"),
    "qwen3_5_text": ("5.2.0", "5.2.99"),
    "qwen3_next": ("4.57", "4.57.6"),
    "xverse": ("4.57", "4.57.6"),
    "zamba2": ("4.57", "4.57.6"),
}
# Types of which optimum-intel exports most weights (experts, transposed ones) in 32 bits, whatever the checkpoint has.
WIDE = frozenset({"falcon", "gpt_oss", "granitemoe", "mixtral", "phimoe", "qwen2_moe", "qwen3_moe"})


def why_not(kind: str) -> str:
    """A sentence on why a model type is not exported."""
    if kind in BOUNDS:
        least, most = BOUNDS[kind]
        return (
            f"optimum-intel 2.1 exports models of type {kind} with transformers {least} to {most} only, and this toolchain has 5.5; "
            "take the onnxruntime-genai runtime if it makes this model"
        )
    return f"no export of models of type {kind or 'unknown'} for text generation has been shown to work with optimum-intel 2.1"
