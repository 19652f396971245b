"""Why no runtime could make a checkpoint rightly: from config.json, the weights' headers and, once they are here, the tokenizer's files."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from operator import index
from pathlib import Path
from typing import Any

from bakehouse.child.names import some
from bakehouse.formats import fields, json_text, quantized
from bakehouse.formats.checkpoint import Survey
from bakehouse.formats.config_json import Config
from bakehouse.store import files
from bakehouse.tasks.text_generation import weight_names

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


def reasons(survey: Survey) -> tuple[str, ...]:
    """Sentences on what is wrong with the checkpoint for every runtime; with the first kind of fault found the others say nothing."""
    if wrong := (*_task(survey), *_quantized(survey)):
        return wrong
    return (*weight_names.differences(survey.config, [tensor.name for tensor in survey.tensors]), *_rows(survey))


def _task(survey: Survey) -> Iterator[str]:
    """The architecture's class decides what a model is for, whatever weights the checkpoint has."""
    config = survey.config
    kind = next(iter(fields.texts(config, "architectures")), "")
    task = next((task for end, task in _TASKS if kind.endswith(end)), None)
    if task is None and config.get("is_encoder_decoder"):
        task = "has an encoder and a decoder: it turns one sequence into another"
    elif task is None and ("vision_config" in config or "audio_config" in config):
        task = "takes images or sound" + (
            " (for prompts about a picture write `task: vision-language`)" if "vision_config" in config else ""
        )
    elif "_diffusers_version" in config:
        task = "makes pictures (for pictures of what a text says write `task: text-to-image`)"
    elif task is None and kind.endswith("Model") and not kind.endswith("LMHeadModel") and not _has_head(survey):
        task = "has no head, so it gives states and no text (for embeddings write `task: embeddings`)"
    if task is not None:
        yield f"{kind or config.get('model_type') or config.get('_class_name')} {task}{_TEXT}"


def _has_head(survey: Survey) -> bool:
    """Whether it has a matrix that turns states into words: a base model that ties it writes text as well."""
    heads = ("lm_head.weight", "embed_out.weight", "output.weight")
    return weight_names.ties(survey.config) or any(tensor.name in heads for tensor in survey.tensors)


def _quantized(survey: Survey) -> Iterator[str]:
    settings = survey.config.get("quantization_config")
    low = sorted({tensor.dtype for tensor in survey.tensors} & set(_FP8))
    if settings:
        reason = quantized.why_not(survey.config)
        way = f"; {reason}" if reason else ", or write `dequantize: true` into the recipe's source"
        yield f"the checkpoint is quantized already ({quantized.method(survey.config)}): {_UNQUANTIZED}{way}"
    elif low:
        name = next(tensor.name for tensor in survey.tensors if tensor.dtype in low)
        yield f"the checkpoint has weights in {', '.join(low)}, first {name}, so it is quantized already: {_UNQUANTIZED}"


def _rows(survey: Survey) -> Iterator[str]:
    """Embedding and head have a row for each of config.json's vocab_size; transformers would make up what differs."""
    vocabulary = fields.integer(survey.config, "vocab_size")
    if weight_names.expected(survey.config) is None or vocabulary is None:
        return
    for tensor in survey.tensors:
        if weight_names.normal(tensor.name) in (weight_names.EMBEDDING, weight_names.HEAD) and tensor.shape[0] != vocabulary:
            yield f"{tensor.name} has {tensor.shape[0]:,} rows, and config.json says vocab_size {vocabulary:,}"


def tokens_beyond(folder: Path, config: Config, prompts: Iterable[str]) -> tuple[str, ...]:
    """A sentence on tokens of tokenizer.json whose ids the embedding has no row for, if a prompt can hold them; else none.

    A prompt can hold every token of the vocabulary itself, added tokens that are not special, and special ones that the chat template,
    the tokenizer's settings or `prompts` name. Others may lie beyond: padding of a training, an image's place in a text-only Gemma 3.
    """
    path, rows = folder / "tokenizer.json", fields.integer(config, "vocab_size")
    if not path.is_file() or rows is None:
        return ()
    try:
        named = "\n".join((_settings(folder), *prompts))
        held = [(number, token) for token, number, special in _beyond(path, files.stamp(path), rows) if not special or token in named]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        return (f"tokenizer.json or tokenizer_config.json is not one that transformers writes ({type(error).__name__}: {error})",)
    if not held:
        return ()
    return (
        f"the tokenizer has tokens whose ids lie beyond the embedding's {rows:,} rows, so a prompt with one of them could not be computed: "
        f"{some([f'{token} ({number})' for number, token in sorted(held)])}; "
        "take a checkpoint whose embedding was resized with its tokenizer, or ask without them",
    )


@functools.lru_cache(maxsize=64)  # every build of a checkpoint needs it, and a large tokenizer.json takes half a second
def _beyond(path: Path, stamp: files.Stamp, rows: int) -> frozenset[tuple[str, int, bool]]:
    """The tokens with ids from `rows` on, as _tokens gives them."""
    return frozenset(one for one in _tokens(path) if one[1] >= rows)


def _tokens(path: Path) -> Iterator[tuple[str, int, bool]]:
    """Token, id and whether it is special, of a tokenizer.json's own vocabulary and of the tokens added to it."""
    engine: Any = json_text.loads(path.read_bytes())
    added = engine.get("added_tokens") or ()
    special = {token["content"] for token in added if token.get("special")}
    vocabulary = engine.get("model", {}).get("vocab", {})
    # Unigram has a list of tokens and scores
    own = vocabulary.items() if isinstance(vocabulary, Mapping) else ((entry[0], number) for number, entry in enumerate(vocabulary))
    yield from ((token, index(number), token in special) for token, number in own)
    yield from ((token["content"], index(token["id"]), bool(token.get("special"))) for token in added)


def _settings(folder: Path) -> str:
    """The chat template, and the tokens that begin and end a text."""
    template = folder / "chat_template.jinja"
    texts = [template.read_text(encoding="utf-8")] if template.is_file() else []
    path = folder / "tokenizer_config.json"
    settings: Any = json_text.loads(path.read_bytes()) if path.is_file() else {}
    for name in ("chat_template", "bos_token", "eos_token"):
        value = settings.get(name)
        texts.append(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return "\n".join(texts)
