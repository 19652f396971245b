"""The YAML of a new recipe, with comments for the person who goes on with it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import yaml
from pydantic import BaseModel

from bakehouse.app.init.origin import Origin
from bakehouse.backends.base import Proposal
from bakehouse.recipe.kinds import DEFAULT_TASK
from bakehouse.recipe.model import Model
from bakehouse.recipe.source import Local, Source
from bakehouse.recipe.spdx import UNSTATED
from bakehouse.toolchains.table import INSTALLED, Name

_WIDTH = 120
_WHY_PROMPT = "Every build must answer this before it is packaged; add what your users ask."
_WHY_GOLDEN = {
    "embeddings": "Every build must find the nearest text before it is packaged; add what your users look for.",
    "reranker": "Every build must find the best text before it is packaged; add what your users look for.",
    "speech-recognition": "Every build must write this down as the source does before it is packaged; add `text: ...`, what is said in it.",
    "text-to-image": "Every build must draw this as the source does before it is packaged; add what your users draw.",
    "vision-language": "Every build must answer this before it is packaged; add `contains: [...]`, what the answer must contain.",
}


@dataclass(frozen=True)
class Draft:
    """A recipe before it is written: `left_out` has proposals that do not fit, each with the reason; `toolchain` is of all builds."""

    name: str
    origin: Origin
    golden: Model
    builds: Sequence[Proposal]
    left_out: Sequence[tuple[str, str]] = ()
    toolchain: Name = INSTALLED


def recipe(draft: Draft) -> str:
    """The text of the file."""
    lines = [
        "schema_version: 1",
        f"name: {draft.name}",
        f"description: {_value(f'{draft.origin.title} for AI PCs')}",
        *([] if draft.origin.task == DEFAULT_TASK else [f"task: {draft.origin.task}"]),
        "source:",
        *_source(draft.origin.source),
        *_hub(draft.origin),
        *_toolchain(draft.toolchain),
        f"# {_WHY_GOLDEN.get(draft.origin.task, _WHY_PROMPT)}",
        "golden:",
        *_golden(draft.golden),
        "builds:",
        *(line for one in draft.builds for line in _build(one)),
        *(line for name, reason in draft.left_out for line in _comment(f"left out, {name}: {reason}", 2)),
    ]
    return "\n".join(lines) + "\n"


def _source(source: Source) -> Iterator[str]:
    for line in _lines(source, 2):
        if line.strip() == f"license: {UNSTATED}":
            yield "  # The source does not say what licence the model has: write it here before you publish anything."
        yield line


def _hub(origin: Origin) -> Iterator[str]:
    if origin.hub:
        repo, commit = origin.hub
        yield from _comment("It is a snapshot of the hub's cache. So that others can build it too, write in place of type and path:", 2)
        path = origin.source.path if isinstance(origin.source, Local) else ""
        gguf = [f"gguf: {_value(path.rpartition(f'{commit}/')[2])}"] if path.endswith(".gguf") else []
        yield from (f"  #   {line}" for line in ("type: huggingface", f"repo: {repo}", f"revision: {commit}", *gguf))


def _toolchain(name: Name) -> Iterator[str]:
    if name != INSTALLED:
        yield f"# The converters take such a model with an older release of transformers than the installed one ({INSTALLED})."
        yield f"toolchain: {name}"


def _golden(golden: Model) -> list[str]:
    first, *rest = _lines(golden, 4)
    return [f"  - {first.strip()}", *rest]


def _build(proposal: Proposal) -> list[str]:
    return [*_comment(proposal.why, 2), f"  {proposal.name}:", *_lines(proposal.build, 4)]


def _lines(model: BaseModel, indent: int) -> list[str]:
    """The fields of a model that are set, a line each: a mapping or a list in one line, `weights` first in a quantization."""
    given = model.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    return [" " * indent + f"{name}: {_value(value)}" for name, value in given.items()]


def _value(value: object) -> str:
    if isinstance(value, dict):
        value = {name: value[name] for name in sorted(value, key=lambda name: name != "weights")}
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000).removesuffix("\n...\n").strip()


def _comment(text: str, indent: int) -> list[str]:
    start = f"{' ' * indent}# "
    return textwrap.wrap(text, _WIDTH, initial_indent=start, subsequent_indent=start) if text else []
