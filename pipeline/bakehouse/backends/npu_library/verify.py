"""Compares a compiled model with what the recipe requests; the pickle is read without running it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from bakehouse.backends.npu_library.seams import CompileSpec, Measured
from bakehouse.formats import npulib_pickle as library_pickle
from bakehouse.formats.npulib_pickle import Tensor, Thing
from bakehouse.store import files as file_tools

MODEL, LOADER = "pytorch_npu_model.pt", "load.py"
ENVIRONMENTS = Path(__file__).resolve().parent / "environments"
_LINEAR = {"fp16": "Linear", "int8": "QuantizedLinear", "int4": "QuantizedLinear"}
_STORED = {"fp16": "float16", "int8": "int8", "int4": "uint8"}
_PRECISIONS = {"float32": "fp32", "float16": "fp16", "int8": "int8_sym", "uint8": "int4_sym"}


def _layers(model: Thing) -> dict[str, Thing]:
    """The layers that the library made, by name."""
    return {name: module for name, module in library_pickle.modules(model) if module.name.startswith("intel_npu_acceleration_library.")}


def judge(model: Thing, source: Mapping[str, tuple[int, ...]], spec: CompileSpec) -> Iterator[str]:
    """Every matrix of the source but the embedding is a layer of the requested kind, everything else has the requested precision."""
    layers = _layers(model)
    found = {
        f"{name}.{key}": tensor for name, one in library_pickle.modules(model) for key, tensor in library_pickle.parameters(one).items()
    }
    for name, shape in sorted(source.items()):
        owner = name.removesuffix(".weight")
        linear = len(shape) == 2 and not owner.endswith("embed_tokens")
        tensor = found.get(name)
        if tensor is None:
            yield f"{name} of the checkpoint is not in the model"
        elif not linear:
            yield from _differs(name, tensor, Tensor(spec.torch_dtype, shape))
        elif owner not in layers or not layers[owner].name.endswith(f".{_LINEAR[spec.weights]}"):
            yield f"{owner} is no {_LINEAR[spec.weights]} of the library"
        else:
            packed = (shape[0], shape[1] // 2) if spec.weights == "int4" else shape
            yield from _differs(name, tensor, Tensor(_STORED[spec.weights], packed))
            if spec.weights != "fp16":
                scale = found.get(f"{owner}.scale", Tensor("nothing", ()))
                yield from _differs(f"{owner}.scale", scale, Tensor("float16", (shape[0], 1)))
    more = sorted(set(layers) - {name.removesuffix(".weight") for name in source} - {"lm_head"})
    if more:
        yield f"{more[0]} is a layer that the checkpoint has not"


def _differs(name: str, found: Tensor, wanted: Tensor) -> Iterator[str]:
    if found != wanted:
        yield f"{name} is {found.dtype} {list(found.shape)}, should be {wanted.dtype} {list(wanted.shape)}"


def measure(model: Thing, spec: CompileSpec, errors: Mapping[str, float]) -> Measured:
    """What manifest and card have of it; `errors` are those of the layers, by name."""
    layers = _layers(model)
    weights = [library_pickle.parameters(layer).get("weight") for layer in layers.values()]
    kinds = sorted({weight.dtype for weight in weights if weight})
    of_layers = {name: error for name, error in errors.items() if name in layers}
    worst = max(of_layers, key=lambda name: of_layers[name], default="")
    return Measured(
        weights=_counts(model),
        linear_layers=len(layers),
        linear_layers_stored_as=tuple("int4, two in a byte" if kind == "uint8" else kind for kind in kinds),
        rest_stored_as=spec.torch_dtype,
        mean_relative_error=round(sum(of_layers.values()) / max(1, len(of_layers)), 5),
        largest_relative_error=of_layers.get(worst, 0.0),
        largest_relative_error_at=worst,
        embedding_relative_error=errors["model.embed_tokens"],
    )


def _counts(model: Thing) -> dict[str, int]:
    """Numbers in all weights, by precision."""
    counts: Counter[str] = Counter()
    for _, module in library_pickle.modules(model):
        if weight := library_pickle.parameters(module).get("weight"):
            counts[_PRECISIONS[weight.dtype]] += math.prod(weight.shape) * (2 if weight.dtype == "uint8" else 1)
    return dict(sorted(counts.items()))


def judge_loader(files: Path) -> Iterator[str]:
    """The loader in `files` is ours, and loads this very model."""
    text = (ENVIRONMENTS / f"npulib-{LOADER}.txt").read_text(encoding="utf-8").replace("@SHA256@", file_tools.sha256(files / MODEL))
    if (files / LOADER).read_text(encoding="utf-8") != text:
        yield f"{LOADER} does not name the sha256 of {MODEL}"
