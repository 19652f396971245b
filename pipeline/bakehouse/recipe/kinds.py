"""What a recipe chooses from: the tasks, each with its golden inputs, and the runtimes, each with its options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Annotated, Any, Literal, get_args

from pydantic import Discriminator, Field, Tag

from bakehouse.backends.npu_library.options import NpuLibrary
from bakehouse.backends.onnxruntime.options import OnnxRuntime
from bakehouse.backends.onnxruntime_genai.options import OnnxRuntimeGenAI
from bakehouse.backends.openvino.options import OpenVINO
from bakehouse.backends.openvino_npu.options import OpenVINONpu
from bakehouse.tasks.embeddings.golden import Search
from bakehouse.tasks.reranker.golden import Ranked
from bakehouse.tasks.speech.golden import Recording
from bakehouse.tasks.text_generation.golden import Golden
from bakehouse.tasks.text_to_image.golden import Draw
from bakehouse.tasks.vision_language.golden import Look

TaskName = Literal["text-generation", "embeddings", "reranker", "speech-recognition", "vision-language", "text-to-image"]
DEFAULT_TASK: TaskName = "text-generation"


_BY_FIELDS = (Ranked, Search, Recording, Look, Draw)  # each with fields by which its golden inputs are known, the first that has one


def _kind_of_golden(given: object) -> str:
    """Whose golden input this is meant to be, by its fields."""
    if isinstance(given, Mapping):
        return next((kind.task for kind in _BY_FIELDS if given.keys() & kind.own), Golden.task)
    return str(getattr(given, "task", Golden.task))


# A golden input of any task; a recipe's are all of its own task.
AnyGolden = Annotated[
    Annotated[Golden, Tag(Golden.task)]
    | Annotated[Search, Tag(Search.task)]
    | Annotated[Ranked, Tag(Ranked.task)]
    | Annotated[Recording, Tag(Recording.task)]
    | Annotated[Look, Tag(Look.task)]
    | Annotated[Draw, Tag(Draw.task)],
    Discriminator(_kind_of_golden),
]


def longest_answer(inputs: Iterable[AnyGolden]) -> int:
    """How many new tokens golden prompts request at most; 0 if none of them requests text."""
    return max((golden.max_new_tokens for golden in inputs if isinstance(golden, Golden)), default=0)


def is_default_task(task: str) -> bool:
    """Whether a task is the one that recipes have without the field; it is left out of keys, which are older than the field."""
    return task == DEFAULT_TASK


# A class for each runtime, from its backend's folder.
BuildOptions = Annotated[OpenVINO | OnnxRuntimeGenAI | OnnxRuntime | OpenVINONpu | NpuLibrary, Field(discriminator="runtime")]


@cache
def runtimes() -> dict[str, type[Any]]:
    """The class of each runtime's options, by the runtime's name."""
    return {get_args(kind.model_fields["runtime"].annotation)[0]: kind for kind in get_args(get_args(BuildOptions)[0])}
