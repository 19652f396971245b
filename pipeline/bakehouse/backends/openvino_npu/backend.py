"""Builds OpenVINO IR for Intel NPUs, and compiles it ahead of time for each platform that is asked for.

Export, tokenizer and compression are the OpenVINO lane's own steps, shared with it. Which compiler there is, npu_compiler knows;
what a blob says of itself is read by npu_blob.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bakehouse.backends.base import Room
from bakehouse.backends.openvino import backend as openvino
from bakehouse.backends.openvino.options import OpenVINO
from bakehouse.backends.openvino.preflight import compressed_bytes
from bakehouse.backends.openvino.preflight import estimate as openvino_estimate
from bakehouse.backends.openvino.preflight import preflight as openvino_preflight
from bakehouse.backends.openvino_npu import compiler as npu_compiler
from bakehouse.backends.openvino_npu import fixed_shapes as npu_static
from bakehouse.backends.openvino_npu import verify as npu_rules
from bakehouse.backends.openvino_npu.options import LARGEST_GROUPED, OpenVINONpu, as_openvino, settings
from bakehouse.backends.openvino_npu.verify import BLOB, DESCRIPTION
from bakehouse.formats import npu_blob
from bakehouse.formats.checkpoint import Survey
from bakehouse.formats.npu_blob import NotABlob
from bakehouse.recipe.recipe import BuildOptions
from bakehouse.records import Package
from bakehouse.steps.cost import Estimate, installed
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Loose, Report
from bakehouse.steps.step import Step
from bakehouse.tasks.text_generation.seams import GenerateRequest
from bakehouse.tasks.text_generation.workers import config_fields

MAKER = "openvino-npu"
_PREFIX_BYTES = 700_000_000  # what Wine puts into its folder; gone when the step is done
_COMPILER_BYTES = 130_000_000
_BASE_BYTES = 500_000_000


def steps(
    label: str, build: BuildOptions, checkpoint: Step, source_label: str, calibration: Step | None, remote_code: bool
) -> dict[str, Step]:
    """The OpenVINO lane's parts, and a blob a platform, each compiled from the very model that is shipped."""
    asked = _ours(build)
    parts = openvino.steps(label, _plain(asked), checkpoint, source_label, None, remote_code)
    return parts | {f"blob-{platform}": _compile(label, asked, platform, parts["model"]) for platform in asked.platforms}


def _compile(label: str, asked: OpenVINONpu, platform: int, model: Step) -> Step:
    driver = npu_compiler.driver() or "wine"  # with none, `missing` tells which is the easiest to have
    wine = driver == "wine"
    names = ("max_prompt_len", "min_response_len", "prefill_hint", "generate_hint", "cache_mode")
    version = npu_compiler.WHEELS[0]["version"] if wine else installed("openvino").get("openvino")
    compiler = {} if wine else {"libraries": npu_compiler.digests(driver)}  # under Wine a step of its own has the hashes
    asked_of_it = {name: getattr(asked, name) for name in names}
    return Step(
        kind="compile",
        maker=MAKER,
        label=f"{label}-{platform}",
        spec=Loose(**{"platform": platform, "driver": driver, "openvino": version, **compiler, **asked_of_it}),
        needs=(("model", model), *((("compiler", npu_compiler.setup(MAKER)),) if wine else ())),
        format=2,
    )


def generate_tools() -> dict[str, str]:
    """The versions of the tools that change answers."""
    return openvino.generate_tools()


def missing(build: BuildOptions) -> str | None:
    """What is not installed, or that blobs are asked for and nothing here can compile them."""
    asked = _ours(build)
    return openvino.missing(_plain(asked)) or (npu_compiler.missing(asked.platforms) if asked.platforms else None)


def layout(build: BuildOptions, parts: Mapping[str, Path]) -> dict[str, Path]:
    """The flat folder that the OpenVINO organisation publishes, and a folder for each platform's blob."""
    blobs = {
        f"npu/{platform}/{name}": parts[f"blob-{platform}"] / name for platform in _ours(build).platforms for name in (BLOB, DESCRIPTION)
    }
    return openvino.layout(_plain(_ours(build)), parts) | blobs


def targets(build: BuildOptions) -> tuple[str, ...]:
    """The device that it is made for."""
    return ("NPU",)


