"""Builds OpenVINO IR for Intel NPUs, and compiles it ahead of time for each platform of the recipe.

Export, tokenizer and compression are the OpenVINO backend's own steps, shared with it. `compiler` knows which compiler this machine has;
`formats.npu_blob` reads what a blob says of itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bakehouse.backends.base import Device, Room, runtime_is_installed
from bakehouse.backends.base import adapters as adapters
from bakehouse.backends.base import keeping as keeping
from bakehouse.backends.base import sensitivity as sensitivity
from bakehouse.backends.delivery import Profile
from bakehouse.backends.openvino import backend as openvino
from bakehouse.backends.openvino.preflight import compressed_bytes
from bakehouse.backends.openvino.preflight import estimate as openvino_estimate
from bakehouse.backends.openvino.preflight import preflight as openvino_preflight
from bakehouse.backends.openvino.seams import FourBitSpec, compression
from bakehouse.backends.openvino_npu import compiler as npu_compiler
from bakehouse.backends.openvino_npu import drivers
from bakehouse.backends.openvino_npu import fixed_shapes as npu_static
from bakehouse.backends.openvino_npu import proposals as npu_proposals
from bakehouse.backends.openvino_npu import tasks as npu_tasks
from bakehouse.backends.openvino_npu import verify as npu_rules
from bakehouse.backends.openvino_npu.options import LARGEST_GROUPED, OpenVINONpu, as_openvino, settings
from bakehouse.backends.openvino_npu.seams import (
    CompileResult,
    CompileSpec,
    FidelityRequest,
    FidelitySpec,
    GenerateRequest,
    MeasuredBlob,
    RunRequest,
)
from bakehouse.backends.openvino_npu.verify import BLOB, DESCRIPTION
from bakehouse.errors import Failure
from bakehouse.formats import npu_blob
from bakehouse.formats.checkpoint import Survey
from bakehouse.formats.config_json import Config
from bakehouse.formats.npu_blob import NotABlob
from bakehouse.recipe.kinds import DEFAULT_TASK, BuildOptions
from bakehouse.records import Distribution
from bakehouse.steps.cost import Estimate, installed
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Report, Request
from bakehouse.steps.step import Step
from bakehouse.tasks import seams as tasks
from bakehouse.tasks.text_generation import fidelity as fidelities
from bakehouse.tasks.text_generation import seams as text_generation
from bakehouse.tasks.text_generation.workers import config_fields
from bakehouse.toolchains.table import INSTALLED
from bakehouse.toolchains.table import Name as Toolchain

MAKER = "openvino-npu"
_PREFIX_BYTES = 700_000_000  # what Wine puts into its folder; gone when the step is done
_COMPILER_BYTES = 130_000_000
_BASE_BYTES = 500_000_000


def steps(
    label: str,
    build: BuildOptions,
    checkpoint: Step,
    source_label: str,
    calibration: Step | None,
    remote_code: bool,
    task: str = DEFAULT_TASK,
) -> dict[str, Step]:
    """The OpenVINO backend's parts, and a blob a platform, each compiled from the very model that is shipped."""
    own = _ours(build)
    parts = openvino.steps(label, as_openvino(own), checkpoint, source_label, None, remote_code, task)
    return parts | {f"blob-{platform}": _compile(label, own, platform, parts["model"]) for platform in own.platforms}


def _compile(label: str, own: OpenVINONpu, platform: int, model: Step) -> Step:
    driver = npu_compiler.driver() or "wine"  # with none, `missing` says which is the easiest to have
    wine = driver == "wine"
    spec = CompileSpec(
        platform=platform,
        driver=driver,
        openvino=npu_compiler.WHEELS[0].version if wine else installed("openvino").get("openvino"),
        libraries=None if wine else npu_compiler.digests(driver),  # under Wine a step of its own has the hashes
        max_prompt_len=own.max_prompt_len,
        min_response_len=own.min_response_len,
        prefill_hint=own.prefill_hint,
        generate_hint=own.generate_hint,
        cache_mode=own.cache_mode,
    )
    return Step(
        kind="compile",
        maker=MAKER,
        label=f"{label}-{platform}",
        spec=spec,
        needs=(("model", model), *((("compiler", npu_compiler.setup(MAKER)),) if wine else ())),
        format=2,
    )


proposals = npu_proposals.proposals


def generate_tools(build: BuildOptions) -> dict[str, str]:
    """The versions of the tools that change answers."""
    return openvino.generate_tools(build)


