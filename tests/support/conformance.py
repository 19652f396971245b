"""Builds every case of tests/support/cases with the real doit, and prints what came of each: `make conformance`, or with the names of some.

    python -m tests.support.conformance [--npu] [CASE ...]

With --npu every case is built for the NPU's pipeline instead, without blobs: that needs no compiler. Some models of two layers are too
small for it (OpenVINO 2026.4.1: "Model references undeclared parameters"), and fail after work.

A case ends well if its builds become packages, or if one sentence before the work says why they cannot. Exit code 1 if a traceback was
shown or a build failed after work.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.support import cases
from tests.support.bench import Bench


def outcome(code: int, said: str) -> tuple[str, bool]:
    """What a run came to, in a few words, and whether that is a good end."""
    if "Traceback (most recent call last)" in said:
        return "TRACEBACK", False
    if code == 0:
        return "package", True
    lines = said.splitlines()
    start = next((number for number, line in enumerate(lines) if line.startswith("ERROR") or " FAILED " in f" {line} "), 0)
    reason = next((line.strip() for line in lines[start + 1 :] if line.strip()), "")
    return f"{'refused' if code == 3 else 'FAILED'}: {reason[:200]}", code == 3


# The cases' context has 512 tokens, and their longest prompts 330.
NPU: dict[str, Any] = {
    "npu": {"runtime": "openvino-npu", "quantization": {"weights": "fp16"}, "max_prompt_len": 384, "min_response_len": 64},
}


def main() -> int:
    """Build the cases; 1 if one ends badly."""
    asked = sys.argv[1:]
    changes = {"builds": NPU} if "--npu" in asked else {}
    names = [name for name in asked if name != "--npu"] or list(cases.CASES)
    bad = 0
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            bench = cases.place(Bench(Path(folder)), name)
            recipe = cases.recipe(name, **changes)
            bench.write(recipe)
            for build in recipe["builds"]:
                done = bench.doit(f"build:{name}-{build}")
                text, good = outcome(done.returncode, done.stdout + done.stderr)
                bad += not good
                print(f"| {name} | {build} | {text} |", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
