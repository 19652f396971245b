"""What a checkpoint says of itself that a model folder made of it has to say, too."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from bakehouse.backends.onnxruntime_genai.genai_config import SEARCH
from bakehouse.formats import checkpoint as survey
from bakehouse.formats.checkpoint import Tensor
from bakehouse.formats.config_json import Config
from bakehouse.tasks.text_generation.weight_names import ties
from bakehouse.tasks.text_generation.workers import end_tokens


@dataclass(frozen=True)
class Generation:
    """What generation_config.json sets: the ids that end an answer, as they stand in the file, and search defaults by name."""

    end_tokens: tuple[int, ...] = ()
    search: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """What the checkpoint says of itself: config.json, generation_config.json, and how many numbers its matrices have.

    `two_heads`: its files hold a last MatMul that is not the embedding, whatever config.json says.
    """

    config: Config
    generation: Generation
    matrix_weights: int | None
    two_heads: bool = False
    end_tokens: tuple[int, ...] = ()

    @property
    def ties(self) -> bool:
        """Whether embedding and last MatMul are one matrix."""
        return ties(self.config) and not self.two_heads


def read(checkpoint: Path, two_heads: bool = False) -> Source:
    """The source as its files say; of a checkpoint that is quantized already the matrices are not counted."""
    found = survey.read_checkpoint(checkpoint)
    # Some checkpoints that tie hold the embedding a second time, under the last MatMul's name.
    again = {"lm_head.weight"} if ties(found.config) and not two_heads else set()
    matrices = sum(math.prod(tensor.shape) for tensor in found.tensors if _is_matrix(tensor) and tensor.name not in again)
    counted = None if "quantization_config" in found.config else matrices
    return Source(found.config, generation(checkpoint), counted, two_heads, tuple(end_tokens.of(checkpoint)))


def _is_matrix(tensor: Tensor) -> bool:
    """Whether a tensor is a matrix, or one for each expert; their biases lie one above another as well."""
    dimensions = len(tensor.shape)
    return (dimensions == 2 and not tensor.name.endswith("bias")) or (dimensions == 3 and ".experts." in tensor.name)


def generation(checkpoint: Path) -> Generation:
    """generation_config.json, where there is one, with the checkpoint's end tokens, whichever of its files names them."""
    path = checkpoint / end_tokens.GENERATION
    config = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    ends = config.get("eos_token_id")
    return Generation(
        tuple(end_tokens.of(checkpoint) if ends is None else end_tokens.as_named(ends)),
        {name: config[name] for name in SEARCH if config.get(name) is not None},
    )
