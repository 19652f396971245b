"""On what a pipeline of another task than text generation runs: the machine's NPU, or its graphs on the CPU in place of it."""

from __future__ import annotations

from bakehouse.backends.openvino.workers.run import refuse_absent
from bakehouse.backends.openvino_npu.workers.generate import Choice, choose
from bakehouse.tasks.seams import RunRequest, RunResult


def chosen(request: RunRequest) -> Choice:
    """The NPU if there is one; else the CPU, unless somebody wants to use the model there without having said so."""
    import openvino as ov

    core = ov.Core()
    if request.only_in_use and request.device != "CPU":
        refuse_absent(core, "NPU")
    return choose(core, request.model, (), on_cpu=request.device == "CPU")


def result(choice: Choice, load_s: float, options: dict[str, str]) -> RunResult:
    """What the model ran on, once and in one way; `options` are those that users have to give, too."""
    return RunResult(
        device="CPU" if choice.stand_in else "NPU",
        device_name=choice.name,
        load_s=load_s,
        runtime_options=options | choice.settings,
        stand_in=choice.stand_in,
    )
