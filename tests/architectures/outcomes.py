"""What became of every architecture in every runtime: the table in `outcomes.json`, by toolchain, and how it reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

FILE = Path(__file__).with_name("outcomes.json")
RUNTIMES = ("openvino", "onnxruntime-genai", "openvino-npu")
MOST = 24


class Outcome(BaseModel):
    """How far a build came, and why no further.

    Attributes:
        listed: whether it is made without `unknown_architecture: try`.
        stage: the stage that it ended in.
        agree: for each prompt how many of its 24 tokens are transformers', from the beginning.
        upstream: what the upstream command alone comes to, where that was tried.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: Literal["agrees", "differs", "fails", "unverified", "refused"]
    listed: bool = True
    stage: str = ""
    why: str = ""
    agree: tuple[int, ...] = ()
    upstream: Outcome | None = None

    def words(self) -> str:
        """In one line."""
        match self.outcome:
            case "agrees":
                text = "agrees"
            case "differs":
                text = f"differs: {', '.join(map(str, self.agree))} of {MOST} tokens"
            case _:
                text = f"{self.outcome} ({self.stage}): {self.why}"
        return f"{text}{'' if self.listed else ' [not listed]'}" + (f" || upstream alone: {self.upstream.words()}" if self.upstream else "")


Found = Mapping[str, Mapping[str, Outcome]]  # by architecture and runtime
Table = Mapping[str, Found]  # by toolchain


def read() -> dict[str, dict[str, dict[str, Outcome]]]:
    """The table as it is checked in."""
    if not FILE.is_file():
        return {}
    content = json.loads(FILE.read_text(encoding="utf-8"))
    return {
        chain: {name: {runtime: Outcome.model_validate(one) for runtime, one in lanes.items()} for name, lanes in names.items()}
        for chain, names in content.items()
    }


def write(table: Table) -> None:
    """Write the table anew."""
    content = {
        chain: {
            name: {runtime: one.model_dump(mode="json", exclude_defaults=True) for runtime, one in lanes.items()}
            for name, lanes in sorted(names.items())
        }
        for chain, names in table.items()
    }
    FILE.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def joined(table: Table, chain: str, found: Found) -> Table:
    """The table with what was found in the place of what it had."""
    old = table.get(chain, {})
    return {**table, chain: {**old, **{name: {**old.get(name, {}), **lanes} for name, lanes in found.items()}}}


def differences(known: Found, found: Found) -> list[str]:
    """A line for each outcome that is another than the table's: as good as the table's words are its outcome, stage and tokens."""
    lines = []
    for name, lanes in found.items():
        for runtime, outcome in lanes.items():
            before = known.get(name, {}).get(runtime)
            if before is None or (before.outcome, before.stage, before.listed) != (outcome.outcome, outcome.stage, outcome.listed):
                lines.append(f"{name} {runtime}: {outcome.words()}; in the table {before.words() if before else 'nothing'}")
    return lines


def summary(found: Found) -> str:
    """How many agree, by runtime."""
    lines = []
    for runtime in RUNTIMES:
        tried = [lanes[runtime] for lanes in found.values() if runtime in lanes]
        counts = {kind: sum(one.outcome == kind for one in tried) for kind in ("agrees", "differs", "unverified", "fails", "refused")}
        if tried:
            lines.append(f"{runtime}: {len(tried)} tried, " + ", ".join(f"{count} {kind}" for kind, count in counts.items()))
    return "\n".join(lines)
