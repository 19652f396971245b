"""Answers prompts greedily with a package of the Intel NPU Acceleration Library, in its environment and through the package's loader."""

from __future__ import annotations

import runpy
import time
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bakehouse.child import events, start
from bakehouse.tasks.text_generation.workers import answers, greedy


def device() -> tuple[str, str, bool]:
    """Name and full name of what the library runs on, and whether that only stands in for an NPU."""
    from intel_npu_acceleration_library.backend import get_driver_version, npu_available

    if npu_available():
        return "NPU", f"Intel NPU, driver {get_driver_version()}", False
    return "CPU", answers.processor(), True


@dataclass(frozen=True)
class Request:
    """The fields of seams.GenerateRequest."""

    model: str
    prompts: list[answers.PromptJson]
    answers: str


@dataclass(frozen=True)
class Result:
    """Fields of seams.GenerateResult."""

    device: str
    device_name: str
    load_s: float
    stand_in: bool
    end_tokens: list[int]


def run(request: Request) -> Result:
    """Write the answers."""
    warnings.simplefilter("ignore")  # of the library: that the machine has no NPU; the result says so
    events.progress("loading the model")
    import torch
    from transformers import AutoTokenizer

    folder = Path(request.model)
    started = time.monotonic()
    load: Any = runpy.run_path(str(folder / "load.py"))["load"]
    model = load()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    load_s = time.monotonic() - started
    with torch.inference_mode():
        answers.write(Path(request.answers), answers.prompts(request.prompts), partial(greedy.answer, model, tokenizer))
    name, full_name, stand_in = device()
    return Result(device=name, device_name=full_name, load_s=load_s, stand_in=stand_in, end_tokens=greedy.end_tokens(model))


if __name__ == "__main__":
    start.run_plain(run, Request)
