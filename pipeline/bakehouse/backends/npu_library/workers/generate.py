"""Answers prompts greedily with a package of the Intel NPU Acceleration Library, in its environment and through the package's loader."""

from __future__ import annotations

import runpy
import time
import warnings
from functools import partial
from pathlib import Path
from typing import Any

from bakehouse.backends.npu_library.workers import plain
from bakehouse.child import events
from bakehouse.tasks.text_generation.workers import answers, transformers_generate


def device() -> tuple[str, str, bool]:
    """Name and full name of what the library runs on, and whether that only stands in for an NPU."""
    from intel_npu_acceleration_library.backend import get_driver_version, npu_available

    if npu_available():
        return "NPU", f"Intel NPU, driver {get_driver_version()}", False
    return "CPU", answers.processor(), True


def run(request: plain.GenerateRequest) -> None:
    """Answer every prompt, and report what the model ran on."""
    warnings.simplefilter("ignore")  # of the library: that there is no NPU; it is reported below
    events.progress("loading the model")
    import torch
    from transformers import AutoTokenizer

    package = Path(request["model"])
    started = time.monotonic()
    load: Any = runpy.run_path(str(package / "load.py"))["load"]
    model = load()
    tokenizer = AutoTokenizer.from_pretrained(package, local_files_only=True)
    load_s = time.monotonic() - started
    with torch.inference_mode():
        prompts = answers.prompts(Path(request["prompts"]))
        answers.write(Path(request["answers"]), prompts, partial(transformers_generate.answer, model, tokenizer))
    name, full_name, stand_in = device()
    answers.report(name, full_name, load_s, stand_in=stand_in, end_tokens=transformers_generate.end_tokens(model))


if __name__ == "__main__":
    plain.run(run)
