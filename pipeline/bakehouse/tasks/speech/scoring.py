"""Whether a recording was written down well: as the source does, and as the recipe says. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from bakehouse.records import Agreement, Transcript, Verdict
from bakehouse.tasks.speech import times
from bakehouse.tasks.speech.golden import EXACT, Recording, most
from bakehouse.tasks.speech.seams import Transcription
from bakehouse.tasks.speech.words import word_error


def judge(golden: Recording, found: Transcription, source: Transcription, weights: str, *, in_use: bool = False) -> Verdict:
    """Compare what a build wrote down with the source's text and the recipe's; in floating point the tokens must be the source's.

    `in_use`: the device may have computed in another precision, so only the words are compared.
    """
    common = next(
        (at for at, pair in enumerate(zip(found.tokens, source.tokens, strict=False)) if pair[0] != pair[1]),
        min(len(found.tokens), len(source.tokens)),
    )
    transcript = Transcript(
        source=source.text,
        word_error=word_error(found.text, source.text),
        said_error=None if golden.text is None else word_error(found.text, golden.text),
        source_error=None if golden.text is None else word_error(source.text, golden.text),
        times=None if golden.timestamps is None else times.compared(golden.timestamps, found.timed, source.timed),
    )
    exact = weights in EXACT and not in_use
    reasons = tuple(_reasons(transcript, most(golden, weights), exact, found, source, common))
    if transcript.times is not None:
        reasons += tuple(times.reasons(golden, transcript.times, source.timed, weights, exact=exact))
    return Verdict(
        prompt=golden.audio,
        answer=found.text,
        tokens=found.tokens,
        ended=True,
        passed=not reasons,
        reasons=reasons,
        agreement=Agreement(common_tokens=common, answer_tokens=len(found.tokens), source_tokens=len(source.tokens)),
        first_token_s=0.0,
        tokens_per_s=None,
        transcript=transcript,
    )


def _reasons(
    transcript: Transcript, allowed: float, exact: bool, found: Transcription, source: Transcription, common: int
) -> Iterator[str]:
    heard = f"{found.text.strip()!r} was heard"
    if exact and found.tokens != source.tokens:
        yield f"{heard}, and by the source {source.text.strip()!r}: token {common + 1} differs, and in floating point none may"
    elif transcript.word_error > allowed:
        yield f"{heard}, and by the source {source.text.strip()!r}: {transcript.word_error:.0%} of the words differ, {allowed:.0%} may"
    if transcript.said_error is not None and transcript.said_error > allowed:
        own = f" (the source itself is wrong in {transcript.source_error:.0%})" if transcript.source_error else ""
        yield f"{heard}: {transcript.said_error:.0%} of the words are not what the recipe says, {allowed:.0%} may be{own}"
