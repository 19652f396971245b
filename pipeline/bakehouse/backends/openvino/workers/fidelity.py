"""Measures how far a compressed model is from its source in OpenVINO: in its own precision, and in the mode that users get."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bakehouse.backends.openvino.options import given, of_the_plugin
from bakehouse.backends.openvino.seams import FidelityRequest
from bakehouse.backends.openvino.workers.generate import precision
from bakehouse.backends.openvino.workers.logits import ACCURATE, MODEL, inputs
from bakehouse.child import events, start
from bakehouse.tasks.text_generation.workers import fidelity_figures, fidelity_files
from bakehouse.tasks.text_generation.workers.fidelity_figures import Compared, Window
from bakehouse.tasks.text_generation.workers.fidelity_files import Reference

DEVICE, KV_CACHE = "CPU", "KV_CACHE_PRECISION"


def measure(folder: Path, reference: Reference, positions: int | None, options: Mapping[str, str | int], doing: str) -> list[Compared]:
    """The model's distributions with these options against the source's, all positions of a window at once."""
    import openvino as ov

    events.progress("compiling the model")
    compiled = ov.Core().compile_model(folder / MODEL, DEVICE, dict(options))
    refuse_ignored(compiled, options)
    names = {name for port in compiled.inputs for name in port.names}
    request = compiled.create_infer_request()

    def logits(window: Window) -> Any:
        request.reset_state()
        request.infer({name: value for name, value in inputs(window.ids).items() if name in names})
        return request.get_tensor("logits").data[0, window.first : len(window.ids) - 1]

    return fidelity_files.measure(reference, logits, positions, doing)


def refuse_ignored(compiled: Any, options: Mapping[str, str | int]) -> None:
    """End here if the plugin has compiled the model with another precision of its cache than it was given."""
    wanted = options.get(KV_CACHE)
    if wanted and (found := str(compiled.get_property(KV_CACHE).get_type_name())) != wanted:
        events.refuse(
            f"OpenVINO keeps keys and values in {found} on the {DEVICE}, although {KV_CACHE} is {wanted}.",
            "Take another precision, or leave the option out.",
        )


def used(folder: Path, reference: Reference, options: Mapping[str, str | int]) -> dict[str, object] | None:
    """The fields of records.UsedFidelity; None where users get the model's own precision."""
    plain = of_the_plugin(options)
    if plain == ACCURATE:
        return None
    import openvino as ov

    found = measure(folder, reference, None, plain, "measuring fidelity as users run it")
    return {
        "runtime_options": {name: str(value) for name, value in options.items()},
        "precision": precision(ov.Core(), DEVICE, plain),
        "figures": fidelity_figures.figures(found),
    }


def run(request: FidelityRequest) -> None:
    """Write fidelity.json."""
    reference = fidelity_files.read_reference(request.reference)
    found = measure(request.model, reference, request.positions, ACCURATE, "measuring fidelity")
    # A part of the positions is a search's first look, which is about the model alone.
    in_use = None if request.positions else used(request.model, reference, given(request.runtime_options))
    fidelity_files.write(request.files, reference, found, DEVICE, in_use=in_use)


if __name__ == "__main__":
    start.run(run, FidelityRequest)
