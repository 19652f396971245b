"""Why no runtime could make a checkpoint rightly: from config.json, the weights' headers and, once they are here, the tokenizer's files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline import weight_names
from pipeline.survey import Survey

# What a class is for, by the end of its name; a class that ends otherwise is judged by the runtimes.
_TASKS = (
    ("ForSequenceClassification", "is a classifier, such as a reward model: it gives scores"),
    ("ForTokenClassification", "is a classifier: it labels tokens"),
    ("ForQuestionAnswering", "finds answers within a given text"),
    ("ForMultipleChoice", "chooses among given answers"),
    ("ForNextSentencePrediction", "is a classifier: it says whether one sentence follows another"),
    ("ForMaskedLM", "is an encoder: it fills gaps in a text"),
    ("ForImageClassification", "is a classifier: it labels images"),
    ("ForAudioClassification", "is a classifier: it labels sounds"),
    ("ForCTC", "turns speech into text"),
    ("ForRewardModeling", "is a reward model: it gives scores"),
    ("RewardModel", "is a reward model: it gives scores"),
)
_TEXT = "; Bakehouse makes models that write text, of a class such as LlamaForCausalLM"
_FP8 = ("F8_E4M3", "F8_E5M2", "F8_E8M0", "F4", "F6_E2M3", "F6_E3M2")
_UNQUANTIZED = "take the unquantized model that it was made from as the source"
_MOST_TOKENS = 5


def reasons(survey: Survey) -> tuple[str, ...]:
    """Sentences on what is wrong with the checkpoint for every runtime; with the first kind of fault found the others say nothing."""
    if wrong := (*_task(survey), *_quantized(survey)):
        return wrong
    return (*weight_names.differences(survey.config, [tensor.name for tensor in survey.tensors]), *_rows(survey))


def _task(survey: Survey) -> Iterator[str]:
    """The architecture's class decides what a model is for, whatever weights are there."""
    config = survey.config
    kind = str((config.get("architectures") or [""])[0])
    task = next((task for end, task in _TASKS if kind.endswith(end)), None)
    if task is None and config.get("is_encoder_decoder"):
        task = "has an encoder and a decoder: it turns one sequence into another"
    elif task is None and ("vision_config" in config or "audio_config" in config):
        task = "takes images or sound"
    elif task is None and kind.endswith("Model") and not kind.endswith("LMHeadModel") and not _has_head(survey):
        task = "has no head, so it gives states and no text"
    if task is not None:
        yield f"{kind or config.get('model_type')} {task}{_TEXT}"


def _has_head(survey: Survey) -> bool:
    """Whether there is a matrix that turns states into words: a base model that ties it writes text as well."""
    heads = ("lm_head.weight", "embed_out.weight", "output.weight")
    return weight_names.ties(survey.config) or any(tensor.name in heads for tensor in survey.tensors)


def _quantized(survey: Survey) -> Iterator[str]:
    settings = survey.config.get("quantization_config")
    low = sorted({tensor.dtype for tensor in survey.tensors} & set(_FP8))
    if settings:
        method = settings.get("quant_method", "unknown method") if isinstance(settings, Mapping) else "unknown method"
        yield f"the checkpoint is quantized already ({method}): {_UNQUANTIZED}"
    elif low:
        name = next(tensor.name for tensor in survey.tensors if tensor.dtype in low)
        yield f"the checkpoint has weights in {', '.join(low)}, first {name}, so it is quantized already: {_UNQUANTIZED}"


def _rows(survey: Survey) -> Iterator[str]:
    """Embedding and head have a row for each of config.json's vocab_size; transformers would make up what differs."""
    vocabulary = survey.config.get("vocab_size")
    if weight_names.expected(survey.config) is None or vocabulary is None:
        return
    for tensor in survey.tensors:
        if weight_names.normal(tensor.name) in (weight_names.EMBEDDING, weight_names.HEAD) and tensor.shape[0] != vocabulary:
            yield f"{tensor.name} has {tensor.shape[0]:,} rows, and config.json says vocab_size {vocabulary:,}"


def tokens_beyond(folder: Path, config: Mapping[str, Any]) -> tuple[str, ...]:
    """A sentence on tokens of tokenizer.json whose ids the embedding has no row for; none if all that can occur in a prompt have one.

    A padding token may lie beyond: many fine-tuned models have one that only batches for training used, and no prompt holds it.
    """
    path, rows = folder / "tokenizer.json", config.get("vocab_size")
    if not path.is_file() or not isinstance(rows, int):
        return ()
    beyond = {token: number for token, number in _ids(path) if number >= rows and token != _padding(folder)}
    if not beyond:
        return ()
    named = sorted(beyond, key=lambda token: beyond[token])
    more = f" and {len(named) - _MOST_TOKENS} more" if len(named) > _MOST_TOKENS else ""
    first = ", ".join(f"{token} ({beyond[token]})" for token in named[:_MOST_TOKENS])
    return (
        f"the tokenizer has tokens whose ids lie beyond the embedding's {rows:,} rows, so a prompt with one of them could not be computed: "
        f"{first}{more}; take a checkpoint whose embedding was resized with its tokenizer, or take these tokens out of tokenizer.json",
    )


def _ids(path: Path) -> Iterator[tuple[str, int]]:
    """Token and id of a tokenizer.json's own vocabulary, and of the tokens added to it."""
    told = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = told.get("model", {}).get("vocab", {})
    if isinstance(vocabulary, Mapping):
        yield from vocabulary.items()
    else:  # Unigram: a list of tokens and scores
        yield from ((entry[0], number) for number, entry in enumerate(vocabulary))
    for token in told.get("added_tokens") or ():
        yield token["content"], token["id"]


def _padding(folder: Path) -> str | None:
    """The padding token, as tokenizer_config.json or special_tokens_map.json names it."""
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (folder / name).is_file():
            token = json.loads((folder / name).read_text(encoding="utf-8")).get("pad_token")
            if token is not None:
                return str(token["content"]) if isinstance(token, Mapping) else str(token)
    return None
