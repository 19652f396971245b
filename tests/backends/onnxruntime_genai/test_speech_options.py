"""A Whisper for ONNX Runtime GenAI as data: what is refused, the step, its size, and what verify finds in a folder."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot
from pydantic import ValidationError

from bakehouse.backends.onnxruntime_genai import backend as ort_genai
from bakehouse.backends.onnxruntime_genai import speech, speech_preflight, speech_verify
from bakehouse.backends.onnxruntime_genai.genai_config import Decoder, GenaiConfig, Model
from bakehouse.backends.onnxruntime_genai.options import OnnxRuntimeGenAI
from bakehouse.backends.onnxruntime_genai.seams import Graph, Matrix, SpeechSpec, SpeechTokenizer, Tensor
from bakehouse.backends.onnxruntime_genai.source import Generation
from bakehouse.errors import Failure
from bakehouse.formats import checkpoint
from bakehouse.formats.checkpoint import Survey
from bakehouse.recipe.recipe import Recipe
from bakehouse.steps.step import Step
from bakehouse.tasks.speech.seams import Recorded, TranscribeRequest
from tests.support.bench import recipe
from tests.support.ort_making import CHECKPOINT, build

pytestmark = pytest.mark.needs_backend("onnxruntime_genai")

INT4 = {"weights": "int4"}
GATHER = {**INT4, "op_types_to_quantize": ["MatMul", "Gather"]}
HIDDEN, LAYERS, WORDS, SOUND, TEXT = 384, 4, 51864, 1500, 448


def tensors() -> dict[str, tuple[int, ...]]:
    """Shapes of tiny.en."""
    square = (HIDDEN, HIDDEN)
    found: dict[str, tuple[int, ...]] = {
        "encoder.conv1.weight": (HIDDEN, 80, 3),
        "encoder.conv2.weight": (HIDDEN, HIDDEN, 3),
        "encoder.embed_positions.weight": (SOUND, HIDDEN),
        "decoder.embed_positions.weight": (TEXT, HIDDEN),
        "decoder.embed_tokens.weight": (WORDS, HIDDEN),
    }
    for side in ("encoder", "decoder"):
        for layer in range(LAYERS):
            for attention in ("self_attn", "encoder_attn") if side == "decoder" else ("self_attn",):
                found |= {f"{side}.layers.{layer}.{attention}.{one}_proj.weight": square for one in ("q", "k", "v", "out")}
            found |= {f"{side}.layers.{layer}.fc1.weight": (4 * HIDDEN, HIDDEN), f"{side}.layers.{layer}.fc2.weight": (HIDDEN, 4 * HIDDEN)}
            found |= {f"{side}.layers.{layer}.fc1.bias": (4 * HIDDEN,)}
    return {f"model.{name}": shape for name, shape in found.items()}


SURVEY = Survey(
    download_bytes=0,
    config={
        "model_type": "whisper",
        "architectures": ["WhisperForConditionalGeneration"],
        "vocab_size": WORDS,
        "num_mel_bins": 80,
        "max_target_positions": TEXT,
        "decoder_layers": LAYERS,
        "encoder_layers": LAYERS,
    },
    tensors=tuple(checkpoint.Tensor(name=name, dtype="F16", shape=shape) for name, shape in tensors().items()),
)


def step(options: OnnxRuntimeGenAI) -> Step:
    return ort_genai.steps("whisper-build", options, CHECKPOINT, "whisper", None, remote_code=False, task="speech-recognition")["model"]


def spec(**quantization: Any) -> SpeechSpec:
    return step(build(**quantization)).spec_as(SpeechSpec)


def reasons(options: OnnxRuntimeGenAI, survey: Survey = SURVEY, toolchain: Any = "transformers-5.5") -> tuple[str, ...]:
    return ort_genai.preflight(options, survey, toolchain, "speech-recognition")


# --- what fits ------------------------------------------------------------------------------------


def test_only_whisper_is_listed_for_speech() -> None:
    assert list(ort_genai.model_types("speech-recognition")) == ["whisper"]
    assert len(ort_genai.toolchains(SURVEY.config, "speech-recognition")) == 1 and ort_genai.toolchains(SURVEY.config) == ()
    assert ort_genai.toolchains({"architectures": ["LlamaForCausalLM"]}, "speech-recognition") == ()


@pytest.mark.parametrize("quantization", [{"weights": "fp32"}, {"weights": "int8", "block_size": 64}, INT4, GATHER])
def test_what_the_builder_makes_is_taken(quantization: dict[str, Any]) -> None:
    assert reasons(build(**quantization)) == ()


def test_what_it_does_not_make_is_refused_in_words() -> None:
    assert reasons(build("dml", weights="fp16")) == snapshot(
        (
            "models for speech-recognition are made for cpu here: without its provider onnxruntime-genai 0.18 does "
            "not load a Whisper for dml, so this machine could not prove it",
        )
    )
    options = {**INT4, "nodes_to_exclude": ["/lm_head/MatMul"], "int8_nodes": ["/model/layers.0/mlp/fc1/MatMul"]}
    assert reasons(build(**options)) == snapshot(
        (
            "`nodes_to_exclude` is for models that write text, whose graphs it names: leave it out for speech-recognition",
            "`int8_nodes` is for models that write text, whose graphs it names: leave it out for speech-recognition",
        )
    )
    assert reasons(build(weights="fp32", shared_embeddings=True)) == snapshot(
        ("`shared_embeddings` is for models that write text, whose graphs it names: leave it out for speech-recognition",)
    )
    other = SURVEY.model_copy(update={"config": {"architectures": ["MoonshineForConditionalGeneration"]}})
    assert reasons(build(**INT4), other, "transformers-5.2") == snapshot(
        (
            "the model builder of onnxruntime-genai 0.18 makes no MoonshineForConditionalGeneration for "
            "speech-recognition, only a WhisperForConditionalGeneration",
            "models for speech-recognition are made with the installed release of transformers only: leave `toolchain` out",
            "its config.json does not say vocab_size, num_mel_bins, max_target_positions, encoder_layers, "
            "decoder_layers: take a complete checkpoint",
        )
    )


def test_a_recipe_with_an_option_for_text_or_a_bundle_is_refused() -> None:
    options = build(**INT4).model_dump(mode="json", exclude_unset=True)
    content = recipe(task="speech-recognition", golden=[{"audio": "a.wav"}], builds={"a": options})
    assert Recipe.model_validate_json(json.dumps(content)).builds["a"].runtime == "onnxruntime-genai"
    with pytest.raises(ValidationError, match="It would have no effect on speech-recognition"):
        Recipe.model_validate_json(json.dumps(content | {"builds": {"a": {**options, "min_agreement": 3, "min_agreement_reason": "so"}}}))
    with pytest.raises(ValidationError, match="Models for speech-recognition are not bundled"):
        Recipe.model_validate_json(json.dumps(content | {"repositories": {"all": ["a"]}}))


def test_another_device_is_refused(tmp_path: Path) -> None:
    asked = TranscribeRequest(model=tmp_path, recordings=(Recorded(path=tmp_path / "a.wav"),), heard=tmp_path / "heard.json", device="GPU")
    with pytest.raises(Failure, match="are run on the CPU here, not on a GPU"):
        speech.generate(build(**INT4), asked)


# --- the step -------------------------------------------------------------------------------------


def test_the_step_says_all_options_and_the_builder_gets_them(tmp_path: Path) -> None:
    made = step(build(**GATHER))
    assert made.options == snapshot(
        {
            "execution_provider": "cpu",
            "quantization": {
                "block_size": 32,
                "symmetric": True,
                "accuracy_level": 4,
                "algorithm": "default",
                "nodes_to_exclude": [],
                "weights": "int4",
                "op_types_to_quantize": ["MatMul", "Gather"],
                "matmul_mixed_precision": None,
                "shared_embeddings": False,
                "use_qdq": False,
            },
            "graph_capture": None,
            "remote_code": False,
            "task": "speech-recognition",
        }
    )
    assert ort_genai.command(made, {"checkpoint": Path("in")}, Path("out")).upstream == snapshot(
        "python -m onnxruntime_genai.models.builder -i MODEL -o OUT -c CACHE -p int4 -e cpu --extra_options "
        "accuracy_level=4 algo_config=default block_size=32 op_types_to_quantize=MatMul/Gather "
        "shared_embeddings=false is_symmetric=true use_qdq=false"
    )
    (tmp_path / "config.json").write_text(json.dumps({"encoder_layers": 32, "decoder_layers": 4}))
    by_hand = ort_genai.command(made, {"checkpoint": tmp_path}, Path("out")).upstream
    assert by_hand.endswith(" # with the encoder's keys and values for 4 layers of the decoder")
    assert "shared_embeddings" not in spec(weights="int8").model_dump_json()


@pytest.mark.parametrize(
    ("quantization", "size_mb"),
    [({"weights": "fp32"}, 230.71), ({"weights": "int8"}, 131.06), (GATHER, 46.51)],
    ids=["fp32", "int8", "int4"],
)
def test_the_size_is_known_from_the_shapes(quantization: dict[str, Any], size_mb: float) -> None:
    assert speech_preflight.made_bytes(spec(**quantization), SURVEY) / 1e6 == pytest.approx(size_mb, rel=0.02)


# --- verify ---------------------------------------------------------------------------------------


def test_weights_are_counted_where_the_builder_puts_them() -> None:
    counted = [speech_verify.weights_of(name, SURVEY) for name in ("encoder", "decoder")]
    positions = (SOUND + TEXT) * HIDDEN
    matrices = sum(math.prod(shape) for shape in tensors().values() if len(shape) > 1)
    assert counted == [3 * HIDDEN * (80 + HIDDEN) + 14 * LAYERS * HIDDEN**2, 2 * WORDS * HIDDEN + 14 * LAYERS * HIDDEN**2]
    assert sum(counted) == matrices - positions + WORDS * HIDDEN


def test_a_matrix_in_another_precision_is_a_fault() -> None:
    four = {"bits": 4, "block_size": 32, "accuracy_level": 4, "type": "float"}
    matrices = (
        Matrix(name="/model/preprocessing/Conv_1", op="Conv", type="float"),
        Matrix(name="/model/layers.0/attn/Attention", op="Attention", type="float"),
        Matrix(name="/model/preprocessing/Gather_1", op="Gather", type="float"),
        Matrix(name="/model/layers.0/mlp/fc1/MatMul_Q4", op="MatMulNBits", **four),
    )
    assert list(speech_verify.judge_weights(matrices, spec(**INT4))) == []
    assert list(speech_verify.judge_weights(matrices, spec(**GATHER))) == snapshot(
        ["the weight of /model/preprocessing/Gather_1 is float, should be int4 in blocks of 32 without zero points, scales in float"]
    )
    assert list(speech_verify.judge_weights(matrices[3:], spec(weights="int8"))) == snapshot(
        [
            "the weight of /model/layers.0/mlp/fc1/MatMul is int4 in blocks of 32 without zero points, accuracy level "
            "4, scales in float, should be int8 in blocks of 32 without zero points, accuracy level 4, scales in float"
        ]
    )


def test_an_interface_that_the_configuration_does_not_name_is_a_fault() -> None:
    encoder = Decoder(inputs={"audio_features": "audio_features"}, outputs={"cross_present_key_names": "present_key_cross_%d"})
    made = GenaiConfig(model=Model(context_length=TEXT, decoder=Decoder(num_hidden_layers=2), encoder=encoder))
    tensor = Tensor(type="float", shape=("batch_size", 128, 3000))
    graph = Graph(weights=(), inputs={"audio_features": tensor}, outputs={"present_key_cross_0": tensor}, data={})
    assert list(speech_verify.judge_interface("encoder", graph, SURVEY, made)) == snapshot(
        [
            "genai_config.json and the graph do not name the same outputs: present_key_cross_1",
            "audio_features has 128 numbers, should have 80 (num_mel_bins)",
        ]
    )


def configuration(**changes: Any) -> GenaiConfig:
    side = Decoder(num_hidden_layers=LAYERS)
    model = Model(context_length=TEXT, vocab_size=WORDS, eos_token_id=50256, encoder=side, decoder=side)
    return GenaiConfig(model=model, search={"max_length": TEXT, "num_beams": 1} | changes)


def test_a_configuration_that_is_not_the_sources_is_a_fault() -> None:
    source = Generation((50256,), {"num_beams": 1})
    assert list(speech_verify.judge_config(configuration(), SURVEY, source, TEXT)) == []
    other = Generation((50256, 7), {"num_beams": 1})
    assert list(speech_verify.judge_config(configuration(num_beams=4), SURVEY, other, 32)) == snapshot(
        [
            "genai_config.json lacks the end tokens [7]: texts would not end",
            "genai_config.json says max_length 448, should be 32",
            "genai_config.json says num_beams 4, should be 1",
        ]
    )


def test_other_numbers_of_a_recording_are_a_fault() -> None:
    made = {"feature_extraction": {"sequence": [{"operation": {"attrs": {"n_fft": 400, "hop_length": 160, "n_mel": 80}}}]}}
    assert list(speech_verify.judge_sound(made, {"n_fft": 400, "hop_length": 160, "feature_size": 80})) == []
    assert list(speech_verify.judge_sound(made, {"hop_length": 80, "chunk_length": 30, "do_normalize": True})) == snapshot(
        [
            "audio_processor_config.json says hop_length 160, should be 80 (hop_length)",
            "audio_processor_config.json says chunk_size None, should be 30 (chunk_length)",
            "the checkpoint has recordings made equally loud (do_normalize), which ONNX Runtime GenAI does not do",
        ]
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [("preprocessor_config.json", {"n_fft": 400}), ("processor_config.json", {"feature_extractor": {"n_fft": 400}}), ("other.json", {})],
)
def test_how_a_recording_becomes_numbers_is_in_one_of_two_files(name: str, content: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / name).write_text(json.dumps(content))
    assert dict(speech_verify.features(tmp_path)) == ({} if name == "other.json" else {"n_fft": 400})


def test_a_tokenizer_may_differ_in_few_texts_and_never_in_prompts() -> None:
    same = SpeechTokenizer(texts=20, different=("a", "b"), decoded=(), unknown=())
    assert list(speech_verify.judge_tokenizer(same)) == []
    other = same.model_copy(update={"different": ("a", "b", "c"), "decoded": ("d",), "unknown": ("<|de|>",)})
    assert list(speech_verify.judge_tokenizer(other)) == snapshot(
        [
            "ONNX Runtime GenAI does not know the tokens <|de|>",
            "ONNX Runtime GenAI makes other texts than transformers of the tokens of 'd'",
            "ONNX Runtime GenAI makes other tokens than transformers of 3 of 20 texts",
        ]
    )
