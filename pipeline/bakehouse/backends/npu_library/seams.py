"""What crosses between this backend and its workers: specs, requests, results, and what is measured of what was made.

The workers that run in the library's environment have no pydantic: they have the same fields as dataclasses of their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from bakehouse.records import Distribution, Written
from bakehouse.steps.seam import Request, Result, Spec
from bakehouse.tasks.text_generation import seams as text_generation


class EnvironmentSpec(Spec):
    """The environment: the sha256 of each lock by its name, sys.platform, and Python's version as "3.11"."""

    locks: dict[str, str]
    system: str
    python: str


class CompileSpec(Spec):
    """A model with linear layers in `weights` and everything else in `torch_dtype`; `untie`: the head gets weights of its own."""

    weights: Literal["int4", "int8", "fp16"]
    torch_dtype: Literal["float32", "float16"]
    untie: bool = True


class SetupRequest(Request):
    """Fill the folder `files` with the environment."""

    files: Path


class CheckRequest(Request):
    """Nothing but where it runs."""


class CheckResult(Result):
    """What was found in the environment: the Python files below it that were imported, the device, and versions by distribution."""

    modules: tuple[str, ...]
    device: str
    versions: dict[str, str]


class SetupResult(Result):
    """What the environment holds, and the C++ compiler that was used, on one line; None on Windows, where the library has wheels."""

    device: str
    versions: dict[str, str]
    packages: tuple[Distribution, ...]
    compiler: str | None = None


class CompileRequest(Request):
    """Fill the folder `files` with the model of `spec`, made of the checkpoint."""

    checkpoint: Path
    files: Path
    spec: CompileSpec


class CompileResult(Result):
    """By layer, the norm of its weights' difference from the source's, over the norm of those."""

    relative_errors: dict[str, float]


class FidelityRequest(text_generation.FidelityRequest):
    """Compare the model in the folder `model` with its source."""

    model: Path


class MeasuredEnvironment(Written):
    """What manifest and card have of the environment: versions by distribution, and the compiler."""

    packages: dict[str, str]
    compiler: str | None


class Measured(Written):
    """What manifest and card have of a model: numbers of weights by precision, and how far its layers are from the source's."""

    weights: dict[str, int]
    linear_layers: int
    linear_layers_stored_as: tuple[str, ...]
    rest_stored_as: str
    mean_relative_error: float
    largest_relative_error: float
    largest_relative_error_at: str
    embedding_relative_error: float
