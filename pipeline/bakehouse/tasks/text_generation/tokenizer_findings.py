"""What is noteworthy of a tokenizer that a runtime has for a model's, out of what the worker found that compared the two."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence

from pydantic import Field

from bakehouse.records import Written
from bakehouse.tasks.text_generation.seams import TokenizerComparison, TokenizerRead
from bakehouse.tasks.workers.tokenizer_difference import Difference, DifferentIds, DifferentPrompt, is_limit

_SHOWN = 40  # characters of an example


class Findings(Written):
    """Measured of a tokenizer. What is None, or empty, is left out.

    A base model may have a chat template that ends answers with a token which it never learned to stop at: that is a fault only where
    prompts are chats (see `scoring`).

    Attributes:
        tokenizer_limits: what the runtime's tokenizer does not do, a sentence for each kind with count and examples.
        tokenizer_corrected, conversion_corrected: as in TokenizerRead.
        tokenizer_end_unnamed: the tokenizer's own end token, where it is not among the model's end tokens.
        turn_end_unnamed: the same of the token with which the chat template ends an answer.
    """

    tokenizer_limits: tuple[str, ...] = Field((), exclude_if=lambda limits: not limits)
    tokenizer_corrected: str | None = Field(None, exclude_if=lambda value: value is None)
    conversion_corrected: str | None = Field(None, exclude_if=lambda value: value is None)
    tokenizer_end_unnamed: int | None = Field(None, exclude_if=lambda value: value is None)
    turn_end_unnamed: int | None = Field(None, exclude_if=lambda value: value is None)


def findings(compared: TokenizerComparison, read: TokenizerRead, ends: Sequence[int]) -> Findings:
    """What is measured of a tokenizer; `ends` are the end tokens that the model has in its runtime."""
    eos, turn_end = read.eos_token_id, read.turn_end_id
    return Findings(
        tokenizer_limits=tuple(_limits(compared)),
        tokenizer_corrected=read.tokenizer_corrected,
        conversion_corrected=read.conversion_corrected,
        tokenizer_end_unnamed=None if eos in ends else eos,
        turn_end_unnamed=None if turn_end in ends else turn_end,
    )


def _limits(compared: TokenizerComparison) -> Iterator[str]:
    """A sentence for each kind of limit, with counts and examples."""
    kinds: dict[str, dict[str, None]] = {}
    for case in compared.differences:
        if not isinstance(case, DifferentPrompt) and case.limit is not None:
            kinds.setdefault(case.limit, {})[case.text] = None
    for kind, texts in sorted(kinds.items()):
        yield f"{kind} ({len(texts)} of {compared.texts} texts: {_examples(texts)})"


def _examples(texts: Iterable[str]) -> str:
    return ", ".join(_shown(text) for text in itertools.islice(texts, 3))


def faults(runtime: str, compared: TokenizerComparison) -> list[str]:
    """One sentence if a runtime's tokenizer differs from transformers' otherwise than by a limit: how often, three cases, what to do."""
    wrong = [case for case in compared.differences if not is_limit(case)]
    if not wrong:
        return []
    chats = sum(isinstance(case, DifferentPrompt) for case in wrong)
    many = len({case.text for case in wrong if not isinstance(case, DifferentPrompt)})
    where = [f"{many} of {compared.texts} texts"] * bool(many) + [f"{chats} of {compared.chats} chats"] * bool(chats)
    cases = "; ".join(in_words(case) for case in wrong[:3])
    return [
        f"the tokenizer of {runtime} differs from transformers' in {' and '.join(where)}: {cases}. "
        "Build for another runtime, or take a checkpoint whose tokenizer.json this one reads"
    ]


def in_words(case: Difference) -> str:
    """A difference as part of a sentence."""
    if isinstance(case, DifferentPrompt):
        return f"the prompt {_shown(case.prompt)} in place of {_shown(case.expected_prompt)}"
    if isinstance(case, DifferentIds):
        ids, should = case.ids, case.expected_ids
        at = next((at for at, (one, other) in enumerate(zip(ids, should, strict=False)) if one != other), min(len(ids), len(should)))
        return f"{_shown(case.text)} has the ids {ids[at : at + 5]} in place of {should[at : at + 5]} from token {at} on"
    return f"{_shown(case.text)} is decoded as {_shown(case.decoded_text)} in place of {_shown(case.expected_text)}"


def _shown(text: str | None) -> str:
    return json.dumps(text if text is None or len(text) <= _SHOWN else f"{text[:_SHOWN]}…", ensure_ascii=False)
