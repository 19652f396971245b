"""Which model types optimum-intel exports for text generation, by toolchain."""

from __future__ import annotations

from collections.abc import Mapping

from bakehouse.recipe.kinds import DEFAULT_TASK
from bakehouse.toolchains import table as toolchains
from bakehouse.toolchains.table import INSTALLED

# Decoder-only model types that optimum-intel 2.1.0 exports with transformers 5.5, and with each other toolchain but the oldest: its
# TasksManager, with the releases of transformers that its configurations name (held by a test).
EXPORTABLE = frozenset(
    {
        "afmoe",
        "arcee",
        "biogpt",
        "bloom",
        "codegen",
        "cohere",
        "cohere2",
        "falcon",
        "glm4",
        "gpt2",
        "gpt_bigcode",
        "gpt_neo",
        "gpt_neox",
        "gpt_neox_japanese",
        "gpt_oss",
        "gptj",
        "granite",
        "granitemoe",
        "hunyuan_v1_dense",
        "llama",
        "mistral",
        "mixtral",
        "mpt",
        "olmo",
        "olmo2",
        "opt",
        "persimmon",
        "phi",
        "phi3",
        "phimoe",
        "qwen2",
        "qwen2_moe",
        "qwen3",
        "qwen3_moe",
        "smollm3",
        "stablelm",
        "starcoder2",
        "xglm",
    }
)
_COMMON: tuple[toolchains.Name, ...] = (INSTALLED, "transformers-5.2", "transformers-5.0", "transformers-4.57")
# What it exports with other toolchains only, as its TasksManager has it.
ELSEWHERE: Mapping[toolchains.Name, frozenset[str]] = {
    "transformers-5.2": frozenset({"falcon_mamba", "granitemoehybrid", "lfm2", "lfm2_moe", "mamba", "qwen3_5_moe_text", "qwen3_5_text"}),
    "transformers-5.0": frozenset(
        {
            "falcon_mamba",
            "gemma",
            "gemma2",
            "gemma3_text",
            "gemma3n_text",
            "glm",
            "granitemoehybrid",
            "lfm2",
            "lfm2_moe",
            "mamba",
        }
    ),
    "transformers-4.57": frozenset(
        {
            "aquila",
            "baichuan",
            "bitnet",
            "dbrx",
            "deci",
            "exaone",
            "exaone4",
            "falcon_mamba",
            "gemma",
            "gemma2",
            "gemma3_text",
            "glm",
            "granitemoehybrid",
            "internlm",
            "internlm2",
            "jais",
            "lfm2",
            "llama4",
            "llama4_text",
            "mamba",
            "orion",
            "qwen3_next",
            "xverse",
            "zamba2",
        }
    ),
    "transformers-4.53": frozenset({"arctic", "chatglm", "deepseek", "deepseek_v2", "deepseek_v3", "minicpm", "minicpm3", "qwen"}),
}
# Types of which optimum-intel exports most weights (experts, transposed ones) in 32 bits, whatever the checkpoint has.
WIDE = frozenset({"falcon", "gpt_oss", "granitemoe", "mixtral", "phimoe", "qwen2_moe", "qwen3_moe"})


def works_with(kind: str) -> tuple[toolchains.Name, ...]:
    """The toolchains that export a model type, the best first."""
    others = tuple(name for name, kinds in ELSEWHERE.items() if kind in kinds)
    return _COMMON if kind in EXPORTABLE else others


def known() -> Mapping[str, tuple[toolchains.Name, ...]]:
    """Every model type that some toolchain exports, with those that do."""
    return {kind: works_with(kind) for kind in sorted(EXPORTABLE.union(*ELSEWHERE.values()))}


def why_not(kind: str, task: str, toolchain: toolchains.Name, works: tuple[toolchains.Name, ...]) -> str:
    """A sentence on why a model type is not exported for a task with a toolchain, where others may: `works`."""
    if works:
        what = f"models of type {kind}" if task == DEFAULT_TASK else f"models of type {kind} for {task}"
        return toolchains.why_not(toolchain, works, "optimum-intel 2.1", what)
    use = "text generation" if task == DEFAULT_TASK else task
    return (
        f"no export of models of type {kind or 'unknown'} for {use} has been shown to work with optimum-intel 2.1; "
        "with `unknown_architecture: try` the build tries it"
    )
