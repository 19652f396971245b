"""Makes what every build is held against: the greedy tokens of the unquantized checkpoint in transformers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bakehouse.formats.checkpoint import Survey
from bakehouse.steps.cost import Estimate, installed
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Loose, Report
from bakehouse.steps.step import Step
from bakehouse.tasks.text_generation import reference_logits

ANSWERS = "answers.jsonl"
REQUEST = "request.json"
_TOOLS = ("tokenizers", "torch", "transformers")
# Below so many weights the reference is computed in float32, the nearest to the truth; above, that takes too much memory.
FLOAT32_BELOW = 1_000_000_000


def step(label: str, checkpoint: Step, prompts: list[dict[str, Any]], remote_code: bool = False) -> Step:
    """The step whose `files/answers.jsonl` has an answer for each of `prompts` (see workers/answers.py)."""
    return Step(
        kind="reference",
        maker="reference",
        label=label,
        spec=Loose(prompts=prompts, float32_below=FLOAT32_BELOW, remote_code=remote_code),
        needs=(("checkpoint", checkpoint),),
        tools=installed(*_TOOLS),
        # 2: with the second best of each token, of a model whose weights are exactly the checkpoint's, by the tokenizer of
        # tokenizer.json, chats on a day that stands still
        format=2,
    )


def logits_step(label: str, checkpoint: Step, remote_code: bool = False) -> Step:
    """The step that computes the logits which every converter's are compared with; one for each checkpoint."""
    return reference_logits.step(label, checkpoint, remote_code)


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that writes answers.jsonl into `files`; the prompts go there first, as request.json. Or the logits' command."""
    if step.kind == reference_logits.KIND:
        return reference_logits.command(step, inputs, files)
    options = {name: step.options[name] for name in ("float32_below", "remote_code")}
    request = files / REQUEST
    request.write_text(json.dumps({"prompts": step.options["prompts"]}, indent=2) + "\n", encoding="utf-8", newline="\n")
    return worker(
        "tasks.text_generation.workers.transformers_generate",
        str(inputs["checkpoint"]),
        str(request),
        str(files / ANSWERS),
        json.dumps(options),
    )


def verify(step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    """Hold the answers against the prompts: one for each, none empty."""
    if step.kind == reference_logits.KIND:
        return reference_logits.verify(files, report)
    if not (files / ANSWERS).is_file():
        return Verification(faults=(f"{ANSWERS} was not made",))
    lines = [json.loads(line) for line in (files / ANSWERS).read_text(encoding="utf-8").splitlines()]
    asked = len(step.options["prompts"])
    faults = [f"there are {len(lines)} answers to {asked} prompts"] if [line["index"] for line in lines] != list(range(asked)) else []
    faults += [f"the unquantized model answers prompt {line['index'] + 1} with nothing" for line in lines if not line["tokens"]]
    return Verification({"reference_precision": report.values.get("dtype")}, tuple(faults))


def estimate(step: Step, survey: Survey) -> Estimate:
    """The weights once in the precision that it runs in, and while they are read once more."""
    if step.kind == reference_logits.KIND:
        return reference_logits.estimate(survey)
    native = sum(math.prod(tensor.shape) * (4 if tensor.dtype == "F32" else 2) for tensor in survey.tensors)
    wide = 4 * survey.parameters if survey.parameters < step.options["float32_below"] else 0
    return Estimate(0, native + wide + 800_000_000)
