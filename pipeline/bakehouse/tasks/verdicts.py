"""The verdict on an answer that is not written token by token."""

from __future__ import annotations

from typing import Any

from bakehouse.records import Agreement, Verdict


def without_tokens(prompt: str, answer: str, reasons: tuple[str, ...], **score: Any) -> Verdict:
    """The verdict on one golden input; `score` is the field of a Verdict that the task measures, such as `similarity`."""
    return Verdict(
        prompt=prompt,
        answer=answer,
        tokens=(),
        ended=True,
        passed=not reasons,
        reasons=reasons,
        agreement=Agreement(common_tokens=0, answer_tokens=0, source_tokens=0),
        first_token_s=0.0,
        tokens_per_s=None,
        **score,
    )