def missing(build: BuildOptions) -> str | None:
    """What is not installed, or that the recipe has blobs made and nothing here can compile them."""
    own = _ours(build)
    return openvino.missing(as_openvino(own)) or (npu_compiler.missing(own.platforms) if own.platforms else None)


def abilities() -> dict[str, str | None]:
    """IR needs what OpenVINO's backend needs, blobs also a compiler."""
    tools = next(iter(openvino.abilities().values()))
    return {"models for the NPU": tools, "models compiled for NPUs": tools or npu_compiler.missing(())}


def devices() -> Command | None:
    """The NPUs that OpenVINO's plugins find."""
    return openvino.devices("NPU")


def layout(build: BuildOptions, parts: Mapping[str, Path]) -> dict[str, Path]:
    """The flat folder that the OpenVINO organisation publishes, and a folder for each platform's blob."""
    blobs = {
        f"npu/{platform}/{name}": parts[f"blob-{platform}"] / name for platform in _ours(build).platforms for name in (BLOB, DESCRIPTION)
    }
    return openvino.layout(as_openvino(_ours(build)), parts) | blobs


def targets(build: BuildOptions) -> tuple[str, ...]:
    """The device that it is made for."""
    return ("NPU",)


def generate(build: BuildOptions, parts: Mapping[str, Path], request: Request) -> Command:
    """The command that answers the prompts in the NPU pipeline: on the NPU if there is one, else its graphs on the CPU."""
    own = _ours(build)
    if isinstance(request, tasks.RunRequest):
        return npu_tasks.generate(own, request)
    assert isinstance(request, text_generation.GenerateRequest)
    wanted = GenerateRequest(
        model=request.model, prompts=request.prompts, answers=request.answers, settings=settings(own), platforms=own.platforms
    )
    return worker("backends.openvino_npu.workers.generate", request=wanted)


def runner(build: BuildOptions, package: Path, device: Device | None) -> Command:
    """The command that answers jobs in the NPU pipeline: on the NPU, or with its graphs on the CPU.

    Raises:
        Failure: another device.
    """
    own = _ours(build)
    if device == "GPU":
        raise npu_tasks.not_on_gpu()
    runtime_is_installed(openvino.RUNTIME)
    wanted = RunRequest(model=package, device=device or "NPU", settings=settings(own), platforms=own.platforms)
    return worker("backends.openvino_npu.workers.run", request=wanted)


def evaluate(build: BuildOptions, package: Path, device: Device | None, wanted: text_generation.EvaluateRequest) -> Command:
    """None here.

    Raises:
        Failure: always: the pipeline's graphs give the logits of the last position alone.
    """
    raise Failure(
        "tasks of lm-eval need the logits of all positions, which the NPU's graphs do not give",
        remedy="evaluate a build for openvino with the same quantization",
    )


def numeric_check(
    label: str, build: BuildOptions, parts: Mapping[str, Step], checkpoint: Step, logits: Step, source_label: str
) -> Step | None:
    """The OpenVINO backend's own: the export is one."""
    return openvino.numeric_check(label, as_openvino(_ours(build)), parts, checkpoint, logits, source_label)