def generate(build: BuildOptions, parts: Mapping[str, Path], request: GenerateRequest) -> Command:
    """The command that answers the prompts in the NPU pipeline: on the NPU if there is one, else its graphs on the CPU."""
    asked = _ours(build)
    told = {"settings": settings(asked), "platforms": list(asked.platforms)}
    return worker("backends.openvino_npu.workers.generate", json.dumps(told), request=request)


def numeric_check(
    label: str, build: BuildOptions, parts: Mapping[str, Step], checkpoint: Step, logits: Step, source_label: str
) -> Step | None:
    """The OpenVINO lane's own: the export is one."""
    return openvino.numeric_check(label, _plain(_ours(build)), parts, checkpoint, logits, source_label)


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that sets up the compiler, or compiles a model."""
    if step.kind == "setup":
        return npu_compiler.setup_command(step, files)
    return npu_compiler.command(step, inputs, files)


def room_for(build: BuildOptions, config: Mapping[str, Any]) -> Room | None:
    """The graphs have fixed shapes."""
    asked = _ours(build)
    remedy = "shorten it, lower max_new_tokens, or raise max_prompt_len and min_response_len in the recipe"
    return Room(asked.room(), remedy, prompt=asked.max_prompt_len)


def preflight(build: BuildOptions, survey: Survey) -> tuple[str, ...]:
    """Sentences, one for each reason why this build of this checkpoint cannot work."""
    asked = _ours(build)
    reasons = list(openvino_preflight(_plain(asked), survey))
    needed, context = asked.room(), config_fields.context(survey.config)
    if context is not None and needed > context:
        reasons.append(f"max_prompt_len and min_response_len make {needed} tokens together, and the model's context holds {context}")
    reasons += npu_static.reasons(survey.config, asked)
    if getattr(asked.quantization, "group_size", -1) == 128 and survey.parameters > LARGEST_GROUPED:
        reasons.append(
            f"a model of {survey.parameters / 1e9:.1f} billion weights is too large for groups of 128 on the NPU; "
            "group_size -1 is for such models"
        )
    return tuple(reasons)


def estimate(step: Step, survey: Survey) -> Estimate:
    """What one step will take.

    Measured on stand-ins: a blob has 40 % more bytes than its model, and NPUW keeps int4 weights in groups twice, once for each graph.
    """
    match step.kind:
        case "setup":
            return Estimate(_COMPILER_BYTES, _BASE_BYTES)
        case "compile":
            options = step.need("model").options
            model = compressed_bytes(options, survey)
            twice = options["weights"] == "int4" and options["group_size"] != -1
            return Estimate(round((2.4 if twice else 1.4) * model) + _PREFIX_BYTES, compiling_bytes(model))
        case _:
            return openvino_estimate(step, survey)


def packages(step: Step, report: Report) -> tuple[Package, ...]:
    """The wheels of the compiler under Wine."""
    return npu_compiler.packages(step)


def has_pickles(build: BuildOptions) -> bool:
    """IR and blobs are none."""
    return False


def compiling_bytes(model_bytes: int) -> int:
    """Memory that compiling a model of this size takes.

    The full Phi-3-mini shape, int4 in groups of 128, has 2.1 GB and was measured at 6.5 GB.
    """
    return round(3.2 * model_bytes) + _BASE_BYTES


def verify(step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    """Read the blob, and hold what it says of itself against what was asked."""
    if step.kind == "setup":
        return npu_compiler.verify_setup(files)
    absent = tuple(f"{name} was not made" for name in (BLOB, DESCRIPTION) if not (files / name).is_file())
    if absent:
        return Verification(faults=absent)
    try:
        blob = npu_blob.read(files / BLOB)
    except NotABlob as error:
        return Verification(faults=(str(error),))
    measured = {
        "compiler": ", ".join(npu_rules.compilers(blob)),
        "images": len(blob.images),
        "image_bytes": sum(image.size_bytes for image in blob.images),
        "blob_bytes": (files / BLOB).stat().st_size,
        "weight_bytes": sum(tensor.size_bytes for tensor in blob.bank.tensors),
        "weightless": blob.weightless,
        "compiled_by": report.values["driver"],
    }
    return Verification(measured, tuple(npu_rules.faults(blob, step.options, inputs, files)))


def _ours(build: BuildOptions) -> OpenVINONpu:
    assert isinstance(build, OpenVINONpu)
    return build


def _plain(asked: OpenVINONpu) -> OpenVINO:
    """The build of the OpenVINO lane whose model this one ships."""
    return OpenVINO.model_validate({"runtime": "openvino", "quantization": as_openvino(asked)})
