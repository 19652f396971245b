"""Answers prompts greedily in openvino_genai's NPU pipeline: on the NPU where there is one, importing the blob; else its graphs on the CPU.

    python -m pipeline.workers.npu_generate MODEL_FOLDER REQUEST ANSWERS '{"settings": {...}, "platforms": [...]}'

The pipeline has graphs of fixed shape, one for prompts and one for answers. NPUW can run the same graphs on the CPU: that shows the
weights, the shapes and the pipeline, and not the NPU's code.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.workers import answers, events, hermetic, leash
from pipeline.workers.openvino_generate import answer, encode


def choose(core: Any, folder: Path, platforms: list[int]) -> tuple[dict[str, str], str]:
    """What the pipeline is told besides, and the device in words."""
    if "NPU" not in core.available_devices:
        compiled = "; blobs were compiled and not executed" if platforms else ""
        name = str(core.get_property("CPU", "FULL_DEVICE_NAME")).strip()
        return {"NPU_USE_NPUW": "YES", "NPUW_DEVICES": "CPU"}, f"{name}, running the NPU pipeline's graphs{compiled}"
    name = str(core.get_property("NPU", "FULL_DEVICE_NAME")).strip()
    platform = str(core.get_property("NPU", "DEVICE_ARCHITECTURE")).strip()
    if platform not in map(str, platforms):
        return {}, f"{name}, platform {platform}, compiled here" + (
            "; the blobs for other platforms were not executed" if platforms else ""
        )
    blob = folder / "npu" / platform / "openvino_model.blob"
    described = json.loads(blob.with_suffix(".json").read_text(encoding="utf-8"))
    weights = {"WEIGHTS_PATH": str(folder / "openvino_model.bin")} if described["cache_mode"] == "OPTIMIZE_SIZE" else {}
    return {"BLOB_PATH": str(blob), **weights}, f"{name}, platform {platform}, from its blob"


def check_lengths(pipe: Any, asked: list[answers.Prompt], longest: int) -> None:
    """Refuse prompts that the graphs have no room for, all at once."""
    sizes = [len(encode(pipe.get_tokenizer(), prompt).input_ids.data[0]) for prompt in asked]
    long = [f"golden prompt {number} has {size} tokens" for number, size in enumerate(sizes, 1) if size > longest]
    if long:
        events.refuse(
            f"The graphs take prompts of at most {longest} tokens.",
            "Raise max_prompt_len in the recipe, or shorten the prompt.",
            long,
        )


def main() -> None:
    """Write the answers, and on what they were made."""
    leash.hold()
    hermetic.seal()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("request", type=Path)
    parser.add_argument("answers", type=Path)
    parser.add_argument("told", type=json.loads)
    told = parser.parse_args()
    events.progress("loading the model")
    import openvino as ov
    import openvino_genai

    chosen, name = choose(ov.Core(), told.model, told.told["platforms"])
    settings = told.told["settings"]
    numbers = {key: int(settings[key]) for key in ("MAX_PROMPT_LEN", "MIN_RESPONSE_LEN")}
    started = time.monotonic()
    pipe = openvino_genai.LLMPipeline(told.model, "NPU", **{**settings, **numbers, **chosen})
    load_s = time.monotonic() - started
    asked = answers.prompts(told.request)
    check_lengths(pipe, asked, numbers["MAX_PROMPT_LEN"])
    answers.write(told.answers, asked, partial(answer, pipe))
    stand_in = "NPUW_DEVICES" in chosen
    config = pipe.get_generation_config()
    ends = sorted({*config.stop_token_ids, config.eos_token_id})
    answers.report("CPU" if stand_in else "NPU", name, load_s, end_tokens=ends, stand_in=stand_in)


if __name__ == "__main__":
    main()
