"""The tasks that OpenVINO has besides text generation."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from bakehouse.backends.openvino import embeddings, reranker, speech, text_to_image, vision_language
from bakehouse.backends.openvino.form import Form
from bakehouse.backends.openvino.options import RuntimeOptions
from bakehouse.steps.maker import Command
from bakehouse.steps.seam import Spec
from bakehouse.tasks.seams import RunRequest

FORMS: MappingProxyType[str, Form] = MappingProxyType(
    {one.task: one for one in (embeddings.FORM, speech.FORM, reranker.FORM, vision_language.FORM, text_to_image.FORM)}
)


def of(spec: Spec) -> Form | None:
    """The form of an export or a tokenizer; None for those of models that write text."""
    return next((form for form in FORMS.values() if isinstance(spec, form.spec)), None)


def run(request: RunRequest, options: RuntimeOptions | None) -> Command:
    """The command that gives a model the inputs of a task's request."""
    return next(form for form in FORMS.values() if issubclass(form.runs[1], type(request))).run(request, options)


def layout(config: Path) -> dict[str, Path] | None:
    """Path in the package -> file, of what an export in the folder has next to its models; None for one that writes text."""
    form = next((form for form in FORMS.values() if all((config / name).is_file() for name in _marks(form))), None)
    writes = form is reranker.FORM and (config / speech.GENERATION).is_file()  # one that writes text has all files of a reranker, and this
    return form.layout(config) if form and not writes else None


def _marks(form: Form) -> tuple[str, ...]:
    return (*form.beside, *(f"{name}.xml" for name in form.components))
