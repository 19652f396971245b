"""What is done with a checkpoint in each runtime, step by step, by the backends' own commands: their workers run in this process.

Heavy modules are imported in the functions only; a process of its own runs each (`children`).
"""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from bakehouse.backends.table import BACKENDS
from bakehouse.formats import checkpoint as surveys
from bakehouse.recipe.kinds import BuildOptions
from bakehouse.steps.maker import Command
from bakehouse.steps.seam import Report, Spec
from bakehouse.steps.step import Step
from bakehouse.store import files as file_tools
from bakehouse.tasks.text_generation import answer_file, reference, suitability
from bakehouse.tasks.text_generation.seams import GenerateRequest
from bakehouse.tasks.text_generation.workers.answers import Prompt
from bakehouse.toolchains.table import INSTALLED, misread
from bakehouse.toolchains.table import Name as Toolchain
from tests.support.cases.making import LONG, SENTENCE

NEW_TOKENS = 24
TEXTS = ("The quick", f"{SENTENCE}Then it runs away and", LONG)  # 4, 31 and 330 tokens: the last passes windows and half of the context
PROMPTS = tuple(Prompt(raw=text, max_new_tokens=NEW_TOKENS) for text in TEXTS)
CHECKPOINT = Step(kind="download", maker="local", label="tiny", spec=Spec())
_FP16, _FP32 = {"weights": "fp16"}, {"weights": "fp32"}
BUILDS: Mapping[str, Mapping[str, Any]] = {
    "openvino": {"runtime": "openvino", "quantization": _FP32},
    "onnxruntime-genai": {"runtime": "onnxruntime-genai", "execution_provider": "cpu", "quantization": _FP32},
    "openvino-npu": {"runtime": "openvino-npu", "quantization": _FP16, "max_prompt_len": 384, "min_response_len": 64},
}
ANSWERS = "answers.jsonl"


class Ended(Exception):
    """A stage ended otherwise than it should; `outcome` is what the table has of it."""

    def __init__(self, outcome: str, why: str) -> None:
        super().__init__(why)
        self.outcome, self.why = outcome, why


@dataclass(frozen=True)
class Job:
    """A checkpoint to be tried in a runtime: `work` holds what is made, `source` the reference's answers."""

    runtime: str
    checkpoint: Path
    work: Path
    source: Path
    toolchain: Toolchain = INSTALLED


def build_of(runtime: str) -> BuildOptions:
    """The build that is tried: one whose architecture is not on a list is tried as well."""
    options = {**BUILDS[runtime], "unknown_architecture": "try"}
    return TypeAdapter(BuildOptions).validate_json(json.dumps(options)).normal()


def run(command: Command) -> Report:
    """Run a worker here; what it leaves.

    Raises:
        Ended: it refused or failed.
    """
    module = import_module(command.argv[command.argv.index("-m") + 1])
    try:
        result = module.run(command.request)
    except SystemExit as end:
        raise Ended("refused", "") from end  # what it says is in the log
    except BaseException as error:
        print(traceback.format_exc(), flush=True)
        raise Ended("fails", said(error)) from error
    return Report(json.loads(result.model_dump_json(exclude_none=True)) if result is not None else {})


def said(error: BaseException) -> str:
    """An error in one line: its type, and the line of its message that has most to say."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("Exception from", "Check '"))] or lines
    return f"{type(error).__name__}: {(telling or [''])[-1 if len(lines) > 1 and lines[0].startswith('Exception from') else 0]}"[:300]


def refusals(runtime: str, checkpoint: Path, toolchain: Toolchain) -> list[str]:
    """Why our rules refuse the build before the work."""
    survey = surveys.read_checkpoint(checkpoint)
    fit = (*misread(survey.config, toolchain), *BACKENDS[runtime].preflight(build_of(runtime), survey, toolchain))
    return list(suitability.reasons(survey) or fit)


def listed(runtime: str, checkpoint: Path) -> bool:
    """Whether one of the backend's lists has the architecture; another is made only with `unknown_architecture: try`."""
    return bool(BACKENDS[runtime].toolchains(surveys.read_checkpoint(checkpoint).config))


