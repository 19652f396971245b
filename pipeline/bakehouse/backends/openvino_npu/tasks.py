"""Models of other tasks than text generation for the NPU: embeddings and speech recognition, in openvino_genai's own pipelines."""

from __future__ import annotations

from bakehouse.backends.base import runtime_is_installed
from bakehouse.backends.openvino import backend as openvino
from bakehouse.backends.openvino_npu.options import OpenVINONpu
from bakehouse.backends.openvino_npu.seams import EmbedRequest, TranscribeRequest
from bakehouse.errors import Failure
from bakehouse.steps.maker import Command, worker
from bakehouse.tasks import seams as tasks
from bakehouse.tasks.embeddings import seams as embeddings
from bakehouse.tasks.speech import seams as speech


def generate(own: OpenVINONpu, request: tasks.RunRequest) -> Command:
    """The command that gives a model the inputs of a task's request, on the NPU if there is one, else in its graphs on the CPU.

    Raises:
        Failure: another device. NotInstalled: the runtime is missing.
    """
    if request.device == "GPU":
        raise not_on_gpu()
    runtime_is_installed(openvino.RUNTIME)
    match request:
        case embeddings.EmbedRequest():
            wanted = EmbedRequest(**dict(request), max_length=own.max_length)
            return worker("backends.openvino_npu.workers.embed", request=wanted)
        case speech.TranscribeRequest():
            return worker("backends.openvino_npu.workers.transcribe", request=TranscribeRequest(**dict(request)))
        case _:
            raise ValueError(f"openvino-npu has no {type(request).__name__}")


def not_on_gpu() -> Failure:
    """What is said of a GPU."""
    return Failure("a model for the NPU is not run on a GPU", remedy="add --device NPU or --device CPU, or take a build for openvino")
