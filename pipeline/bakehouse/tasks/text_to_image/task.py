"""The task of models that draw what a text says: Stable Diffusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bakehouse.errors import Failure
from bakehouse.formats import config_json, fields
from bakehouse.formats.checkpoint import Survey
from bakehouse.formats.gguf_header import Metadata
from bakehouse.recipe.model import Model
from bakehouse.recipe.resolved import ResolvedBuild
from bakehouse.records import Validation, Verdict
from bakehouse.steps.maker import Verification
from bakehouse.steps.step import Step
from bakehouse.tasks import base, two_runs
from bakehouse.tasks.base import References, Trial
from bakehouse.tasks.seams import RunResult
from bakehouse.tasks.text_to_image import pictures, reference
from bakehouse.tasks.text_to_image.golden import Draw, mine
from bakehouse.tasks.text_to_image.scoring import judge as judge_one
from bakehouse.tasks.text_to_image.seams import DrawRequest, ReferenceSpec, Wish

_STEPS, _SEED, _GUIDANCE = 20, 42, 7.5  # of what a command line wishes


def _wishes(golden: Sequence[Model]) -> tuple[Wish, ...]:
    return tuple(_wish(one) for one in mine(golden))


def _wish(one: Draw) -> Wish:
    return Wish.model_validate(one.model_dump(include=set(Wish.model_fields)))


def references(label: str, checkpoint: Step, golden: base.Golden, texts: Step | None, remote_code: bool) -> References:
    """What the source draws; there is neither a numeric check nor a measure of fidelity beyond that."""
    spec = ReferenceSpec(wishes=_wishes(golden.inputs), remote_code=remote_code)
    return References(answers=reference.RUN.step(label, checkpoint, spec))


def request(golden: Sequence[Model], model: Path, files: Path, brought: Mapping[str, Path]) -> DrawRequest:
    """Draw every picture into `files`."""
    return DrawRequest(model=model, wishes=_wishes(golden), files=files)


def judge(trial: Trial) -> tuple[Validation, Verification]:
    """Every picture with its verdict, in the model's own precision and as users have it."""

    def verdicts(run: pictures.Run) -> tuple[Verdict, ...]:
        return tuple(
            judge_one(
                one,
                pictures.path(trial.files, run, number).read_bytes(),
                pictures.path(trial.reference, "source", number).read_bytes(),
                trial.options.quantization.weights,
            )
            for number, one in enumerate(mine(trial.golden))
        )

    return two_runs.judged(trial, trial.report.read(RunResult), verdicts("own"), verdicts("in_use"))


def unfit(survey: Survey) -> tuple[str, ...]:
    """A checkpoint that is no pipeline of diffusers, or one of code that it brings."""
    kind = survey.config.get("_class_name")
    if isinstance(kind, list):
        return (f"its pipeline is code of its own ({' '.join(map(str, kind))}), which is not run",)
    return () if kind else (f"it is no pipeline of diffusers: it has no {config_json.PIPELINE} with a `_class_name`",)


def misfits(build: ResolvedBuild, survey: Survey) -> tuple[str, ...]:
    """Nothing more is known from the headers."""
    return ()


def misfits_of_files(build: ResolvedBuild, folder: Path, survey: Survey, own_code: bool) -> tuple[str, ...]:
    """Whether the parts are there that are converted."""
    wanted = ("scheduler", "text_encoder", "tokenizer", "unet", "vae")
    absent = [name for name in wanted if not any(fields.texts(survey.config, name))]
    return (f"{config_json.PIPELINE} names no {', no '.join(absent)}: take another pipeline",) if absent else ()


def misfits_of_gguf(build: ResolvedBuild, metadata: Metadata) -> tuple[str, ...]:
    """No reader makes a checkpoint of such a file."""
    return ("a text-to-image model is not made of a GGUF file: take its pipeline of diffusers",)


def request_of(words: Sequence[str], model: Path, files: Path) -> DrawRequest:
    """Draw what a command line says into the file that it names, as users have it."""
    if len(words) != 2 or not words[1].endswith(".png"):
        raise Failure("a text-to-image model draws what a prompt says", remedy="give it one prompt in quotes, and a file such as OUT.png")
    wish = Wish(prompt=words[0], steps=_STEPS, seed=_SEED, guidance=_GUIDANCE)
    return DrawRequest(model=model, wishes=(wish,), files=files, png=Path(words[1]).expanduser().absolute(), only_in_use=True)


def lines_of(words: Sequence[str], files: Path) -> tuple[str, ...]:
    """Where the picture is."""
    return (words[1],)
