"""Readers of checkpoints: GGUF and safetensors headers, config.json and the other JSON files, all that is known before any work."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from bakehouse.app.init import origin
from bakehouse.backends.table import BACKENDS
from bakehouse.errors import Failure
from bakehouse.executor.session import Session
from bakehouse.formats import checkpoint, gguf_faults, gguf_header, safetensors_files
from bakehouse.formats.checkpoint import Survey
from bakehouse.plan.plan import Build
from bakehouse.sources import dequantize, local
from bakehouse.stages import estimates
from bakehouse.steps.step import Step
from bakehouse.store.store import Store
from bakehouse.tasks.table import TASKS
from bakehouse.tasks.text_generation import suitability
from bakehouse.toolchains.table import misread
from tests.formats import test_gguf_header as ggufs
from tests.fuzz import mutate
from tests.fuzz.campaign import Target
from tests.support import standin
from tests.support.bench import recipe
from tests.support.fakes import planned

# --- GGUF -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Files:
    folder: Path
    bases: list[bytes]


def _ggufs(folder: Path) -> _Files:
    kinds: list[dict[str, Any]] = [
        ggufs.PLAIN,
        ggufs.without("tokenizer.ggml.pre"),
        ggufs.without("tokenizer.ggml.model", tokenizer__ggml__model="llama", tokenizer__ggml__token_type=[1.0] * 3),
        ggufs.without("general.architecture", general__architecture="phi3", phi3__embedding_length=64, split__count=2, general__name="x"),
        {**ggufs.PLAIN, "llama.rope.scaling.type": "linear", "llama.attention.key_length": 8, "general.license": "mit"},
    ]
    return _Files(folder, [ggufs.write(folder / "tiny.gguf", pairs).read_bytes() for pairs in kinds])


def _gguf(random: Random, files: _Files) -> bytes:
    """Damaged bytes, or a whole header of odd pairs."""
    if random.random() < 0.6:
        return mutate.of_bytes(random, files.bases)
    pairs = dict(ggufs.PLAIN)
    for _ in range(random.choice((1, 2, 3))):
        name = random.choice(
            [*pairs, "llama.expert_count", "split.count", "general.license", "tokenizer.chat_template", "llama.vocab_size"]
        )
        odd = random.choice(
            [one for one in mutate.ODD if isinstance(one, str) and "\ud800" not in one] + [True, 0, 1, 7, 2**31, 0.5, ["a"] * 70]
        )
        pairs[name] = odd
    body = b"".join(ggufs._text(name) + ggufs._value(value) for name, value in pairs.items())
    if random.random() < 0.1:  # an array of arrays of arrays
        body += ggufs._text("deep") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * random.choice((3, 2000)) + struct.pack("<IQ", 4, 0)
    return b"GGUF" + struct.pack("<IQQ", 3, 0, random.choice((len(pairs), len(pairs), len(pairs) + 1, 1 << 62))) + body


def _read_gguf(body: bytes, files: _Files) -> list[str]:
    path = files.folder / "tiny.gguf"
    path.write_bytes(body)
    metadata = gguf_header.read(path)
    found = [text for what, details in gguf_faults.faults(metadata) for text in (what, *map(ascii, details))]
    origin.find(str(path), files.folder, Session(Store(files.folder / "artifacts")))
    return [str(Failure("It cannot be read.", details=tuple(text[:1000] for text in found)))] if found else []


# --- checkpoints ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Checkpoint:
    folder: Path
    whole: dict[str, bytes]  # the files of a good checkpoint
    variants: dict[str, list[bytes]]  # further good contents of its files
    builds: tuple[Build, ...]


INT4 = {"weights": "int4", "group_size": 128}
BUILDS: dict[str, Any] = {
    "int4": {"runtime": "openvino", "quantization": {**INT4, "symmetric": True, "ratio": 0.6}},
    "ort": {"runtime": "onnxruntime-genai", "execution_provider": "cpu", "quantization": {"weights": "int4", "block_size": 32}},
    "npu": {"runtime": "openvino-npu", "quantization": INT4, "platforms": [4000]},
    "npulib": {"runtime": "intel-npu-acceleration-library", "quantization": {"weights": "int8"}, "torch_dtype": "float16"},
}
_TASKS = ("text-generation", "embeddings", "reranker")
_QUANTIZED: tuple[dict[str, Any], ...] = (
    {"quant_method": "gptq", "bits": 4, "group_size": 32},
    {"quant_method": "awq", "version": "gemm", "bits": 4},
    {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"a": {"weights": {"num_bits": 4}}}},
    {"quant_method": "mxfp4"},
    {"quant_method": "fp8", "weight_block_size": [128, 128]},
)
_PARTS = ("qweight", "qzeros", "scales", "g_idx", "weight_packed", "weight_scale", "weight_shape", "weight_scale_inv", "down_blocks")


def _checkpoints(folder: Path) -> _Checkpoint:
    model = folder / "recipes" / "model"
    model.mkdir(parents=True)
    standin.write_untrained(model)
    whole = {path.name: path.read_bytes() for path in model.iterdir()}
    whole["modules.json"] = json.dumps([{"type": "sentence_transformers.models.Transformer", "path": ""}]).encode()
    whole["tokenizer.json"] = json.dumps(
        {"added_tokens": [{"id": 300, "content": "<a>", "special": True}], "model": {"vocab": {"a": 0, "b": 500}, "merges": []}}
    ).encode()
    config = json.loads(whole["config.json"])
    configs = [{**config, "quantization_config": one, "architectures": ["LlamaForCausalLM"], "id2label": {"0": "x"}} for one in _QUANTIZED]
    configs.append(
        {**config, "model_type": "phi3", "rope_scaling": {"type": "longrope", "short_factor": [1.0]}, "sliding_window": 8, "x": None}
    )
    configs.append({**config, "rope_parameters": {"rope_type": "default"}, "layer_types": ["full_attention"] * 2, "auto_map": {"a": "b.C"}})
    quantized = {f"model.layers.0.mlp.up_proj.{name}": ("I32", [16, 64]) for name in _PARTS}
    variants = {
        "config.json": [json.dumps(one).encode() for one in configs],
        "model.safetensors": [_safetensors({name: (dtype, shape) for name, (dtype, shape) in quantized.items()})],
        "tokenizer_config.json": [json.dumps({"chat_template": [{"name": "default", "template": "x"}]}).encode()],
    }
    source = {"type": "local", "path": "model", "license": "MIT"}
    made = planned(folder / "recipes", recipe(source=source, builds=BUILDS), recipe("two", source={**source, "dequantize": True}))
    return _Checkpoint(model, whole, variants, tuple(made.builds))


def _safetensors(tensors: dict[str, tuple[str, list[int]]], of: dict[str, Any] | None = None) -> bytes:
    header = json.dumps(of or {name: {"dtype": d, "shape": s, "data_offsets": [0, 4096]} for name, (d, s) in tensors.items()}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(4096)


def _config(random: Random, files: _Checkpoint) -> dict[str, bytes]:
    """One of the JSON files, changed; sometimes with the weights of a quantized checkpoint."""
    names = [name for name in files.whole if name.endswith(".json")]
    name = random.choice(["config.json"] * 6 + names)
    base = [files.whole[name], *files.variants.get(name, [])]
    weights = random.choice(files.variants["model.safetensors"])
    return {name: mutate.of_json(random, base)} | ({"model.safetensors": weights} if random.random() < 0.3 else {})


def _weights(random: Random, files: _Checkpoint) -> dict[str, bytes]:
    """A damaged safetensors file, one whose header says odd things, or an index that does."""
    chance = random.random()
    whole = files.whole["model.safetensors"]
    if chance < 0.15:
        index = {"metadata": {"total_size": 1}, "weight_map": {"a.weight": "model.safetensors", "b.weight": "b.safetensors"}}
        return {"model.safetensors": b"", "model.safetensors.index.json": mutate.of_json(random, [json.dumps(index).encode()])}
    if chance < 0.4:
        return {"model.safetensors": mutate.of_bytes(random, [whole[:3000], *files.variants["model.safetensors"]])}
    length = int.from_bytes(whole[:8], "little")
    header = mutate.of_json(random, [whole[8 : 8 + length], files.variants["model.safetensors"][0][8:-4096]])
    config = random.choice([files.whole["config.json"], *files.variants["config.json"]])
    return {"model.safetensors": len(header).to_bytes(8, "little") + header + whole[8 + length :], "config.json": config}


def _read_checkpoint(changes: dict[str, bytes], files: _Checkpoint) -> list[str]:
    for name, body in changes.items():
        (files.folder / name).write_bytes(body)
    try:
        if not changes.get("model.safetensors", b"x"):
            (files.folder / "model.safetensors").unlink()
        return _looked_at(files)
    finally:
        for name in changes.keys() & files.whole.keys():
            (files.folder / name).write_bytes(files.whole[name])
        for name in changes.keys() - files.whole.keys():
            (files.folder / name).unlink()


def _looked_at(files: _Checkpoint) -> list[str]:
    """All that is found out of a local checkpoint before any work, as `init`, `list` and a build do it one after the other."""
    session = Session(Store(files.folder.parent / "artifacts"))
    said: list[str] = []
    for look in (_by_init, _by_plan, _by_preflight):
        try:
            said += look(files, session)
        except Failure as failure:
            said += [failure.what, str(failure)]
    return [str(Failure("It does not fit.", details=tuple(text[:1000] for text in said)))] if said else []


def _by_init(files: _Checkpoint, session: Session) -> list[str]:
    origin.find(str(files.folder), files.folder.parent, session)
    return []


def _by_plan(files: _Checkpoint, session: Session) -> list[str]:
    local.resolve_model(files.folder.parent, "model", confined=True)
    local.fingerprint(files.folder, files.folder.parent / "cache.json")
    return []


def _by_preflight(files: _Checkpoint, session: Session) -> list[str]:
    survey = checkpoint.read_checkpoint(files.folder)
    said = list(safetensors_files.faults(files.folder))
    suitability.tokens_beyond(files.folder, survey.config, ["<a>"])
    for name in _TASKS:
        said += TASKS[name].unfit(survey)
    steps: dict[str, tuple[Step, Survey]] = {}
    for build in files.builds:
        of = dequantize.survey(survey) if build.checkpoint.maker == dequantize.MAKER else survey
        said += _of_build(build, of, files.folder)
        steps |= {step.key: (step, of) for step in build.package.closure()}
    for step, of in steps.values():
        estimates.of(step, of)
    return said


def _of_build(build: Build, survey: Survey, folder: Path) -> list[str]:
    options, task = build.resolved.options, TASKS[build.resolved.task]
    backend, toolchain = BACKENDS[options.runtime], build.resolved.toolchain
    said = [*task.unfit(survey), *misread(survey.config, toolchain), *task.misfits(build.resolved, survey)]
    for name in _TASKS:
        said += TASKS[name].misfits_of_files(build.resolved, folder, survey, False)
    said += backend.preflight(options, survey, toolchain, build.resolved.task)
    backend.room_for(options, survey.config)
    return said


TARGETS = (
    Target("gguf", _gguf, _ggufs, _read_gguf, (gguf_header.NotGGUF,)),
    Target("safetensors", _weights, _checkpoints, _read_checkpoint),
    Target("config", _config, _checkpoints, _read_checkpoint),
)
