"""Whether a prompt about a picture was answered well: as the source does, and as the recipe says. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from bakehouse.records import Agreement, Verdict
from bakehouse.tasks.vision_language.golden import EXACT, Look
from bakehouse.tasks.vision_language.seams import Answer


def judge(golden: Look, found: Answer, source: Answer, weights: str, *, in_use: bool = False) -> Verdict:
    """Compare an answer with the source's and with what the recipe expects; in floating point the tokens must be the source's.

    `in_use`: the device may have computed in another precision, so tokens are counted, and none need be the source's.
    """
    common = next(
        (at for at, pair in enumerate(zip(found.tokens, source.tokens, strict=False)) if pair[0] != pair[1]),
        min(len(found.tokens), len(source.tokens)),
    )
    least = 0 if in_use else len(source.tokens) if weights in EXACT else golden.min_tokens
    reasons = (*_prompt(found, source), *_tokens(found, source, common, least), *_expected(golden, found, source))
    return Verdict(
        prompt=golden.prompt,
        answer=found.text,
        tokens=found.tokens,
        ended=len(found.tokens) < golden.max_new_tokens,
        passed=not reasons,
        reasons=reasons,
        agreement=Agreement(common_tokens=common, answer_tokens=len(found.tokens), source_tokens=len(source.tokens)),
        first_token_s=0.0,
        tokens_per_s=None,
    )


def _prompt(found: Answer, source: Answer) -> Iterator[str]:
    """The runtime made as many tokens of the picture and the prompt."""
    if found.prompt_tokens != source.prompt_tokens:
        yield (
            f"the runtime makes {found.prompt_tokens} tokens of the picture and the prompt, transformers {source.prompt_tokens}: "
            "its chat template, its tokenizer or its way to cut pictures differs"
        )


def _tokens(found: Answer, source: Answer, common: int, least: int) -> Iterator[str]:
    if not found.text.strip() and source.text.strip():
        yield "the answer is empty"
    if least == len(source.tokens) and found.tokens != source.tokens:
        at = f"token {common + 1} differs" if common < len(source.tokens) else "it goes on"
        yield f"{found.text.strip()!r} is answered, and by the source {source.text.strip()!r}: {at}, and all must be the same"
    elif common < min(least, len(source.tokens)):
        yield f"{common} leading tokens are the source's, {least} must be"


def _expected(golden: Look, found: Answer, source: Answer) -> Iterator[str]:
    for part in golden.contains:
        if part not in found.text:
            own = "" if part in source.text else " (neither does the source's)"
            yield f"the answer does not contain {part!r}{own}"
