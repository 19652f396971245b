"""How far a model is from its source: the step that computes the source's distributions, and what the measuring of all runtimes shares.

Two kinds of step. `fidelity_reference` has the next-token distributions of the unquantized checkpoint on the evaluation text and on its
own answers; one for each checkpoint and text. `fidelity` compares a model's with them, in its own runtime; a backend makes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pydantic import ValidationError

from bakehouse.formats import fields
from bakehouse.formats.checkpoint import Survey
from bakehouse.records import Fidelity
from bakehouse.steps.cost import Estimate, installed
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Report, Spec
from bakehouse.steps.step import Step
from bakehouse.tasks.text_generation.seams import FidelityReferenceRequest, FidelityReferenceResult, FidelityReferenceSpec
from bakehouse.tasks.text_generation.workers import fidelity_figures, fidelity_text
from bakehouse.tasks.text_generation.workers.fidelity_figures import REFERENCE
from bakehouse.tasks.text_generation.workers.fidelity_files import FIDELITY, WINDOWS

KIND, REFERENCE_KIND = "fidelity", "fidelity_reference"
FORMAT = 1  # raised when this code comes to measure otherwise, within one version of the definitions
REFERENCE_FORMAT = 1
ANSWER_TOKENS = 32
OWN_TEXT = "the recipe's own"
SAMPLES = "samples.txt"  # of the step that brings a recipe's own text
_TOOLS = ("numpy", "tokenizers", "torch", "transformers")
_POSITION_BYTES = 8 * fidelity_figures.KEPT + 12
_POSITIONS = 3000


def reference_step(label: str, checkpoint: Step, texts: Step | None, float32_below: int, remote_code: bool = False) -> Step:
    """The step that computes the source's distributions; `texts` brings the recipe's own text, if it has one."""
    spec = FidelityReferenceSpec(
        definitions=fidelity_figures.VERSION,
        text=OWN_TEXT if texts else f"bakehouse-{fidelity_text.VERSION}",
        shipped_sha256=_shipped_sha256(),
        kept=fidelity_figures.KEPT,
        first_scored=fidelity_text.FIRST_SCORED,
        longest=fidelity_text.LONGEST,
        most=fidelity_text.MOST,
        answer_tokens=ANSWER_TOKENS,
        float32_below=float32_below,
        remote_code=remote_code,
    )
    return Step(
        kind="fidelity_reference",
        maker="reference",
        label=label,
        spec=spec,
        needs=(("checkpoint", checkpoint), *((("texts", texts),) if texts else ())),
        tools=installed(*_TOOLS),
        format=REFERENCE_FORMAT,
    )


@cache
def _shipped_sha256() -> str:
    """The prompts are always the shipped ones, so their file is part of every reference."""
    return hashlib.sha256(fidelity_text.SHIPPED.read_bytes()).hexdigest()


def reference_command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that computes them."""
    spec = step.spec_as(FidelityReferenceSpec)
    request = FidelityReferenceRequest(
        checkpoint=inputs["checkpoint"],
        texts=inputs["texts"] / SAMPLES if "texts" in inputs else None,
        text=spec.text,
        files=files,
        answer_tokens=spec.answer_tokens,
        float32_below=spec.float32_below,
        remote_code=spec.remote_code,
    )
    return worker("tasks.text_generation.workers.fidelity_reference", request=request)


def reference_verify(files: Path, report: Report) -> Verification:
    """Whether both files were made."""
    if absent := tuple(f"{name} was not made" for name in (WINDOWS, REFERENCE) if not (files / name).is_file()):
        return Verification(faults=absent)
    return Verification(report.read(FidelityReferenceResult).model_dump(mode="json"))


def reference_disk_bytes() -> int:
    """About what reference.npz takes."""
    return _POSITIONS * _POSITION_BYTES


def step(maker: str, label: str, spec: Spec, needs: tuple[tuple[str, Step], ...], tools: dict[str, str]) -> Step:
    """The step that measures a model; `needs` has the role "reference", and the parts that decide its logits."""
    return Step(kind="fidelity", maker=maker, label=label, spec=spec, needs=needs, tools=tools, format=FORMAT)


def verify(files: Path) -> Verification:
    """Whether the figures were left, and are numbers. What they mean is the recipe's to say: see recipe.bounds."""
    if not (files / FIDELITY).is_file():
        return Verification(faults=(f"{FIDELITY} was not made",))
    try:
        found = Fidelity.model_validate_json((files / FIDELITY).read_bytes())
    except ValidationError as error:
        return Verification(faults=(f"{FIDELITY} does not have the figures of fidelity: {error.errors()[0]['msg']}",))
    return Verification(found.model_dump(mode="json"))


def estimate(survey: Survey, model_bytes: int) -> Estimate:
    """A loaded model with its logits."""
    vocabulary = fields.integer(survey.config, "vocab_size") or 0
    return Estimate(100_000, model_bytes + 4 * fidelity_text.LONGEST * vocabulary)
