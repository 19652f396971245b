"""Makes OpenVINO IR of a Hugging Face checkpoint, its weights in the checkpoint's own precision; without a tokenizer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bakehouse.backends.openvino.seams import ExportRequest, ExportResult
from bakehouse.backends.openvino.workers import kept
from bakehouse.backends.openvino.workers import rope as openvino_rope
from bakehouse.child import events, mapped, start
from bakehouse.tasks.text_generation.workers import end_tokens, loading, tokenizers_loading

PRECISIONS = ("float32", "float16", "bfloat16")


def load(checkpoint: Path, remote_code: bool) -> Any:
    """The torch model in the precision that config.json names, or where it names none in that of the weights."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(checkpoint, local_files_only=True, trust_remote_code=remote_code)
    if getattr(config, "quantization_config", None):
        events.refuse("The checkpoint is already quantized.", "Take the unquantized checkpoint of this model as the source.")
    return loading.causal_lm(checkpoint, dtype=getattr(config, "dtype", None) or "auto", trust_remote_code=remote_code)


def models(folder: Path) -> list[Path]:
    """The models of an export: openvino_model.xml, or one for each part, which may be in a folder of its own."""
    return sorted([*folder.glob("openvino_*model.xml"), *folder.glob("*/openvino_model.xml")])


def name_of(path: Path, folder: Path) -> str:
    """What a model of an export is called: its path without the end."""
    return path.relative_to(folder).with_suffix("").as_posix()


def precision_of(model: Any) -> str:
    """The precision of a torch model's weights: "bfloat16"."""
    return str(model.dtype).removeprefix("torch.")


def export(checkpoint: Path, files: Path, remote_code: bool) -> ExportResult:
    """Fill `files` with openvino_model.{xml,bin}, config.json and generation_config.json."""
    events.progress("importing optimum-intel")
    import optimum.exporters.openvino.convert  # noqa: F401  it takes seconds, and changes what transformers makes of a model

    events.progress("loading the checkpoint")
    model = load(checkpoint, remote_code)
    openvino_rope.follow_lengths(model)
    return save(model, checkpoint, files, remote_code, task="text-generation-with-past", stateful=True)


def save(model: Any, checkpoint: Path, files: Path, remote_code: bool, **kind: Any) -> ExportResult:
    """Trace a torch model of any task and save it with its config.json; `kind` are the exporter's options for the task.

    `export_from_model` and not `main_export`: the latter quantizes to int8 by itself from 1e9 parameters on.
    No preprocessors: the tokenizer is a step of its own.
    """
    from optimum.exporters.openvino.convert import export_from_model

    if (precision := precision_of(model)) not in PRECISIONS:
        events.refuse(f"The checkpoint's precision, {precision}, cannot be exported.", f"Use one in {', '.join(PRECISIONS)}.")
    is_16bit = model.dtype.itemsize == 2  # now: upstream leaves some embeddings in float32 behind
    events.progress("tracing and saving the model")
    with kept.temporaries(), kept.small_while_saved(checkpoint), _refusing(model.config.model_type):
        export_from_model(model, files, preprocessors=[], device="cpu", trust_remote_code=remote_code, patch_16bit_model=is_16bit, **kind)
    exact = None
    if is_16bit:
        from bakehouse.backends.openvino.workers import exact as openvino_exact

        events.progress("looking at the weights that are wider than the checkpoint's")
        buffers = [buffer for _, buffer in model.named_buffers()]
        with mapped.kept_small(checkpoint, files):
            found = {name_of(path, files): openvino_exact.wide(path, precision, checkpoint, buffers) for path in models(files)}
        exact = tuple(one if len(found) == 1 else f"{name}:{one}" for name, ones in found.items() for one in ones)
    return ExportResult.model_validate({"parameters": model.num_parameters(), "dtype": precision, "exact_f32": exact})


# What optimum-intel 2.1 says of an architecture that it has no configuration for, or for another release of transformers only.
_NOT_EXPORTED = ("custom or unsupported architecture", "does not allow for the export", "not officially supported by optimum-intel")


@contextlib.contextmanager
def _refusing(kind: str) -> Iterator[None]:
    """End with a sentence where upstream knows no export of a model type."""
    try:
        yield
    except ValueError as error:
        if not any(words in str(error) for words in _NOT_EXPORTED):
            raise
        events.refuse(
            f"optimum-intel does not export models of type {kind} with this release of transformers.",
            "Take another runtime, or a toolchain with which `bakehouse support` lists the type.",
            [str(error).split(". ")[0]],
        )


def run(request: ExportRequest) -> ExportResult:
    """Export the model, and have its generation_config.json name the checkpoint's end tokens."""
    with start.own_modules():
        ends = tokenizers_loading.end_tokens_of(request.checkpoint, request.remote_code)
        result = export(request.checkpoint, request.files, request.remote_code)
        end_tokens.complete(request.checkpoint, request.files, ends)
        return result


if __name__ == "__main__":
    start.run(run, ExportRequest)
