"""The model folders of a package, as the profiles for places that take ONNX Runtime GenAI's models need them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from bakehouse.backends.delivery import Packed
from bakehouse.backends.onnxruntime_genai import genai_config
from bakehouse.backends.onnxruntime_genai.genai_config import GenaiConfig
from bakehouse.backends.onnxruntime_genai.options import OnnxRuntimeGenAI
from bakehouse.backends.onnxruntime_genai.quantization import TITLES
from bakehouse.errors import Failure
from bakehouse.recipe.kinds import BuildOptions

_FILES = (genai_config.NAME, "model.onnx", "model.onnx.data", "tokenizer.json", "tokenizer_config.json")
_AGAIN = "download or build the package again"


@dataclass(frozen=True)
class Model:
    """A model folder: its build, its path in the package, its files (name -> path in the package), and its genai_config.json."""

    build: OnnxRuntimeGenAI
    folder: str
    files: dict[str, str]
    config: GenaiConfig

    @property
    def kind(self) -> str:
        """Its architecture, as the model builder calls it: "llama"."""
        return self.config.model.type

    @property
    def title(self) -> str:
        """What it is made for, as people call it."""
        return TITLES[self.build.execution_provider]


def all_of(packed: Packed) -> tuple[Model, ...]:
    """The models of a package."""
    return tuple(_model(packed, build) for build in packed.builds if isinstance(build, OnnxRuntimeGenAI))


def one_model(profile: str, name: str, builds: tuple[BuildOptions, ...]) -> OnnxRuntimeGenAI:
    """The build of a package that has one, for a profile that takes no more.

    Raises:
        Failure: it is a bundle of several.
    """
    known = tuple(build for build in builds if isinstance(build, OnnxRuntimeGenAI))
    if len(known) > 1:
        folders = ", ".join(build.folder() for build in known)
        raise Failure(
            f"{profile} takes one model, and {name} has {len(known)}: {folders}",
            remedy="name one of its builds instead of the bundle",
        )
    return known[0]


def only(packed: Packed) -> Model:
    """The model of a package that has one."""
    (model,) = all_of(packed)
    return model


def config_text(packed: Packed, model: Model) -> dict[str, Any]:
    """All of its genai_config.json."""
    return json_file(packed, model.files[genai_config.NAME])


def json_file(packed: Packed, path: str) -> dict[str, Any]:
    """A small JSON file of the package.

    Raises:
        Failure: it is not one.
    """
    try:
        read = json.loads(packed.text(path))
    except (OSError, ValueError):
        read = None
    if not isinstance(read, dict):
        raise Failure(f"{path} is not a JSON object", where=str(packed.folder), remedy=_AGAIN)
    return read


def _model(packed: Packed, build: OnnxRuntimeGenAI) -> Model:
    folder = build.folder()
    files = packed.below(folder)
    if absent := [name for name in _FILES if name not in files]:
        raise Failure(f"{folder} has no {absent[0]}", where=str(packed.folder), remedy=_AGAIN)
    try:
        return Model(build, folder, files, genai_config.read(packed.folder / folder))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        what = f"{folder}/{genai_config.NAME}: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise Failure(what, where=str(packed.folder), remedy=_AGAIN) from None