def answer(checkpoint: Path, folder: Path) -> None:
    """The reference: what transformers answers, into `folder`."""
    step = reference.step("tiny", CHECKPOINT, PROMPTS)
    run(reference.command(step, {"checkpoint": checkpoint}, folder))


def convert(runtime: str, checkpoint: Path, work: Path, reached: Callable[[str], None]) -> dict[str, Path]:
    """The parts of the build by role, each made and verified; what is in `work` already is taken from there.

    Raises:
        Ended: a worker refused or failed, or what it made is not what was requested.
    """
    parts = BACKENDS[runtime].steps("tiny", build_of(runtime), CHECKPOINT, "tiny", None, False)
    return {role: _make(step, checkpoint, work, reached) for role, step in parts.items()}


def _make(step: Step, checkpoint: Path, work: Path, reached: Callable[[str], None]) -> Path:
    """The files of a step, those that it needs made first."""
    inputs = {"checkpoint": checkpoint}
    for role, needed in step.needs:
        if needed.key != CHECKPOINT.key:
            inputs[role] = _make(needed, checkpoint, work, reached)
    files, left = work / step.key[:12], work / f"{step.key[:12]}.json"
    reached({"export": "export", "tokenizer": "tokenizer", "compress": "conversion"}[step.kind])
    if not left.is_file():  # else another runtime has made it
        files.mkdir()
        left.write_text(json.dumps(_ended(BACKENDS[step.maker], step, inputs, files)), encoding="utf-8")
    if ended := json.loads(left.read_text(encoding="utf-8")):
        raise Ended(*ended)
    return files


def _ended(backend: Any, step: Step, inputs: Mapping[str, Path], files: Path) -> tuple[str, str] | None:
    """Make and verify a step; how it ended otherwise than it should."""
    try:
        found = backend.verify(step, inputs, files, run(backend.command(step, inputs, files)))
    except Ended as end:
        return end.outcome, end.why
    return ("unverified", "; ".join(found.faults)) if found.faults else None


def generate(runtime: str, made: Mapping[str, Path], checkpoint: Path, folder: Path) -> list[list[int]]:
    """The tokens of the build's answers, in its own runtime."""
    backend, build = BACKENDS[runtime], build_of(runtime)
    parts = {"checkpoint": checkpoint, **made}
    package = folder / "package"
    for name, path in backend.layout(build, parts).items():
        file_tools.link(path, package / name)
    request = GenerateRequest(model=package, prompts=PROMPTS, answers=folder / ANSWERS)
    run(backend.generate(build, parts, request))
    return tokens(folder)


def tokens(folder: Path) -> list[list[int]]:
    """The tokens that a worker wrote into this folder."""
    return [list(row.tokens) for row in sorted(answer_file.read(folder / ANSWERS), key=lambda row: row.index)]


def common(answered: Sequence[Sequence[int]], source: Sequence[Sequence[int]]) -> list[int]:
    """How many tokens each answer has in common with the source's, from the beginning; NEW_TOKENS where it is the same answer."""
    found = []
    for ours, theirs in zip(answered, source, strict=True):
        same = next((at for at, (one, other) in enumerate(zip(ours, theirs, strict=False)) if one != other), min(len(ours), len(theirs)))
        found.append(NEW_TOKENS if list(ours) == list(theirs) else same)
    return found


