"""Makes ONNX steps the way the stages do, by the backend's own commands; and many at once, ours and the model builder's own."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakehouse.backends.onnxruntime_genai import backend as ort_genai
from bakehouse.backends.onnxruntime_genai import words as ort_words
from bakehouse.backends.onnxruntime_genai.options import OnnxRuntimeGenAI
from bakehouse.backends.onnxruntime_genai.seams import BuildResult, BuildSpec
from bakehouse.backends.onnxruntime_genai.workers import plan as ort_plan
from bakehouse.executor import process
from bakehouse.executor.process import Children
from bakehouse.steps.maker import Verification
from bakehouse.steps.seam import Spec
from bakehouse.steps.step import Step
from bakehouse.tasks.text_generation import weight_names
from bakehouse.tasks.text_generation.seams import GenerateResult
from tests.support.bench import ROOT
from tests.support.worker import to_generate

CHECKPOINT = Step(kind="download", maker="huggingface", label="model", spec=Spec())


def build(provider: str = "cpu", graph_capture: bool | None = None, **quantization: Any) -> OnnxRuntimeGenAI:
    """A build with this quantization, from the JSON that a recipe comes to."""
    options = {"runtime": "onnxruntime-genai", "execution_provider": provider, "quantization": quantization}
    return OnnxRuntimeGenAI.model_validate_json(json.dumps(options | ({} if graph_capture is None else {"graph_capture": graph_capture})))


def model_step(build: OnnxRuntimeGenAI) -> Step:
    """The one step of a build of CHECKPOINT."""
    return ort_genai.steps("model-build", build, CHECKPOINT, "model", None, remote_code=False)["model"]


def spec(build: OnnxRuntimeGenAI) -> BuildSpec:
    """What that step makes."""
    return model_step(build).spec_as(BuildSpec)


@dataclass(frozen=True)
class Made:
    """What became of a step: its files, the worker's result, what verify finds, and its memory."""

    files: Path
    result: BuildResult
    verification: Verification
    peak_memory_bytes: int


def make(build: OnnxRuntimeGenAI, folder: Path, checkpoint: Path) -> Made:
    """Run a build's command into `folder`/files and verify what it made."""
    step, files = model_step(build), folder / "files"
    files.mkdir(parents=True)
    inputs = {"checkpoint": checkpoint}
    finished = process.run(
        ort_genai.command(step, inputs, files),
        children=Children(),
        log=folder / "log.txt",
        scratch=folder / "scratch",
        on_progress=lambda progress: None,
    )
    return Made(
        files, finished.report.read(BuildResult), ort_genai.verify(step, inputs, files, finished.report), finished.peak_memory_bytes
    )


def answers(
    build: OnnxRuntimeGenAI, files: Path, prompts: list[dict[str, Any]], folder: Path
) -> tuple[list[dict[str, Any]], GenerateResult]:
    """What a made model answers to `prompts` in onnxruntime_genai, by the backend's own command, and the worker's result."""
    package = folder / "package"
    for path, file in ort_genai.layout(build, {"model": files}).items():
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        (package / path).hardlink_to(file)
    command = ort_genai.generate(build, {}, to_generate(package, prompts, folder))
    done = process.run(command, children=Children(), log=folder / "log.txt", scratch=folder / "scratch", on_progress=lambda progress: None)
    lines = (folder / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines], done.report.read(GenerateResult)


def sha256(path: Path) -> str:
    """Of a whole file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def upstream_words(build: OnnxRuntimeGenAI, checkpoint: Path, out: Path) -> list[str]:
    """The command line that manifest and card name, as arguments: no program, but its name first."""
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    words = ort_words.upstream(spec(build), ort_plan.plan(config, spec(build)), weight_names.ties(config)).replace("-m ", "", 1)
    words = words.replace("MODEL", str(checkpoint)).replace("OUT", str(out)).replace("CACHE", f"{out}.cache")
    return shlex.split(words, comments=True)[1:]


def batch(
    folder: Path, checkpoint: Path, builds: Mapping[str, OnnxRuntimeGenAI], upstreams: tuple[str, ...] = ()
) -> dict[str, dict[str, Any]]:
    """Make all builds in `folder`/NAME, those of `upstreams` also in `folder`/upstream-NAME; what the worker would report, by name."""
    request = {
        "checkpoint": str(checkpoint),
        "found": str(folder / "found.json"),
        "upstream": [upstream_words(builds[name], checkpoint, folder / f"upstream-{name}") for name in upstreams],
        "ours": [[str(folder / name), spec(one).model_dump_json()] for name, one in builds.items()],
    }
    argv = [sys.executable, "-m", "tests.support.ort_batch"]
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(argv, input=json.dumps(request), cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((folder / "found.json").read_text(encoding="utf-8"))
    return dict(zip(builds, found, strict=True))
