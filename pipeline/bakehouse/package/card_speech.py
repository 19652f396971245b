"""What a model card says about a model that writes down what is said."""

from __future__ import annotations

from collections.abc import Iterator

from bakehouse.package import card_use
from bakehouse.package.manifest import PackageManifest
from bakehouse.records import Timestamps, Verdict
from bakehouse.tasks.speech.golden import mine


def words(manifest: PackageManifest) -> dict[str, object]:
    """Variables of the card: the recordings, and how near what was heard is to the source's text and to what was said."""
    validation, build = manifest.validation, manifest.build
    same = all(one.agreement.common_tokens == len(one.tokens) == one.agreement.source_tokens for one in validation.verdicts)
    shown = card_use.other_run(validation) or validation.verdicts
    precise = "In the model's own precision, all tokens are the source's."
    return {
        "language": mine(build.golden)[0].language,
        "timestamps": _kind(shown),
        "times": list(_times(shown)),
        "recordings": list(_rows(shown)),
        "said": any(one.text for one in mine(build.golden)),
        "compared": precise if same else f"In the model's own precision, {_share(validation.verdicts)} tokens are the source's.",
    }


def _share(verdicts: tuple[Verdict, ...]) -> str:
    """How many tokens of the source's texts the model has too, from their beginnings on."""
    common, total = (sum(getattr(one.agreement, name) for one in verdicts) for name in ("common_tokens", "source_tokens"))
    return f"the first {common} of {total}" if len(verdicts) == 1 else f"{common} of {total}, from the beginning of each text on,"


def _rows(verdicts: tuple[Verdict, ...]) -> Iterator[tuple[str, str, str, str]]:
    for one in verdicts:
        found = one.transcript
        assert found is not None
        said = "-" if found.said_error is None else f"{found.said_error:.1%} (the source: {found.source_error:.1%})"
        yield one.prompt, one.answer.strip(), f"{found.word_error:.1%}", said


def _kind(verdicts: tuple[Verdict, ...]) -> Timestamps | None:
    """Which times the card's program prints: those of words, if they were tried."""
    kinds = {one.transcript.times.kind for one in verdicts if one.transcript is not None and one.transcript.times is not None}
    return "words" if "words" in kinds else next(iter(kinds), None)


def _times(verdicts: tuple[Verdict, ...]) -> Iterator[tuple[str, str, int, str]]:
    """Of which recordings the times were compared, how many, and how far they are from the source's."""
    for one in verdicts:
        if one.transcript is not None and (found := one.transcript.times) is not None:
            mean, largest = found.mean_difference_s, found.largest_difference_s
            yield one.prompt, found.kind, len(found.timed), "-" if mean is None else f"{mean:.2f} s, at most {largest:.2f} s"
