"""Whether an answer is good: what the recipe expects of it, and what holds for every answer. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bakehouse.recipe.agreement import compared
from bakehouse.records import Agreement, Verdict
from bakehouse.tasks.text_generation.golden import Golden

# An answer that ends in this many repetitions of up to _LONGEST_PERIOD tokens goes round in circles.
_REPETITIONS = 4
_LONGEST_PERIOD = 32
_LEAST_LOOP_TOKENS = 16
_MATCHING_S = 5.0


@dataclass(frozen=True)
class Answer:
    """What a model answered: token ids with the end token, text without special tokens, and how fast (seconds, tokens a second)."""

    tokens: tuple[int, ...]
    text: str
    ended: bool
    first_token_s: float = 0.0
    tokens_per_s: float | None = None
    runners: tuple[tuple[int, float], ...] = ()
    prompt_ids: tuple[int, ...] = ()


def judge(
    golden: Golden,
    answer: Answer,
    source: Answer,
    min_agreement: int,
    tie: float = 0.0,
    turn_end: int | None = None,
    kept_beyond: int | None = None,
    expected: bool = True,
) -> Verdict:
    """Compare an answer with its golden prompt and with the unquantized model's answer to the same.

    Where both part at a token whose second best is within `tie`, in logits, and the answer has that one, they agree: what follows
    the other token is another answer, and cannot be compared.

    Args:
        turn_end: the token that ends an answer in a chat, where it is not among the model's end tokens.
        kept_beyond: the length beyond which transformers and the runtime go on with other keys, if the model has one.
        expected: whether the answer is the one that the recipe is about; of another only what it shares with the source's counts.
    """
    agreement = Agreement(
        common_tokens=_common(answer.tokens, source.tokens),
        answer_tokens=len(answer.tokens),
        source_tokens=len(source.tokens),
        near_tie=_near_tie(answer, source, tie),
        compared_tokens=compared(kept_beyond, len(source.prompt_ids), len(source.tokens)),
    )
    of_recipe = (*_always(golden, answer), *_turn(golden, answer, turn_end), *_expected(golden, answer.text)) if expected else ()
    reasons = (*_prompt(answer, source), *of_recipe, *_agrees(agreement, min_agreement))
    return Verdict(
        prompt=question(golden),
        answer=answer.text,
        tokens=answer.tokens,
        ended=answer.ended,
        passed=not reasons,
        reasons=reasons,
        agreement=agreement,
        first_token_s=answer.first_token_s,
        tokens_per_s=answer.tokens_per_s,
    )


def _always(golden: Golden, answer: Answer) -> Iterator[str]:
    """What holds for every answer: it says something, it ends, it does not go round in circles."""
    if not answer.text.strip():
        yield "the answer is empty"
    if golden.ends and not answer.ended:
        yield f"the answer does not end by itself within {golden.max_new_tokens} tokens"
    if period := loop(answer.tokens):
        yield f"the answer goes round in circles: its last {period} {'tokens come' if period > 1 else 'token comes'} again and again"


def _prompt(answer: Answer, source: Answer) -> Iterator[str]:
    """The runtime got the same prompt, token for token."""
    if answer.prompt_ids != source.prompt_ids:
        yield (
            f"the runtime makes {len(answer.prompt_ids)} tokens of this prompt that are not the {len(source.prompt_ids)} of transformers: "
            "its chat template or its tokenizer differs"
        )


def _turn(golden: Golden, answer: Answer, turn_end: int | None) -> Iterator[str]:
    """Answers in a chat would not end; nothing is wrong with an answer that did, or with a model that gets texts only."""
    if golden.messages and turn_end is not None and not answer.ended:
        yield (
            f"the chat template ends an answer with the token {turn_end}, which is not among the model's end tokens: chats would run on "
            "(ask by `raw` if it is a base model, or take a source whose generation_config.json names the token)"
        )


def _expected(golden: Golden, text: str) -> Iterator[str]:
    """What this recipe expects."""
    for part in golden.contains:
        if part not in text:
            yield f"the answer does not contain {part!r}"
    if golden.matches is not None:
        yield from unmatched(golden.matches, text, _MATCHING_S)
    if golden.equals is not None and text.strip() != golden.equals.strip():
        yield f"the answer is not {golden.equals!r}"


def unmatched(expression: str, text: str, limit_s: float) -> Iterator[str]:
    """Why a text does not match, if so; Python's own `re` cannot be stopped, and an expression may take longer than anyone waits."""
    import regex  # here, because listing builds does not need it

    try:
        if not regex.search(expression, text, timeout=limit_s, concurrent=True):
            yield f"the answer does not match {expression!r}"
    except TimeoutError:
        yield f"the answer was compared with {expression!r} for {limit_s:g} seconds to no end: write it without repetitions of repetitions"


def _agrees(agreement: Agreement, least: int) -> Iterator[str]:
    needed = min(least, agreement.source_tokens if agreement.compared_tokens is None else agreement.compared_tokens)
    if agreement.common_tokens < needed and agreement.near_tie is None:
        yield f"the answer shares its first {agreement.common_tokens} tokens with the unquantized model's, should be {needed}"


def _near_tie(answer: Answer, source: Answer, tie: float) -> float | None:
    at = _common(answer.tokens, source.tokens)
    if at >= min(len(answer.tokens), len(source.tokens), len(source.runners)):
        return None
    second, distance = source.runners[at]
    return distance if answer.tokens[at] == second and distance <= tie else None


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    """Number of equal tokens before the first that differs."""
    for count, (one, other) in enumerate(zip(a, b, strict=False)):
        if one != other:
            return count
    return min(len(a), len(b))


def loop(tokens: Sequence[int]) -> int:
    """The shortest period in which the end of `tokens` repeats itself often enough to be a loop; 0 if it does not."""
    for period in range(1, _LONGEST_PERIOD + 1):
        length = max(_REPETITIONS * period, _LEAST_LOOP_TOKENS)
        end = tokens[-length:]
        if len(end) == length and all(end[at] == end[at + period] for at in range(length - period)):
            return period
    return 0


def question(golden: Golden) -> str:
    """The prompt for people: the text, or the chat."""
    if golden.raw is not None:
        return golden.raw
    messages = golden.messages or ()
    return messages[0].content if len(messages) == 1 else "\n".join(f"{message.role}: {message.content}" for message in messages)
