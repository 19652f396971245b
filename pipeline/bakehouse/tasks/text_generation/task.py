"""The task of models that continue a text or answer a chat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from bakehouse.formats import checkpoint as surveys
from bakehouse.formats.checkpoint import Survey
from bakehouse.formats.gguf_header import Metadata
from bakehouse.recipe import bounds
from bakehouse.recipe.model import Model
from bakehouse.recipe.resolved import ResolvedBuild
from bakehouse.records import Validation
from bakehouse.steps.maker import Verification
from bakehouse.steps.step import Step
from bakehouse.tasks import base
from bakehouse.tasks.base import References, Trial
from bakehouse.tasks.text_generation import reference, suitability, validation
from bakehouse.tasks.text_generation.answer_file import NAME as ANSWERS
from bakehouse.tasks.text_generation.golden import Golden, mine
from bakehouse.tasks.text_generation.seams import GenerateRequest
from bakehouse.tasks.text_generation.workers import end_tokens
from bakehouse.tasks.text_generation.workers.answers import Prompt

_UNTEMPLATED = "its prompts are chats, and the {} has no chat template: ask by `raw`, or take a {}"


def prompts(golden: Iterable[Golden]) -> tuple[Prompt, ...]:
    """The prompts for a generating worker: chats or raw texts, each with its token limit."""
    return tuple(
        Prompt(
            messages=tuple(message.model_dump(mode="json") for message in one.messages) if one.messages else None,
            raw=one.raw,
            max_new_tokens=one.max_new_tokens,
        )
        for one in golden
    )


def references(label: str, checkpoint: Step, golden: base.Golden, texts: Step | None, remote_code: bool) -> References:
    """The source's answers, its logits and its distributions."""
    return References(
        answers=reference.step(label, checkpoint, prompts(mine(golden.inputs)), remote_code),
        logits=reference.logits_step(label, checkpoint, remote_code),
        distributions=reference.fidelity_step(label, checkpoint, texts, remote_code),
    )


def request(golden: Sequence[Model], model: Path, files: Path, brought: Mapping[str, Path]) -> GenerateRequest:
    """Answer the prompts into `answers.jsonl`."""
    return GenerateRequest(model=model, prompts=prompts(mine(golden)), answers=files / ANSWERS)


def judge(trial: Trial) -> tuple[Validation, Verification]:
    """Every answer with its verdict."""
    return validation.of_trial(trial)


def unfit(survey: Survey) -> tuple[str, ...]:
    """A checkpoint that writes no text, is quantized, or lacks weights."""
    return suitability.reasons(survey)


def misfits(build: ResolvedBuild, survey: Survey) -> tuple[str, ...]:
    """Answers that may be longer than the context, and bounds that the reference's own precision hides."""
    return (*_below_floor(build, survey), *_too_long(build, survey))


def _below_floor(build: ResolvedBuild, survey: Survey) -> Iterator[str]:
    """A bound that is nearer than the reference's own precision allows one to see."""
    if reason := bounds.below_floor(build.options.bounds, reference.precision(survey)):
        yield reason


def _too_long(build: ResolvedBuild, survey: Survey) -> Iterator[str]:
    """Golden prompts whose answers may have more tokens than fit behind a prompt."""
    context = surveys.context_tokens(survey.config)
    for number, golden in enumerate(mine(build.golden), start=1):
        if context is not None and golden.max_new_tokens >= context:
            yield (
                f"golden prompt {number} lets its answer have {golden.max_new_tokens} tokens (max_new_tokens), "
                f"and the model takes {context}, those of the prompt among them"
            )


def misfits_of_files(build: ResolvedBuild, folder: Path, survey: Survey, own_code: bool) -> tuple[str, ...]:
    """Tokens without a row of the embedding, chats without a template, and answers that nothing would end."""
    texts = [str(golden.model_dump(include={"prompt", "messages", "raw"})) for golden in build.golden]
    beyond = suitability.tokens_beyond(folder, survey.config, texts)
    if own_code or surveys.has_chat_template(folder):
        return beyond
    untemplated = (_UNTEMPLATED.format("model", "model that is made for chats"),) if _has_chats(build) else ()
    endless = () if end_tokens.of(folder) else (f"{end_tokens.NOWHERE[:-1]}: {end_tokens.REMEDY[0].lower()}{end_tokens.REMEDY[1:-1]}",)
    return (*beyond, *untemplated, *endless)


def misfits_of_gguf(build: ResolvedBuild, metadata: Metadata) -> tuple[str, ...]:
    """Chats without a template."""
    has_template = bool(metadata.get("tokenizer.chat_template"))
    return () if has_template or not _has_chats(build) else (_UNTEMPLATED.format("GGUF", "file that has one"),)


def _has_chats(build: ResolvedBuild) -> bool:
    return any(golden.messages for golden in mine(build.golden))
