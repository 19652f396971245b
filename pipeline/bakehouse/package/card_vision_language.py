"""What a model card says about a model that answers prompts about a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bakehouse.package import card_use
from bakehouse.package.manifest import PackageManifest
from bakehouse.records import Verdict
from bakehouse.tasks.vision_language.golden import Look, mine


def words(manifest: PackageManifest) -> dict[str, object]:
    """Variables of the card: what its program asks, the answers, and how far they are the source's."""
    validation, golden = manifest.validation, mine(manifest.build.golden)
    shown = card_use.other_run(validation) or validation.verdicts
    return {
        "prompt": golden[0].prompt,
        "max_new_tokens": golden[0].max_new_tokens,
        "answers": list(_rows(golden, shown)),
        "compared": _compared(validation.verdicts),
        "expected": any(one.contains for one in golden),
        "quantized": manifest.build.options.quantization.weights not in ("fp16", "fp32"),
    }


def _compared(verdicts: tuple[Verdict, ...]) -> str:
    """How many tokens of the source's answers the model has too, in its own precision."""
    if all(one.agreement.common_tokens == len(one.tokens) == one.agreement.source_tokens for one in verdicts):
        return "In the model's own precision, all tokens are the source's."
    common, total = (sum(getattr(one.agreement, name) for one in verdicts) for name in ("common_tokens", "source_tokens"))
    share = f"the first {common} of {total}" if len(verdicts) == 1 else f"{common} of {total}, from the beginning of each answer on,"
    return f"In the model's own precision, {share} tokens are the source's."


def _rows(golden: Sequence[Look], verdicts: tuple[Verdict, ...]) -> Iterator[tuple[str, str, str, str]]:
    for one, verdict in zip(golden, verdicts, strict=True):
        found = verdict.agreement
        yield one.picture, one.prompt, verdict.answer.strip(), f"{found.common_tokens} of {found.source_tokens}"
