"""The task of models that write down what is said in a recording: Whisper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from bakehouse.errors import Failure
from bakehouse.formats import json_text, wav
from bakehouse.formats.checkpoint import Survey
from bakehouse.formats.gguf_header import Metadata
from bakehouse.recipe.model import Model
from bakehouse.recipe.resolved import ResolvedBuild
from bakehouse.records import Timed, Timestamps, Validation
from bakehouse.steps.maker import Verification
from bakehouse.steps.seam import Request
from bakehouse.steps.step import Step
from bakehouse.tasks import base, two_runs
from bakehouse.tasks.base import References, Trial
from bakehouse.tasks.seams import RunResult
from bakehouse.tasks.speech import reference
from bakehouse.tasks.speech.golden import mine
from bakehouse.tasks.speech.recordings import recorded
from bakehouse.tasks.speech.scoring import judge as judge_one
from bakehouse.tasks.speech.seams import HEARD, Recorded, ReferenceSpec, TranscribeRequest

_FEATURES = ("preprocessor_config.json", "processor_config.json")  # one of which says how a recording becomes numbers


def references(label: str, checkpoint: Step, golden: base.Golden, texts: Step | None, remote_code: bool) -> References:
    """What the source hears; there is neither a numeric check nor a measure of fidelity beyond that."""
    inputs = mine(golden.inputs)
    timestamps = tuple(one.timestamps for one in inputs) if any(one.timestamps for one in inputs) else ()
    spec = ReferenceSpec(languages=tuple(one.language for one in inputs), timestamps=timestamps, remote_code=remote_code)
    return References(answers=reference.RUN.step(label, checkpoint, spec, golden.files.items()))


def request(golden: Sequence[Model], model: Path, files: Path, brought: Mapping[str, Path]) -> TranscribeRequest:
    """Write down every recording into heard.json."""
    inputs = mine(golden)
    recordings = recorded([one.language for one in inputs], [one.timestamps for one in inputs], brought)
    return TranscribeRequest(model=model, recordings=recordings, heard=files / HEARD)


def judge(trial: Trial) -> tuple[Validation, Verification]:
    """Every recording with its verdict, in the model's own precision and as users have it."""
    found, source, weights = reference.read(trial.files), reference.read(trial.reference).heard, trial.options.quantization.weights
    rows = (mine(trial.golden), source)
    own = two_runs.verdicts(judge_one, *rows, found.heard, weights)
    used = two_runs.verdicts(partial(judge_one, in_use=True), *rows, found.in_use, weights)
    return two_runs.judged(trial, trial.report.read(RunResult), own, used)


def unfit(survey: Survey) -> tuple[str, ...]:
    """A checkpoint whose weights are quantized already."""
    return two_runs.unfit(survey)


def misfits(build: ResolvedBuild, survey: Survey) -> tuple[str, ...]:
    """Nothing more is known from the headers."""
    return ()


def misfits_of_files(build: ResolvedBuild, folder: Path, survey: Survey, own_code: bool) -> tuple[str, ...]:
    """Whether the files say how a recording becomes numbers, and the languages are the model's."""
    features = () if any((folder / name).is_file() for name in _FEATURES) else (f"it has no {_FEATURES[0]}: take a complete checkpoint",)
    path = folder / "generation_config.json"
    if not path.is_file():
        return (*features, "it has no generation_config.json, which says how Whisper begins and ends a text: take a complete checkpoint")
    try:
        config = json_text.loads(path.read_bytes())
    except ValueError as error:
        return (*features, f"its generation_config.json is not JSON: {error}")
    known = config if isinstance(config, Mapping) else {}
    return (*features, *_of_languages(build, known), *_of_words(build, known))


def _of_languages(build: ResolvedBuild, config: Mapping[str, object]) -> Iterator[str]:
    known = config.get("lang_to_id")
    for number, one in enumerate(mine(build.golden), start=1):
        if one.language is None:
            continue
        if config.get("is_multilingual") is False:
            yield f"golden input {number} names a language, and this model has only one: leave `language` out"
        elif isinstance(known, dict) and f"<|{one.language}|>" not in known:
            yield f"golden input {number} names the language {one.language}, which the model does not know"


def _of_words(build: ResolvedBuild, config: Mapping[str, object]) -> Iterator[str]:
    if not config.get("alignment_heads") and any(one.timestamps == "words" for one in mine(build.golden)):
        yield "its generation_config.json has no alignment_heads, by which the times of words are found: write `timestamps: segments`"


def misfits_of_gguf(build: ResolvedBuild, metadata: Metadata) -> tuple[str, ...]:
    """No reader makes a checkpoint of such a file."""
    return ("a speech model is not made of a GGUF file: take its safetensors checkpoint",)


def request_of(words: Sequence[str], model: Path, files: Path) -> TranscribeRequest:
    """Write down the recording that a command line names, as users have it."""
    if len(words) != 1:
        raise Failure("a speech model writes down a recording", remedy="give it one WAV file")
    path = Path(words[0]).expanduser().absolute()
    try:
        wav.samples(path)
    except wav.NotARecording as reason:
        raise Failure(f"the recording cannot be used: {reason}", where=str(path), remedy=wav.HOW_TO) from reason
    return TranscribeRequest(model=model, recordings=(Recorded(path=path),), heard=files / HEARD, only_in_use=True)


def lines_of(words: Sequence[str], files: Path) -> tuple[str, ...]:
    """What was heard; with times, if they were asked for, a line for each segment or word."""
    return tuple(line for one in reference.read(files).in_use for line in (map(_line, one.timed) if one.timed else (one.text.strip(),)))


def _line(one: Timed) -> str:
    end = " " * 9 if one.end_s is None else f"{one.end_s:9.2f}"
    return f"{one.start_s:9.2f} {end}  {one.text.strip()}"


def with_times(request: Request, kind: Timestamps) -> TranscribeRequest:
    """The same, with the times of segments or words.

    Raises:
        Failure: it is a request of another task.
    """
    if not isinstance(request, TranscribeRequest):
        raise Failure("--timestamps is for models of speech recognition", remedy="leave it out")
    return request.model_copy(update={"recordings": tuple(one.model_copy(update={"timestamps": kind}) for one in request.recordings)})
