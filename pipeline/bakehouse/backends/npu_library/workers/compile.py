"""Compiles a checkpoint with the Intel NPU Acceleration Library, in its environment, and measures how far each layer is from its source.

It does what `NPUModelForCausalLM.from_pretrained` does, but for two things that would make another model: see `untie` and `name`.
"""

from __future__ import annotations

import hashlib
import math
import shutil
import uuid
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from bakehouse.backends.npu_library.workers import checkpoint as npulib_checkpoint
from bakehouse.child import events, start
from bakehouse.tasks.text_generation.workers import loading

MODEL = "pytorch_npu_model.pt"
LOADER = "load.py"
_TEMPLATE = Path(__file__).resolve().parent.parent / "environments" / f"npulib-{LOADER}.txt"


class Spec(TypedDict):
    """The fields of seams.CompileSpec."""

    weights: str
    torch_dtype: str
    untie: bool


@dataclass(frozen=True)
class Request:
    """The fields of seams.CompileRequest."""

    checkpoint: str
    files: str
    spec: Spec


@dataclass(frozen=True)
class Result:
    """The fields of seams.CompileResult."""

    relative_errors: dict[str, float]


def run(request: Request) -> Result:
    """Fill the folder with the compiled model, its loader, its tokenizer and its configs."""
    warnings.simplefilter("ignore")  # of the library: that there is no NPU; what it runs on is reported when it generates
    checkpoint, files = Path(request.checkpoint), Path(request.files)
    folder = Path("model")  # relative, below the scratch folder: the path is pickled with the model
    npulib_checkpoint.copy(checkpoint, folder)
    model = compiled(folder, request.spec)
    events.progress("comparing with the source")
    errors = dict(distances(model, checkpoint))
    events.progress("saving the model")
    save(model, files)
    kept = {*npulib_checkpoint.TOKENIZER_FILES, "config.json", "generation_config.json"} - {"chat_template.jinja"}
    for path in sorted(folder.iterdir()):
        if path.name in kept:
            shutil.copyfile(path, files / path.name)
    return Result(relative_errors={name: round(error, 6) for name, error in errors.items()})


def compiled(folder: Path, spec: Spec) -> Any:
    """The model of `folder`, compiled by the library."""
    if npulib_checkpoint.read(folder / "config.json").get("tie_word_embeddings") and loading.has_two_heads(folder):
        events.refuse(
            "config.json makes embedding and head one matrix, and the files hold two: the library's transformers 4.46 would leave one out.",
            "Take another runtime for this model, or a checkpoint whose config.json says tie_word_embeddings: false.",
        )
    events.progress("importing the library")
    import intel_npu_acceleration_library as library
    import torch
    from intel_npu_acceleration_library.compiler import CompilerConfig

    dtypes = {"int4": library.int4, "int8": library.int8, "fp16": torch.float16}
    events.progress("loading the checkpoint")
    precision = getattr(torch, spec["torch_dtype"])
    model = loading.causal_lm(folder, use_cache=True, attn_implementation="sdpa", torch_dtype=precision)
    if spec["untie"]:
        untie(model)
    events.progress("compiling the model")
    model = library.compile(model, CompilerConfig(dtype=dtypes[spec["weights"]]))
    name(model)
    return model


def untie(model: Any) -> None:
    """Give the head weights of its own.

    neural-compressor 3.1 (qdq_weight_sym in adaptor/torch_utils/weight_only.py) divides and rounds a layer's weight in place. Where
    the head's is the embedding's too, the embedding would be left as integers, and the model would write nothing but line ends.
    """
    import torch

    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    if head is not None and head.weight is embedding.weight:
        head.weight = torch.nn.Parameter(head.weight.detach().clone(), requires_grad=False)
        model.config.tie_word_embeddings = False


def name(model: Any) -> None:
    """Give each layer an identity made of its place and content, in place of a random one: two runs are to give the same bytes.

    By it the library finds the weights that it has on the device, so it must differ between any two layers of any models.
    """
    for place, layer in linear_layers(model):
        digest = hashlib.sha256(f"{place} {tuple(layer.weight.shape)}".encode())
        digest.update(layer.weight.detach().contiguous().numpy().tobytes())
        layer.op_id = str(uuid.UUID(bytes=digest.digest()[:16]))


def linear_layers(model: Any) -> Iterator[tuple[str, Any]]:
    """Name and layer of all that the library replaced."""
    from intel_npu_acceleration_library.nn.linear import Linear, QuantizedLinear

    return ((place, layer) for place, layer in model.named_modules() if isinstance(layer, Linear | QuantizedLinear))


def distances(model: Any, checkpoint: Path) -> Iterator[tuple[str, float]]:
    """Of each linear layer and the embedding: the norm of its weights' difference from the source's, over the norm of those."""
    from safetensors import safe_open

    opened: list[Any] = [safe_open(path, framework="pt") for path in sorted(checkpoint.glob("*.safetensors"))]  # type: ignore[no-untyped-call]
    shards = {key: one for one in opened for key in one.keys()}  # noqa: SIM118

    def source(place: str) -> Any:
        key = f"{place}.weight"
        if key not in shards and place == "lm_head":
            key = "model.embed_tokens.weight"  # tied
        return shards[key].get_tensor(key).float()

    for place, layer in [*linear_layers(model), ("model.embed_tokens", model.get_input_embeddings())]:
        wanted = source(place)
        yield place, float((dense(layer) - wanted).norm() / wanted.norm())


def dense(layer: Any) -> Any:
    """A layer's weights as float32, integers times their scales."""
    import torch

    weight = layer.weight.detach()
    if weight.is_floating_point():
        return weight.float()
    if weight.dtype == torch.uint8:  # two numbers of 4 bits, the lower one first
        halves = torch.stack(((weight & 15).to(torch.int8), (weight >> 4).to(torch.int8)), dim=-1)
        weight = torch.where(halves > 7, halves - 16, halves).flatten(1)
    # QuantizedLinear keeps its scales times the root of the number of inputs, by which it divides what comes in.
    return weight.float() * (layer.scale.float() / math.sqrt(layer.inC)).view(-1, 1)


def save(model: Any, files: Path) -> None:
    """Write the model as the library does, and a loader that knows its sha256."""
    import torch

    # A hash of Python's, which is another in every process, and compared (transformers 4.46, generate) within one only.
    model.generation_config._original_object_hash = 0
    torch.save(model, files / MODEL)
    with (files / MODEL).open("rb") as written:
        digest = hashlib.file_digest(written, "sha256").hexdigest()
    (files / LOADER).write_text(_TEMPLATE.read_text(encoding="utf-8").replace("@SHA256@", digest), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    start.run_plain(run, Request)
