"""A model repository on the Hugging Face hub at one commit: a safetensors checkpoint, or one GGUF file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from bakehouse.formats import safetensors_files
from bakehouse.formats.checkpoint import Survey
from bakehouse.recipe.recipe import HuggingFace
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Loose, Report
from bakehouse.steps.step import Step


def _options(source: HuggingFace) -> dict[str, Any]:
    return {"repo": source.repo, "revision": source.revision, "gguf": source.gguf, "remote_code": dict(source.remote_code)}


def download(source: HuggingFace, label: str) -> Step:
    """The step that fetches the checkpoint or the GGUF file; the commit in its options pins the bytes."""
    return Step(kind="download", maker="huggingface", label=label, spec=Loose(**_options(source)))


def survey(source: HuggingFace, label: str) -> Step:
    """The step that asks for a checkpoint's sizes, configuration and tensors beforehand: `survey.json`, a `pipeline.survey.Survey`."""
    return Step(kind="survey", maker="huggingface", label=label, spec=Loose(**_options(source)), format=2)  # 2: with the card's licence


def file_name(step: Step) -> str:
    """Name of the fetched GGUF file in the step's directory."""
    return PurePosixPath(step.options["gguf"]).name


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that fills `files`; it goes on with what a broken-off download left there."""
    asked = step.options
    arguments = ["--repo", asked["repo"], "--revision", asked["revision"], "--files", str(files)]
    for name, digest in sorted(asked["remote_code"].items()):
        arguments += ["--remote-code", f"{name}={digest}"]
    if step.kind == "survey":
        return worker("sources.workers.hub_survey", *arguments, needs_network=True, hub_token=True)
    if asked["gguf"]:
        arguments += ["--only", asked["gguf"]]
    by_hand = f"hf download {asked['repo']} {asked['gguf'] or ''}".rstrip() + f" --revision {asked['revision']}"
    return worker("sources.workers.hub_download", *arguments, needs_network=True, upstream=by_hand, hub_token=True)


def verify(step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    """Hold what was fetched against what was asked: all files there, and the weights as long as their headers say.

    Every file's bytes were held against the hub's sha256 (or git's sha1 for small files) while they came.
    """
    if step.kind == "survey":
        found = Survey.model_validate_json((files / "survey.json").read_text(encoding="utf-8"))
        return Verification({"download_bytes": found.download_bytes, "parameters": found.parameters})
    there = {path.relative_to(files).as_posix() for path in files.rglob("*") if path.is_file()}
    fetched: dict[str, str] = report.values.get("files", {})
    faults = [f"{name} is missing." for name in sorted(set(fetched) - there)]
    faults += [f"{name} was not asked for." for name in sorted(there - set(fetched))]
    faults += [
        f"{name} is not the code that the recipe lists."
        for name, asked in step.options["remote_code"].items()
        if fetched.get(name) != asked
    ]
    if not step.options["gguf"]:
        faults += safetensors_files.faults(files)
    return Verification({"sha256_by_hub": report.values.get("hub_sha256", {})}, tuple(faults))