def fidelity(label: str, build: BuildOptions, parts: Mapping[str, Step], reference: Step, positions: int | None = None) -> Step | None:
    """One for a model and the pipeline's settings; blobs change no logits that could be measured without their NPU."""
    spec = FidelitySpec(positions=positions, settings=settings(_ours(build)))
    needs = (("model", parts["model"]), ("reference", reference))
    return fidelities.step(MAKER, label, spec, needs, installed(*openvino.FIDELITY_TOOLS))


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that sets up the compiler, compiles a model, or measures fidelity."""
    match step.kind:
        case "setup":
            return npu_compiler.setup_command(step, files)
        case fidelities.KIND:
            wanted = step.spec_as(FidelitySpec)
            request = FidelityRequest(
                model=inputs["model"],
                reference=inputs["reference"],
                files=files,
                positions=wanted.positions,
                settings=wanted.settings,
            )
            return worker("backends.openvino_npu.workers.fidelity", request=request)
        case _:
            return npu_compiler.command(step, inputs, files)


def room_for(build: BuildOptions, config: Config) -> Room | None:
    """The graphs have fixed shapes."""
    own = _ours(build)
    remedy = "shorten it, lower max_new_tokens, or raise max_prompt_len and min_response_len in the recipe"
    return Room(own.room(), remedy, prompt=own.max_prompt_len)


def model_types(task: str = DEFAULT_TASK) -> Mapping[str, tuple[Toolchain, ...]]:
    """Those of the OpenVINO backend."""
    return openvino.model_types(task) if task in OpenVINONpu.tasks else {}


def toolchains(config: Config, task: str = DEFAULT_TASK) -> tuple[Toolchain, ...]:
    """Those of the OpenVINO backend, whose export it takes."""
    return openvino.toolchains(config, task) if task in OpenVINONpu.tasks else ()


def preflight(build: BuildOptions, survey: Survey, toolchain: Toolchain = INSTALLED, task: str = DEFAULT_TASK) -> tuple[str, ...]:
    """Sentences, one for each reason why this build of this checkpoint cannot work with this toolchain."""
    own = _ours(build)
    reasons = list(openvino_preflight(as_openvino(own), survey, toolchain, task))
    if task != DEFAULT_TASK:
        return tuple(reasons)
    needed, context = own.room(), config_fields.context(survey.config)
    if context is not None and needed > context:
        reasons.append(f"max_prompt_len and min_response_len make {needed} tokens together, and the model's context holds {context}")
    reasons += npu_static.reasons(survey.config, own)
    if getattr(own.quantization, "group_size", -1) == 128 and survey.parameters > LARGEST_GROUPED:
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
            weights = compression(step.need("model"))
            model = compressed_bytes(weights, survey)
            twice = isinstance(weights, FourBitSpec) and weights.weights == "int4" and weights.group_size != -1
            return Estimate(round((2.4 if twice else 1.4) * model) + _PREFIX_BYTES, compiling_bytes(model))
        case fidelities.KIND:
            return fidelities.estimate(survey, compiling_bytes(compressed_bytes(compression(step.need("model")), survey)))
        case _:
            return openvino_estimate(step, survey)


def tags(step: Step) -> tuple[str, ...]:
    """The compiler under Wine is set up and tried where Wine is."""
    return ("wine",) if step.kind == "setup" else ()


def tags_here() -> dict[str, bool]:
    """Whether Wine would compile here."""
    return {"wine": npu_compiler.driver() == "wine"}


def packages(step: Step, report: Report) -> tuple[Distribution, ...]:
    """The wheels of the compiler under Wine."""
    return npu_compiler.packages(step)


def profiles() -> tuple[Profile, ...]:
    """Its packages are used as they are."""
    return ()


def has_pickles(build: BuildOptions) -> bool:
    """Neither IR nor a blob is a pickle."""
    return False


def compiling_bytes(model_bytes: int) -> int:
    """Memory that compiling a model of this size takes.

    The full Phi-3-mini shape, int4 in groups of 128, has 2.1 GB and was measured at 6.5 GB.
    """
    return round(3.2 * model_bytes) + _BASE_BYTES


def verify(step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    """Read the blob, and compare what it says of itself with what the recipe requests."""
    if step.kind == "setup":
        return npu_compiler.verify_setup(files)
    if step.kind == fidelities.KIND:
        return fidelities.verify(files)
    absent = tuple(f"{name} was not made" for name in (BLOB, DESCRIPTION) if not (files / name).is_file())
    if absent:
        return Verification(faults=absent)
    try:
        blob = npu_blob.read(files / BLOB)
    except NotABlob as error:
        return Verification(faults=(str(error),))
    measured = MeasuredBlob(
        compiler=", ".join(npu_rules.compilers(blob)),
        elf_format=drivers.stated(blob.images, "elf"),
        mapped_inference=drivers.stated(blob.images, "mi"),
        linux_driver=drivers.lowest(step.spec_as(CompileSpec).platform, blob.images),
        images=len(blob.images),
        image_bytes=sum(image.size_bytes for image in blob.images),
        blob_bytes=(files / BLOB).stat().st_size,
        weight_bytes=sum(tensor.size_bytes for tensor in blob.bank.tensors),
        weightless=blob.weightless,
        compiled_by=report.read(CompileResult).driver,
    )
    return Verification(measured.model_dump(mode="json"), tuple(npu_rules.faults(blob, step.spec_as(CompileSpec), inputs, files)))


def _ours(build: BuildOptions) -> OpenVINONpu:
    assert isinstance(build, OpenVINONpu)
    return build
