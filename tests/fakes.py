"""A maker whose children are a few lines of Python: everything around it (processes, store, stages) is the real thing."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.maker import Command, Verification
from pipeline.step import Step

WRITES_A_FILE = "(files / 'made.txt').write_text('made')"


@dataclass(frozen=True)
class FakeMaker:
    """Runs `program` in a child with `files` (where to put things) and `events` at hand; finds `faults` in what was made."""

    program: str = WRITES_A_FILE
    faults: tuple[str, ...] = ()

    def command(self, step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
        head = f"import os, sys, time; from pathlib import Path; from pipeline.workers import events, leash; leash.hold(); files = Path({str(files)!r})\n"
        return Command((sys.executable, "-c", head + self.program))

    def verify(self, step: Step, inputs: Mapping[str, Path], files: Path, facts: Mapping[str, Any]) -> Verification:
        return Verification({"seen": sorted(path.name for path in files.iterdir())}, self.faults)


def step(kind: Any = "compress", label: str = "fake-int4", needs: tuple[tuple[str, Step], ...] = (), **options: Any) -> Step:
    """A step with the given options."""
    return Step(kind=kind, maker="fake", label=label, options=options, needs=needs, tools={"oven": "1.0"})
