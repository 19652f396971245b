"""Which task a model is for, by its files, and a first golden input for it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from bakehouse.app.init import paths
from bakehouse.errors import Failure
from bakehouse.formats import config_json, picture, wav
from bakehouse.formats.config_json import Config
from bakehouse.recipe.kinds import DEFAULT_TASK, TaskName
from bakehouse.recipe.model import Model
from bakehouse.tasks.embeddings.golden import Search
from bakehouse.tasks.embeddings.pooling import MODULES
from bakehouse.tasks.reranker.golden import Ranked
from bakehouse.tasks.speech.golden import Recording
from bakehouse.tasks.text_generation.golden import Golden
from bakehouse.tasks.text_to_image.golden import Draw
from bakehouse.tasks.vision_language.golden import Look

_Made = TypeVar("_Made", bound=Model)
PROMPT, WORD = "What is the capital of France?", "Paris"
_RAW = "The capital of France is"
_MOST_NEW_TOKENS = 32
_QUERY = "How do I bake bread?"
_TO_DRAW, _STEPS = "A loaf of bread on a wooden table", 20
_ABOUT_PICTURE = "Describe this picture."
_TEXTS = ("Mix flour, water and yeast, and bake the dough.", "The train to Paris leaves at noon.")


def of(config: Config, files: Iterable[str]) -> TaskName:
    """The task of a checkpoint with this config.json, of which a class's name is enough, and these files at its top."""
    named = config.get("architectures")
    classes = [one for one in named if isinstance(one, str)] if isinstance(named, list) else []
    if config_json.PIPELINE in files:
        return "text-to-image"
    if MODULES in files:
        return "embeddings"
    if any(one.startswith("Whisper") for one in classes):
        return "speech-recognition"
    if "vision_config" in config and any(one.endswith("ForConditionalGeneration") for one in classes):
        return "vision-language"
    return "reranker" if any(one.endswith("ForSequenceClassification") for one in classes) else DEFAULT_TASK


def golden(task: TaskName, given: argparse.Namespace, chat: bool, recipes: Path) -> Model:
    """The first golden input of a recipe, as the words of the command line have it, or a usual one.

    Raises:
        Failure: these words are for models of another task, or a model that needs a recording or a picture is given none.
    """
    if given.audio is not None and task != Recording.task:
        raise Failure(f"--audio is for speech models, and this is one of {task}.", remedy="Leave it out.")
    if given.picture is not None and task != Look.task:
        raise Failure(f"--picture is for vision-language models, and this is one of {task}.", remedy="Leave it out.")
    if given.prompt is not None and task not in (DEFAULT_TASK, Look.task):
        raise Failure(f"--prompt is for models that write text, and this is one of {task}.", remedy="Leave it out.")
    match task:
        case "embeddings":
            return Search(query=_QUERY, texts=_TEXTS, closest=_TEXTS[0])
        case "reranker":
            return Ranked(query=_QUERY, texts=_TEXTS, best=_TEXTS[0])
        case "speech-recognition":
            return _recording(given.audio, recipes)
        case "text-to-image":
            return Draw.model_validate({"prompt": _TO_DRAW, "steps": _STEPS})
        case "vision-language":
            return _look(given, recipes)
        case _:
            prompt, word = given.prompt or (PROMPT if chat else _RAW), given.contains or WORD
            kind = "prompt" if chat else "raw"
            return Golden.model_validate({kind: prompt, "contains": (word,), "max_new_tokens": _MOST_NEW_TOKENS})


def _recording(named: str | None, recipes: Path) -> Recording:
    """A recording as the recipe has it."""
    if named is None:
        raise Failure(
            "This model writes down what is said, and every build of it must write down a recording.",
            remedy=f"Give one with --audio FILE.wav; {wav.HOW_TO}.",
        )
    path = paths.without_dots(Path(named).expanduser())
    try:
        wav.samples(path)
    except wav.NotARecording as reason:
        raise Failure(f"The recording cannot be used: {reason}.", where=named, remedy=f"{wav.HOW_TO}.") from reason
    return _naming(path, lambda: Recording(audio=paths.as_written(path, recipes)))


def _look(given: argparse.Namespace, recipes: Path) -> Look:
    """A picture as the recipe has it, and what is asked about it."""
    if given.picture is None:
        raise Failure(
            "This model answers prompts about a picture, and every build of it must answer one.",
            remedy=f"Give a picture with --picture FILE.png; {picture.HOW_TO}.",
        )
    path = paths.without_dots(Path(given.picture).expanduser())
    try:
        picture.size(path)
    except picture.NotAPicture as reason:
        raise Failure(f"The picture cannot be used: {reason}.", where=given.picture, remedy=f"{picture.HOW_TO}.") from reason
    asked = {"prompt": given.prompt or _ABOUT_PICTURE, "max_new_tokens": _MOST_NEW_TOKENS}
    expected = {} if given.contains is None else {"contains": (given.contains,)}
    return _naming(path, lambda: Look.model_validate({"picture": paths.as_written(path, recipes), **asked, **expected}))


def _naming(path: Path, make: Callable[[], _Made]) -> _Made:
    """A golden input that names a file.

    Raises:
        Failure: a recipe cannot have this path.
    """
    try:
        return make()
    except ValidationError as error:
        what = "; ".join(one["msg"] for one in error.errors(include_url=False))
        raise Failure(f"A recipe cannot name {path}: {what}", remedy="Rename it, or give another place.") from error
