"""The readers that are fuzzed, by name."""

from __future__ import annotations

from tests.fuzz import checkpoints, exchanged, formats, packages
from tests.fuzz.campaign import Target

TARGETS: dict[str, Target] = {one.name: one for one in (*formats.TARGETS, *checkpoints.TARGETS, *packages.TARGETS, *exchanged.TARGETS)}
