"""Runs a package's model in openvino_genai twice: in the model's own precision, then as the card's program does; see `generate`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from bakehouse.backends.openvino.workers.generate import ACCURATE, Options, precision
from bakehouse.backends.openvino.workers.run import refuse_absent
from bakehouse.child import events
from bakehouse.tasks.seams import RunRequest, RunResult

_Found = TypeVar("_Found")


def run(
    request: RunRequest, options: Options, load: Callable[[Options], Any], give: Callable[[Any], tuple[_Found, ...]]
) -> tuple[tuple[_Found, ...], tuple[_Found, ...], RunResult]:
    """What the model gives in its own precision (nothing if that is not wanted), what users get, and what it ran on.

    Args:
        options: what users give the runtime.
        load: makes the pipeline with options.
        give: gives it the inputs.
    """
    import openvino as ov

    core, device, only_in_use = ov.Core(), request.device or "CPU", request.only_in_use
    refuse_absent(core, device)
    own: tuple[_Found, ...] = ()
    load_s = 0.0
    if not only_in_use:
        pipe, load_s = _loaded(load, ACCURATE)
        own = give(pipe)
        del pipe
    used = own
    if only_in_use or options != ACCURATE:
        pipe, seconds = _loaded(load, options)
        used, load_s = give(pipe), load_s or seconds
    result = RunResult(
        device=device,
        device_name=str(core.get_property(device, "FULL_DEVICE_NAME")).strip(),
        load_s=load_s,
        runtime_options=ACCURATE,
        in_use={name: str(value) for name, value in options.items()},
        precision=precision(core, device, options),
    )
    return own, used, result


def _loaded(load: Callable[[Options], Any], options: Options) -> tuple[Any, float]:
    events.progress("loading the model")
    started = time.monotonic()
    pipe = load(options)
    return pipe, time.monotonic() - started
