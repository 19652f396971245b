"""Makes what every build is compared with: what the unquantized checkpoint hears, in transformers, in float32, token by token greedily."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bakehouse.steps.maker import Verification
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Step
from bakehouse.tasks.source_run import SourceRun
from bakehouse.tasks.speech.recordings import recorded
from bakehouse.tasks.speech.seams import HEARD, Heard, ReferenceRequest, ReferenceSpec


def _request(step: Step, inputs: Mapping[str, Path], files: Path) -> ReferenceRequest:
    spec = step.spec_as(ReferenceSpec)
    recordings = recorded(spec.languages, spec.timestamps, inputs)
    return ReferenceRequest(checkpoint=inputs["checkpoint"], recordings=recordings, heard=files / HEARD, remote_code=spec.remote_code)


def _verify(step: Step, files: Path, report: Report) -> Verification:
    """Compare what was heard with the recordings: something in each."""
    if not (files / HEARD).is_file():
        return Verification(faults=(f"{HEARD} was not made",))
    found, wanted = read(files).heard, len(step.spec_as(ReferenceSpec).languages)
    faults = [f"the reference has {len(found)} texts of {wanted} recordings"] if len(found) != wanted else []
    faults += [f"the unquantized model hears nothing in recording {number}" for number, one in enumerate(found, 1) if not one.tokens]
    return Verification({"recordings": len(found)}, tuple(faults))


def read(files: Path) -> Heard:
    """What a worker wrote."""
    return Heard.model_validate_json((files / HEARD).read_bytes())


RUN = SourceRun("speech", "tasks.speech.workers.transformers_transcribe", _request, _verify)
