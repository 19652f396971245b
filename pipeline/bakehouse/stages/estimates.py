"""What a step will take, as its backend knows. A forecast needs this, and not what makes steps, which `dispatch` imports."""

from __future__ import annotations

from bakehouse.backends.table import BACKENDS
from bakehouse.child import mapped
from bakehouse.formats.checkpoint import Survey
from bakehouse.sources import adapters, dequantize
from bakehouse.steps.cost import Estimate
from bakehouse.steps.step import Step
from bakehouse.tasks.table import REFERENCES
from bakehouse.toolchains import setup as toolchains


def of(step: Step, survey: Survey) -> Estimate:
    """What a step will take; of downloads and packages, whose size is others' to know, nothing."""
    if step.maker == adapters.MAKER:
        return adapters.estimate(survey)
    if step.maker == dequantize.MAKER:
        return dequantize.estimate(survey)
    if step.kind in ("download", "calibration", "recording", "picture", "checkpoint", "package"):
        return Estimate(disk_bytes=0, memory_bytes=0)
    if step.maker == toolchains.MAKER:
        return toolchains.estimate()
    return (REFERENCES.get(step.maker) or BACKENDS[step.maker]).estimate(step, survey)


def resident_bytes(estimate: Estimate) -> int:
    """Memory that a machine needs for a step: what its hungriest child cannot share, and what stays resident of the files that it maps."""
    return estimate.own_bytes + mapped.held_bytes(estimate.mapped_bytes)
