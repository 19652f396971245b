"""Answers prompts greedily in openvino_genai's NPU pipeline: on the machine's NPU, importing the blob; without one its graphs on the CPU.

The pipeline has graphs of fixed shape, one for prompts and one for answers. NPUW can run the same graphs on the CPU: that shows the
weights, the shapes and the pipeline, and not the NPU's code. There they compute in the model's own precision, as the OpenVINO backend does.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bakehouse.backends.openvino.workers.generate import ACCURATE, answer, encode
from bakehouse.backends.openvino_npu.seams import GenerateRequest
from bakehouse.backends.openvino_npu.workers import logits as npu_logits
from bakehouse.child import events, start
from bakehouse.tasks.text_generation.seams import GenerateResult
from bakehouse.tasks.text_generation.workers import answers

# Ordinary words; their tokens are repeated for longer prompts.
TEXT = (
    "The harbour was quiet when the first boats came in, and nobody had lit the lamps. In 1869 a chemist wrote sixty-three names on cards. "
    "Rain fell on the tin roof all night; by morning the road to the mill was gone. What the map called a village was a well and a barn."
)

CANNOT_LOAD = (
    "The NPU pipeline cannot load this model with its graphs of fixed shape.",
    "Try another max_prompt_len or prefill_hint, or build it for the runtime openvino.",
)
# What NPUW says of a model in which it finds no equal layers to make one function of (2026.4.1; tried with models of two to eight layers).
_UNFOLDED = "Model references undeclared parameters"
CANNOT_FOLD = (
    "The NPU pipeline cannot fold this model's layers into one: it has too few of them, or they are of several kinds.",
    "Take a model of eight equal layers or more, or build it for the runtime openvino.",
)


def why_not_loaded(error: RuntimeError) -> tuple[str, str]:
    """What to say where the pipeline does not load a model, and what to do."""
    return CANNOT_FOLD if _UNFOLDED in str(error) else CANNOT_LOAD


@dataclass(frozen=True)
class Choice:
    """Further settings of the pipeline, the files that it opens, the device in words, and the platforms whose blobs do not run."""

    settings: dict[str, str]
    files: dict[str, str]
    name: str
    not_run: tuple[int, ...]
    stand_in: bool = False


def choose(core: Any, folder: Path, platforms: Sequence[int], *, on_cpu: bool = False) -> Choice:
    """The NPU with its blob if it has one here, the NPU without, or the CPU in its place, also if that is requested."""
    if on_cpu or "NPU" not in core.available_devices:
        compiled = "; blobs were compiled and not executed" if platforms else ""
        name = f"{_full_name(core, 'CPU')}, running the NPU pipeline's graphs{compiled}"
        return Choice({"NPU_USE_NPUW": "YES", "NPUW_DEVICES": "CPU", **ACCURATE}, {}, name, tuple(platforms), stand_in=True)
    platform = str(core.get_property("NPU", "DEVICE_ARCHITECTURE")).strip()
    name = f"{_full_name(core, 'NPU')}, platform {platform}"
    others = tuple(one for one in platforms if str(one) != platform)
    if len(others) == len(platforms):
        return Choice({}, {}, f"{name}, compiled here", others)
    blob = folder / "npu" / platform / "openvino_model.blob"
    described = json.loads(blob.with_suffix(".json").read_text(encoding="utf-8"))
    weights = {"WEIGHTS_PATH": str(folder / "openvino_model.bin")} if described["cache_mode"] == "OPTIMIZE_SIZE" else {}
    return Choice({}, {"BLOB_PATH": str(blob), **weights}, f"{name}, from its blob", others)


def _full_name(core: Any, device: str) -> str:
    return str(core.get_property(device, "FULL_DEVICE_NAME")).strip()


def check_lengths(sizes: list[int], prompts: Sequence[answers.Prompt], longest: int, room: int) -> None:
    """Refuse prompts that the graphs have no room for, and answers that they have no room for behind them, all at once.

    Args:
        sizes: tokens of each prompt.
        longest: most tokens of a prompt.
        room: most tokens of a prompt and its answer together.
    """
    long = [f"golden prompt {number} has {size} tokens" for number, size in enumerate(sizes, 1) if size > longest]
    if long:
        events.refuse(
            f"The graphs take prompts of at most {longest} tokens.",
            "Raise max_prompt_len in the recipe, or shorten the prompt.",
            long,
        )
    wide = [
        f"golden prompt {number} has {size} tokens and max_new_tokens {new}: {size + new} together"
        for number, (size, new) in enumerate(zip(sizes, (prompt.max_new_tokens for prompt in prompts), strict=True), 1)
        if size + new > room
    ]
    if wide:
        events.refuse(
            f"The graphs have room for {room} tokens of prompt and answer together.",
            "Lower max_new_tokens, or raise min_response_len in the recipe.",
            wide,
        )


def run(request: GenerateRequest) -> GenerateResult:
    """Write the answers, and on what they were made."""
    events.progress("loading the model")
    import openvino as ov
    import openvino_genai

    chosen = choose(ov.Core(), request.model, request.platforms)
    settings = {**request.settings, **chosen.settings}
    numbers = {key: int(settings[key]) for key in ("MAX_PROMPT_LEN", "MIN_RESPONSE_LEN")}
    started = time.monotonic()
    try:
        pipe = openvino_genai.LLMPipeline(request.model, "NPU", **{**settings, **chosen.files, **numbers})
    except RuntimeError as error:
        events.refuse(*why_not_loaded(error), [str(error).strip().splitlines()[-1][:500]])
    load_s = time.monotonic() - started
    sizes = [len(encode(pipe.get_tokenizer(), prompt).input_ids.data[0]) for prompt in request.prompts]
    check_lengths(sizes, request.prompts, numbers["MAX_PROMPT_LEN"], sum(numbers.values()))
    try:
        answers.write(request.answers, request.prompts, partial(answer, pipe))
    except RuntimeError as error:  # some models fail only when their graphs run
        events.refuse(*CANNOT_LOAD, [str(error).strip().splitlines()[-1][:500]])
    config, graphs = pipe.get_generation_config(), None
    if chosen.stand_in:
        text = [int(token) for token in pipe.get_tokenizer().encode(TEXT, add_special_tokens=True).input_ids.data[0]]
        del pipe  # the graphs are compiled once more, since the pipeline shows no logits
        graphs = npu_logits.check(request.model, text, numbers, settings)
    return GenerateResult(
        device="CPU" if chosen.stand_in else "NPU",
        device_name=chosen.name,
        load_s=load_s,
        end_tokens=tuple(sorted({*config.stop_token_ids, config.eos_token_id})),
        stand_in=chosen.stand_in,
        runtime_options=settings,
        not_run=tuple(f"NPU {platform}" for platform in chosen.not_run),
        graphs=graphs,
    )


if __name__ == "__main__":
    start.run(run, GenerateRequest)
