"""A maker whose children are a few lines of Python: everything around it (processes, store, stages) is the real thing."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ConfigDict

from bakehouse.executor.making import Made, make
from bakehouse.executor.session import Session
from bakehouse.plan import plan
from bakehouse.plan.plan import Plan
from bakehouse.recipe import loader
from bakehouse.steps.maker import Command, Verification
from bakehouse.steps.seam import Report, Spec
from bakehouse.steps.step import Step
from bakehouse.store import files
from bakehouse.store.store import Staging, Store

# In a program of a test: leaves its result where a worker without a request is looked for one, in its working directory.
LEAVES = "import json\ndef result(**values):\n    open('result.json', 'w').write(json.dumps(values))\n"
WRITES_A_FILE = "(files / 'made.txt').write_text('made')"


class FakeSpec(Spec):
    """Options of any name."""

    model_config = ConfigDict(extra="allow")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)


@dataclass(frozen=True)
class FakeMaker:
    """Runs `program` in a child with `files` (where to put things) and `events` at hand; finds `faults` in what was made."""

    program: str = WRITES_A_FILE
    faults: tuple[str, ...] = ()

    def command(self, step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
        head = (
            "import os, sys, time; from pathlib import Path; from bakehouse.child import events, leash; leash.hold(); "
            f"files = Path({str(files)!r})\n"
        )
        return Command((sys.executable, "-c", head + LEAVES + self.program))

    def verify(self, step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
        return Verification({"seen": sorted(path.name for path in files.iterdir())}, self.faults)


def step(kind: Any = "compress", label: str = "fake-int4", needs: tuple[tuple[str, Step], ...] = (), **options: Any) -> Step:
    """A step with the given options."""
    return Step(kind=kind, maker="fake", label=label, spec=FakeSpec(**options), needs=needs, tools={"oven": "1.0"})


def put(step: Step, store: Store, **texts: str) -> None:
    """Have the store make a step whose files are these texts: `name_txt="..."` becomes name.txt."""

    def fill(staging: Staging) -> Made:
        for name, text in (texts or {"made_txt": step.key}).items():
            files.write(staging.files / ".".join(name.rsplit("_", 1)), text)
        return Made(Verification())

    make(step, Session(store), fill)


def planned(folder: Path, *recipes: dict[str, Any], fingerprint: Callable[[Path], str] = lambda path: "f" * 64) -> Plan:
    """The plan of recipes whose sources lie elsewhere; nothing is read but the recipes, which are written to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in recipes:
        apart = json.loads(json.dumps(one))  # YAML would say with an alias what is the same object
        (folder / f"{one['name']}.yaml").write_text(yaml.safe_dump(apart, sort_keys=False), encoding="utf-8")
    return plan.make(loader.load_all(folder), fingerprint, confined=False)


HUB = {"type": "huggingface", "repo": "bakers/tiny", "revision": "0123456789abcdef0123456789abcdef01234567", "license": "MIT"}
