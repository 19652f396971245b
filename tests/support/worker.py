"""Runs a worker the way a stage does, without the stage: the command, and what it said."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bakehouse.child.events import MARK
from bakehouse.executor import process
from bakehouse.steps.maker import Command
from bakehouse.steps.seam import Report
from bakehouse.tasks.text_generation import answer_file
from bakehouse.tasks.text_generation.seams import GenerateRequest

ROOT = Path(__file__).resolve().parents[2]
CHILDREN = str(ROOT / "tests" / "support" / "children")


@dataclass(frozen=True)
class Said:
    """How a worker ended and what it reported: result, the refusal as a person reads it, its progress, and all its text."""

    code: int
    report: Report
    refusal: str
    progress: tuple[dict[str, Any], ...]
    text: str


def to_generate(model: Path, prompts: Iterable[Mapping[str, Any]], folder: Path) -> GenerateRequest:
    """The request for answers to these prompts, to be written into `folder`."""
    return GenerateRequest.model_validate({"model": model, "prompts": list(prompts), "answers": folder / answer_file.NAME})


def start(command: Command, env: Mapping[str, str] | None = None, scratch: Path | None = None) -> subprocess.Popen[str]:
    """The running worker; its standard output and error are one pipe. `scratch` is for a command with a request."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TRANSFORMERS_", "HUGGING"))}
    environment = {
        **clean,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONPATH": os.pathsep.join((str(ROOT / "pipeline"), CHILDREN)),
        "BAKEHOUSE_PARENT": str(os.getpid()),
        **(env or {}),
    }
    argv = process.with_request(command, scratch) if scratch else command.argv
    return subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run(command: Command, env: Mapping[str, str] | None = None) -> Said:
    """Run the worker to its end."""
    with tempfile.TemporaryDirectory() as folder:
        running = start(command, env, Path(folder))
        text, _ = running.communicate()
        return replace(heard(running.returncode, text.splitlines()), report=Report(process.left_result(Path(folder))))


def heard(code: int, lines: Iterable[str]) -> Said:
    """What lines of output mean."""
    lines = list(lines)
    events = [json.loads(line.removeprefix(MARK)) for line in lines if line.startswith(MARK)]
    refused = next((event for event in events if event["event"] == "refused"), None)
    refusal = "\n".join([refused["what"], *refused["details"], refused["remedy"]]) if refused else ""
    return Said(code, Report(), refusal, tuple(event for event in events if event["event"] == "progress"), "\n".join(lines))
