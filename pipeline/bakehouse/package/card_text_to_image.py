"""What a model card says about a model that draws what a text says."""

from __future__ import annotations

from bakehouse.package import card_use
from bakehouse.package.manifest import PackageManifest
from bakehouse.records import Verdict
from bakehouse.tasks.text_to_image.golden import mine


def words(manifest: PackageManifest) -> dict[str, object]:
    """Variables of the card: what its program draws, and how far the golden pictures are from the source's."""
    validation, golden = manifest.validation, mine(manifest.build.golden)
    shown = card_use.other_run(validation) or validation.verdicts
    return {
        "wish": golden[0],
        "pictures": [
            (one.prompt, f"{one.width} x {one.height}, {one.steps} steps, seed {one.seed}", f"{_difference(verdict):.2f}")
            for one, verdict in zip(golden, shown, strict=True)
        ],
        "most": max(map(_difference, validation.verdicts)),
        "quantized": manifest.build.options.quantization.weights not in ("fp16", "fp32"),
    }


def _difference(verdict: Verdict) -> float:
    assert verdict.drawing is not None
    return verdict.drawing.difference
