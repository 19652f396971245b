"""Rerankers that are models which write text: Qwen3-Reranker, whose score is how likely "yes" is as the next token, and not "no".

Source: the card of Qwen/Qwen3-Reranker-0.6B. openvino_genai 2026.4 computes the same of a model of type qwen3
(rag/text_rerank_pipeline.cpp).
"""

from __future__ import annotations

from pathlib import Path

from bakehouse.formats import config_json, fields
from bakehouse.formats.config_json import Config
from bakehouse.tasks.reranker.seams import Question

YES, NO = "yes", "no"
INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
_KIND = "qwen3"
_BEFORE = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. "
    'Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
)
AFTER = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"


def writes(config: Config) -> bool:
    """Whether a config.json is that of such a model, and not of one with a head for scores."""
    named = config.get("architectures")
    causal = isinstance(named, list | tuple) and any(str(one).endswith("ForCausalLM") for one in named)
    return fields.text(config, "model_type") == _KIND and causal


def in_folder(folder: Path) -> bool:
    """Whether the model of a checkpoint or a package is such a one."""
    return writes(config_json.read(folder))


def headed(config: Config) -> bool:
    """Whether it is one of the same type with a head for scores: openvino_genai gives that no pairs of texts as transformers does."""
    return fields.text(config, "model_type") == _KIND and not writes(config)


def before(question: Question) -> str:
    """What the model gets before a text; behind it comes AFTER."""
    return f"{_BEFORE}<Instruct>: {question.instruction or INSTRUCTION}\n<Query>: {question.query}\n<Document>: "
