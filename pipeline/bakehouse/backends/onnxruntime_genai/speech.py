"""Models that write down what is said, for ONNX Runtime GenAI: Whisper, an encoder and a decoder, made and run on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bakehouse.backends.onnxruntime_genai import speech_limits, words
from bakehouse.backends.onnxruntime_genai.options import OnnxRuntimeGenAI
from bakehouse.backends.onnxruntime_genai.quantization import OrtInt8
from bakehouse.backends.onnxruntime_genai.seams import SpeechRequest, SpeechSpec
from bakehouse.errors import Failure
from bakehouse.formats import config_json, fields
from bakehouse.steps.maker import Command, worker
from bakehouse.steps.step import Step
from bakehouse.tasks.speech.seams import TranscribeRequest

FORMAT = 1  # of the model step: raised when this code comes to make other bytes from the same options


def spelled_out(build: OnnxRuntimeGenAI, remote_code: bool) -> SpeechSpec:
    """What the builder gets, nothing left open: where a model ties its embeddings, it would otherwise quantize the embedding, too."""
    normal = build.normal()
    own = {} if isinstance(normal.quantization, OrtInt8) else {"shared_embeddings": False}
    return SpeechSpec(
        execution_provider=normal.execution_provider,
        quantization=normal.quantization.model_copy(update=own),
        graph_capture=normal.graph_capture,
        remote_code=remote_code,
    )


def command(step: Step, checkpoint: Path, files: Path) -> Command:
    """The command that makes a model folder."""
    spec = step.spec_as(SpeechSpec)
    request = SpeechRequest(checkpoint=checkpoint, files=files, spec=spec)
    by_hand = " ".join((words.upstream(spec), *_besides(checkpoint)))
    return worker("backends.onnxruntime_genai.workers.speech_build", request=request, upstream=by_hand)


def _besides(checkpoint: Path) -> Iterator[str]:
    """What someone who runs the builder has to change in it, as a comment on its command line."""
    config = config_json.read(checkpoint) if (checkpoint / config_json.NAME).is_file() else {}
    layers = fields.integer(config, "decoder_layers")
    if layers != fields.integer(config, "encoder_layers"):
        yield f"# with the encoder's keys and values for {layers} layers of the decoder"


def generate(build: OnnxRuntimeGenAI, request: TranscribeRequest) -> Command:
    """The command that writes down the recordings of `request` with onnxruntime_genai, on the CPU.

    Raises:
        Failure: another device is requested, times, or a recording that is too long.
    """
    if request.device not in (None, "CPU"):
        what = f"speech models for ONNX Runtime GenAI are run on the CPU here, not on a {request.device}"
        raise Failure(what, remedy="leave out --device")
    for one in request.recordings:
        for reason in speech_limits.refusals(one.path, times=one.timestamps is not None):
            raise Failure(reason, where=str(one.path), remedy="use a build for openvino")
    ours = request.model_copy(update={"model": request.model / build.folder()})
    return worker("backends.onnxruntime_genai.workers.transcribe", request=ours)