def lane(job: Job, note: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """The outcome of one runtime: see outcomes.Outcome. `note` keeps what is known so far, should this process end before its time."""
    runtime, checkpoint, work, source = job.runtime, job.checkpoint, job.work, job.source
    base: dict[str, Any] = {"listed": listed(runtime, checkpoint)}
    if reasons := refusals(runtime, checkpoint, job.toolchain):
        return base | {"outcome": "refused", "stage": "rules", "why": "; ".join(reasons)}

    def reached(stage: str) -> None:
        base["stage"] = stage
        note(base | {"outcome": "fails", "why": "the process ended"})
        print(f"=== {stage}", flush=True)

    folder = work / f"answers-{runtime}"
    folder.mkdir(parents=True)
    try:
        made = convert(runtime, checkpoint, work, reached)
        reached("answers")
        same = common(generate(runtime, made, checkpoint, folder), tokens(source))
    except Ended as end:
        return base | {"outcome": end.outcome, "why": end.why}
    return base | {"outcome": "agrees" if min(same) == NEW_TOKENS else "differs", "agree": same}


def upstream(job: Job, note: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """The same by the upstream command alone: optimum-cli or the model builder's command line, and the runtime's pipeline."""
    runtime, checkpoint, work, source = job.runtime, job.checkpoint, job.work, job.source
    base: dict[str, Any] = {"stage": "conversion"}
    folder, out = work / f"upstream-answers-{runtime}", work / f"upstream-{runtime}"
    folder.mkdir()
    try:
        if not out.exists():
            note(base | {"outcome": "fails", "why": "the process ended"})
            (_builder if "onnx" in runtime else _optimum)(runtime, checkpoint, out, work)
        base["stage"] = "answers"
        note(base | {"outcome": "fails", "why": "the process ended"})
        (_with_genai if "onnx" in runtime else _with_openvino)(runtime, out, folder)
    except SystemExit as end:
        return base | {"outcome": "fails", "why": f"it ends with {end.code}"}
    except BaseException as error:
        print(traceback.format_exc(), flush=True)
        return base | {"outcome": "fails", "why": said(error)}
    same = common(tokens(folder), tokens(source))
    return base | {"outcome": "agrees" if min(same) == NEW_TOKENS else "differs", "agree": same}


def _optimum(runtime: str, checkpoint: Path, out: Path, work: Path) -> None:
    import sys

    from optimum.commands.optimum_cli import main

    words = ["--task", "text-generation-with-past", "--weight-format", BUILDS[runtime]["quantization"]["weights"]]
    sys.argv = ["optimum-cli", "export", "openvino", "--model", str(checkpoint), *words, str(out)]
    main()


def _builder(runtime: str, checkpoint: Path, out: Path, work: Path) -> None:
    import runpy
    import sys

    os.environ["GIT_DIR"] = os.devnull
    sys.argv = ["builder.py", "-i", str(checkpoint), "-o", str(out), "-p", "fp32", "-e", "cpu", "-c", str(work / "cache")]
    runpy.run_module("onnxruntime_genai.models.builder", run_name="__main__", alter_sys=True)


def _with_openvino(runtime: str, out: Path, folder: Path) -> None:
    from bakehouse.backends.openvino.workers import generate as openvino_generate

    npu = {"MAX_PROMPT_LEN": 384, "MIN_RESPONSE_LEN": 64, "NPU_USE_NPUW": "YES", "NPUW_DEVICES": "CPU"}
    device, more = ("NPU", npu) if runtime == "openvino-npu" else ("CPU", {})
    openvino_generate.answer_all(out, device, {**openvino_generate.ACCURATE, **more}, PROMPTS, folder / ANSWERS)


def _with_genai(runtime: str, out: Path, folder: Path) -> None:
    from functools import partial

    import onnxruntime_genai as og

    from bakehouse.backends.onnxruntime_genai import genai_config
    from bakehouse.backends.onnxruntime_genai.workers import generate as genai_generate
    from bakehouse.tasks.text_generation.workers import answers

    model = og.Model(str(out))
    answering = partial(genai_generate.answer, model, og.Tokenizer(model), out, genai_config.read(out))
    answers.write(folder / ANSWERS, PROMPTS, answering)
