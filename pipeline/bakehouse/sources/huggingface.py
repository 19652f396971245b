"""A model repository on the Hugging Face hub at one commit: a safetensors checkpoint, or one GGUF file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from bakehouse.formats import safetensors_files
from bakehouse.formats.checkpoint import Survey
from bakehouse.recipe.source import HubAdapter, HuggingFace
from bakehouse.sources.seams import DownloadRequest, DownloadResult, HubSpec, SurveyRequest
from bakehouse.sources.workers.checkpoint_files import ADAPTER, ADAPTER_CONFIG
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Step


def _spec(source: HuggingFace) -> HubSpec:
    code = dict(source.remote_code)
    return HubSpec(
        repo=source.repo, revision=source.revision, gguf=source.gguf, remote_code=code, pickles=source.convert_pickles, adapter=False
    )


def download(source: HuggingFace, label: str) -> Step:
    """The step that fetches the checkpoint or the GGUF file; the commit in its options pins the bytes."""
    return Step(kind="download", maker="huggingface", label=label, spec=_spec(source))


def adapter(source: HubAdapter, label: str) -> Step:
    """The step that fetches a LoRA adapter."""
    spec = HubSpec(repo=source.repo, revision=source.revision, gguf=None, remote_code={}, pickles=False, adapter=True)
    return Step(kind="download", maker="huggingface", label=label, spec=spec)


def survey(source: HuggingFace, label: str) -> Step:
    """The step that asks for a checkpoint's sizes, configuration and tensors beforehand: `survey.json`, a `formats.checkpoint.Survey`."""
    return Step(kind="survey", maker="huggingface", label=label, spec=_spec(source), format=2)  # 2: with the card's licence


def file_name(step: Step) -> str:
    """Name of the fetched GGUF file in the step's directory."""
    gguf = step.spec_as(HubSpec).gguf
    assert gguf is not None
    return PurePosixPath(gguf).name


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that fills `files`; it goes on with what a broken-off download left there."""
    spec = step.spec_as(HubSpec)
    code = dict(sorted(spec.remote_code.items()))
    if step.kind == "survey":
        survey = SurveyRequest(repo=spec.repo, revision=spec.revision, remote_code=code, files=files)
        return worker("sources.workers.hub_survey", request=survey, needs_network=True, hub_token=True)
    request = DownloadRequest(
        repo=spec.repo,
        revision=spec.revision,
        only=ADAPTER if spec.adapter else spec.gguf or "",
        beside=(ADAPTER_CONFIG,) if spec.adapter else (),
        remote_code=code,
        pickles=spec.pickles,
        files=files,
    )
    by_hand = f"hf download {spec.repo} {spec.gguf or ''}".rstrip() + f" --revision {spec.revision}"
    return worker("sources.workers.hub_download", request=request, needs_network=True, upstream=by_hand, hub_token=True)


def verify(step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    """Compare what was fetched with what was requested: all files present, and the weights as long as their headers say.

    Every file's bytes were compared with the hub's sha256 (or git's sha1 for small files) while they came.
    """
    if step.kind == "survey":
        found = Survey.model_validate_json((files / "survey.json").read_text(encoding="utf-8"))
        return Verification({"download_bytes": found.download_bytes, "parameters": found.parameters})
    spec, result = step.spec_as(HubSpec), report.read(DownloadResult)
    present = {path.relative_to(files).as_posix() for path in files.rglob("*") if path.is_file()}
    faults = [f"{name} is missing." for name in sorted(set(result.files) - present)]
    faults += [f"{name} was not requested." for name in sorted(present - set(result.files))]
    faults += [
        f"{name} is not the code that the recipe lists." for name, sha256 in spec.remote_code.items() if result.files.get(name) != sha256
    ]
    if not spec.gguf and not spec.pickles and not spec.adapter:
        faults += safetensors_files.faults(files)
    return Verification({"sha256_by_hub": dict(result.hub_sha256)}, tuple(faults))
