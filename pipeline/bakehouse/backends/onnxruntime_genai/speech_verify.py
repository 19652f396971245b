"""Compares a speech model's folder with what the recipe requests: both graphs' weights, what they take and give, and how it is configured.

The numbers of the weights are not compared: that the golden recordings are written down as the source does shows what became of them.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from bakehouse.backends.onnxruntime_genai import genai_config
from bakehouse.backends.onnxruntime_genai import source as ort_source
from bakehouse.backends.onnxruntime_genai import verify as verify_text
from bakehouse.backends.onnxruntime_genai import weights as ort_weights
from bakehouse.backends.onnxruntime_genai.genai_config import SEARCH, Decoder, GenaiConfig
from bakehouse.backends.onnxruntime_genai.quantization import LAST, MatMulNBits, OrtInt8, embeds_in_four_bits
from bakehouse.backends.onnxruntime_genai.seams import (
    Graph,
    Matrix,
    MeasuredPart,
    MeasuredSpeech,
    Precision,
    SpeechResult,
    SpeechSpec,
    SpeechTokenizer,
)
from bakehouse.backends.onnxruntime_genai.source import Generation
from bakehouse.child import names
from bakehouse.formats import checkpoint as surveys
from bakehouse.formats import fields
from bakehouse.formats.checkpoint import Survey
from bakehouse.formats.fields import Fields
from bakehouse.steps.maker import Verification
from bakehouse.steps.seam import Report

GRAPHS = {"encoder": "encoder.onnx", "decoder": "decoder.onnx"}
AUDIO, GENERATION = "audio_processor_config.json", "generation_config.json"
FILES = (
    *(f"{graph}{end}" for graph in GRAPHS.values() for end in ("", ".data")),
    *(genai_config.NAME, AUDIO, GENERATION, "tokenizer.json", "tokenizer_config.json"),
)
_FEW = 10  # one in so many of the hard texts may have other tokens; the card names them
_MOST_NAMED = 3
# What the runtime does with a recording (audio_processor_config.json), by the names that transformers has for it.
_SOUND = {"n_fft": "n_fft", "hop_length": "hop_length", "n_mel": "feature_size", "chunk_size": "chunk_length"}


def verify(spec: SpeechSpec, checkpoint: Path, files: Path, report: Report) -> Verification:
    """Compare the graphs as the worker read them, the files next to them, and the tokenizer with the checkpoint and the recipe."""
    if absent := tuple(f"{name} was not made" for name in FILES if not (files / name).is_file()):
        return Verification(faults=absent)
    built, survey, made = report.read(SpeechResult), surveys.read_checkpoint(checkpoint), genai_config.read(files)
    graphs = {"encoder": built.encoder, "decoder": built.decoder}
    faults = [f"{name}: {fault}" for name, graph in graphs.items() for fault in _of_graph(name, graph, files, survey, spec, made)]
    faults += judge_config(made, survey, ort_source.generation(checkpoint), longest(checkpoint, survey))
    faults += judge_sound(read(files / AUDIO), features(checkpoint))
    faults += judge_tokenizer(built.tokenizer)
    return Verification(_measured(graphs, built, made, checkpoint).model_dump(mode="json"), tuple(faults))


def read(path: Path) -> Fields:
    """A JSON object; an empty one where the file holds something else."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return content if isinstance(content, dict) else {}


def features(checkpoint: Path) -> Fields:
    """What the checkpoint says of how a recording becomes numbers, in whichever of its files."""
    alone, joined = checkpoint / "preprocessor_config.json", checkpoint / "processor_config.json"
    return read(alone) if alone.is_file() else fields.nested(read(joined), "feature_extractor") if joined.is_file() else {}


def longest(checkpoint: Path, survey: Survey) -> int:
    """How many tokens a text has at most, with those of its prompt: as the checkpoint says, or as many as the decoder has positions for."""
    positions = fields.integer(survey.config, "max_target_positions") or 0
    return min(positions, fields.integer(read(checkpoint / GENERATION), "max_length") or positions)


def _of_graph(name: str, graph: Graph, files: Path, survey: Survey, spec: SpeechSpec, made: GenaiConfig) -> Iterator[str]:
    sizes = {place: (files / place).stat().st_size for place in graph.data if (files / place).is_file()}
    yield from verify_text.judge_data(graph.data, sizes, GRAPHS[name])
    yield from judge_weights(graph.weights, spec)
    found, wanted = sum(map(ort_weights.size, graph.weights)), weights_of(name, survey)
    if found != wanted:
        yield f"its matrices have {found:,} weights, the checkpoint's {wanted:,}"
    yield from judge_interface(name, graph, survey, made)


def weights_of(name: str, survey: Survey) -> int:
    """How many weights a graph should have: keys and values of what the decoder hears are in the encoder; the last MatMul is the embedding
    once more. Positions are added and not multiplied, so they are left out.
    """
    sizes = {one.name.removeprefix("model."): math.prod(one.shape) for one in survey.tensors if len(one.shape) > 1}
    heard = {one for one in sizes if ".encoder_attn.k_proj." in one or ".encoder_attn.v_proj." in one}
    embedding = sizes.get("decoder.embed_tokens.weight", 0)
    inner = {one: size for one, size in sizes.items() if "embed_" not in one and not one.startswith("proj_out")}
    if name == "encoder":
        return sum(size for one, size in inner.items() if one.startswith("encoder.") or one in heard)
    return 2 * embedding + sum(size for one, size in inner.items() if one.startswith("decoder.") and one not in heard)


