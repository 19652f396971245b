"""Measures how far a model of the Intel NPU Acceleration Library is from its source, in the library's environment and by its loader."""

from __future__ import annotations

import runpy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakehouse.backends.npu_library.workers import generate as npulib_generate
from bakehouse.child import events, start
from bakehouse.tasks.text_generation.workers import fidelity_files
from bakehouse.tasks.text_generation.workers.fidelity_figures import Window

_LENGTHS = 64


@dataclass(frozen=True)
class Request:
    """The fields of seams.FidelityRequest."""

    model: str
    reference: str
    files: str
    positions: int | None = None


@dataclass(frozen=True)
class Result:
    """None: what is measured is a file."""


def padded(ids: Sequence[int]) -> list[int]:
    """The ids and so many zeros that few lengths are left: for each the library compiles its matrix products anew, half of the time here.

    What comes after a position does not change its logits: a Phi-3, the only kind that this backend makes, looks back only.
    """
    return [*ids, *[0] * (-len(ids) % _LENGTHS)]


def run(request: Request) -> Result:
    """Write fidelity.json."""
    warnings.simplefilter("ignore")  # of the library: that the machine has no NPU; the file says so
    events.progress("loading the model")
    import torch

    load: Any = runpy.run_path(str(Path(request.model) / "load.py"))["load"]
    model = load()
    reference = fidelity_files.read_reference(Path(request.reference))

    def logits(window: Window) -> Any:
        made = model(input_ids=torch.tensor([padded(window.ids)]), use_cache=False).logits[0]
        return made[window.first : len(window.ids) - 1].float().numpy()

    with torch.inference_mode():
        compared = fidelity_files.measure(reference, logits, request.positions)
    device, _, stand_in = npulib_generate.device()
    fidelity_files.write(Path(request.files), reference, compared, device, stand_in=stand_in)
    return Result()


if __name__ == "__main__":
    start.run_plain(run, Request)