def judge_weights(matrices: tuple[Matrix, ...], spec: SpeechSpec) -> Iterator[str]:
    """Every matrix has the bits, blocks, zero points, accuracy level and type requested for it."""
    for (found, should), those in ort_weights.stored_otherwise(matrices, lambda matrix: expected(matrix, spec)).items():
        yield f"the weight of {names.some(those, _MOST_NAMED)} is {found}, should be {should}"


def expected(matrix: Matrix, spec: SpeechSpec) -> Precision:
    """How a matrix should be stored: convolutions and the encoder's attention stay in floating point, an embedding unless it is named."""
    requested = spec.quantization
    gathers = embeds_in_four_bits(requested)
    of_lookup = matrix.op in ort_weights.GATHERS
    if not isinstance(requested, MatMulNBits) or matrix.op in ("Conv", "Attention") or (of_lookup and not gathers):
        return Precision(type="float")
    return Precision(
        type="float",
        bits=8 if isinstance(requested, OrtInt8) else 4,
        block_size=requested.block_size,
        accuracy_level=0 if of_lookup else requested.accuracy_level or 0,
        zero_points=not requested.symmetric,
    )


def judge_interface(name: str, graph: Graph, survey: Survey, made: GenaiConfig) -> Iterator[str]:
    """Inputs and outputs are those that genai_config.json names; recordings and words have the checkpoint's sizes."""
    part, layers = (
        (made.model.encoder or Decoder()) if name == "encoder" else made.model.decoder,
        range(made.model.decoder.num_hidden_layers),
    )
    for side, named, tensors in (("inputs", part.inputs, graph.inputs), ("outputs", part.outputs, graph.outputs)):
        wanted = genai_config.named(named, lambda role: layers)
        if wanted != set(tensors):
            differ = names.some(sorted(wanted ^ set(tensors)), _MOST_NAMED)
            yield f"{genai_config.NAME} and the graph do not name the same {side}: {differ}"
    for tensor, place, field in (("audio_features", 1, "num_mel_bins"), ("logits", -1, "vocab_size")):
        found = (graph.inputs | graph.outputs).get(tensor)
        if found is not None and found.shape[place] != survey.config[field]:
            yield f"{tensor} has {found.shape[place]} numbers, should have {survey.config[field]} ({field})"


def judge_config(made: GenaiConfig, survey: Survey, generation: Generation, most: int) -> Iterator[str]:
    """genai_config.json: end tokens, lengths, layers and search defaults are the source's, and it is for the CPU."""
    model, source = made.model, survey.config
    if short := [token for token in generation.end_tokens if token not in made.end_tokens]:
        yield f"{genai_config.NAME} lacks the end tokens {short}: texts would not end"
    providers = [name for one in (model.encoder, model.decoder) if one for entry in one.session_options.provider_options for name in entry]
    compared = {
        "context_length": (model.context_length, source["max_target_positions"]),
        "max_length": (made.search.get("max_length"), most),
        "vocab_size": (model.vocab_size, source["vocab_size"]),
        "num_hidden_layers": (model.decoder.num_hidden_layers, source["decoder_layers"]),
        "provider_options": (providers, []),
        **{name: (made.search.get(name), generation.search[name]) for name in SEARCH if name in generation.search},
    }
    yield from verify_text.says_otherwise(compared)


def judge_sound(made: Fields, source: Fields) -> Iterator[str]:
    """How a recording becomes numbers is what the checkpoint says of it."""
    operations = (fields.nested(one, "operation") for one in fields.objects(fields.nested(made, "feature_extraction"), "sequence"))
    found = {name: value for one in operations for name, value in fields.nested(one, "attrs").items()}
    for name, field in _SOUND.items():
        if field in source and found.get(name) != source[field]:
            yield f"{AUDIO} says {name} {found.get(name)}, should be {source[field]} ({field})"
    if source.get("do_normalize") is True:
        yield "the checkpoint has recordings made equally loud (do_normalize), which ONNX Runtime GenAI does not do"


def judge_tokenizer(compared: SpeechTokenizer) -> Iterator[str]:
    """The runtime knows the tokens of prompts, decodes as transformers does, and makes other tokens of a few texts at most."""
    if compared.unknown:
        yield f"ONNX Runtime GenAI does not know the tokens {names.some(compared.unknown, _MOST_NAMED)}"
    if compared.decoded:
        texts = names.some(tuple(map(repr, compared.decoded)), _MOST_NAMED)
        yield f"ONNX Runtime GenAI makes other texts than transformers of the tokens of {texts}"
    if _FEW * len(compared.different) > compared.texts:
        yield f"ONNX Runtime GenAI makes other tokens than transformers of {len(compared.different)} of {compared.texts} texts"


def _measured(graphs: Mapping[str, Graph], built: SpeechResult, made: GenaiConfig, checkpoint: Path) -> MeasuredSpeech:
    counted = {name: ort_weights.counted(graph.weights) for name, graph in graphs.items()}
    return MeasuredSpeech(
        weights=dict(sorted(sum(counted.values(), Counter[str]()).items())),
        parts={name: MeasuredPart(weights=dict(sorted(counts.items()))) for name, counts in counted.items()},
        matmul=next((ort_weights.described(one) for one in built.decoder.weights if ort_weights.name_of(one) == LAST), ""),
        context_length=made.model.context_length,
        end_tokens=tuple(made.end_tokens),
        mended=built.mended,
        languages=len(languages(read(checkpoint / GENERATION))),
        tokenizer_texts_compared=built.tokenizer.texts,
        tokenizer_texts_different=built.tokenizer.different,
    )


def languages(generation: Fields) -> dict[str, int]:
    """The tokens of a model's languages, by what they are written as (`<|de|>`); none of a model of one language."""
    known = fields.nested(generation, "lang_to_id") if generation.get("is_multilingual") is not False else {}
    return {name: number for name, number in known.items() if isinstance(number, int)}
