"""What planning costs as recipes grow: `list`, `lint` and the expansion of a group, at 100, 400 and 1,600 builds.

    python -m benchmarks.plan_scale

Nothing is built: the recipes name sources that are never fetched. Prints a row a size, and how each figure grows from one to the next.
"""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from bakehouse.app import selection
from bakehouse.app.workspace import open_workspace

SIZES = (100, 400, 1600)
RECIPES = 8
RUNS = 5


def write(folder: Path, builds: int) -> None:
    """RECIPES recipes with `builds` builds in all, each of its own group size and ratio."""
    folder.mkdir(parents=True)
    share = builds // RECIPES
    for number in range(RECIPES):
        made = {
            f"b{one}": {"runtime": "openvino", "quantization": {"weights": "int4", "group_size": 32 << one % 3, "ratio": 0.2 + one / 1000}}
            for one in range(share + (builds - share * RECIPES if number == 0 else 0))
        }
        recipe = {
            "schema_version": 1,
            "name": f"model{number}",
            "description": "A model that is never fetched.",
            "source": {"type": "huggingface", "repo": f"owner/model{number}", "revision": f"{number:040x}", "license": "mit"},
            "golden": [{"prompt": "Hi", "contains": ["x"]}],
            "builds": made,
        }
        (folder / f"model{number}.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")


def command(folder: Path, *words: str) -> float:
    """Median seconds of a whole doit process."""
    environ = {"PIPELINE_RECIPES": str(folder / "recipes"), "PIPELINE_ARTIFACTS": str(folder / "artifacts"), "PATH": ""}
    times = []
    for _ in range(RUNS):
        started = time.monotonic()
        subprocess.run([sys.executable, "-m", "doit", *words], env=environ, check=True, capture_output=True)
        times.append(time.monotonic() - started)
    return statistics.median(times)


def expansion(folder: Path) -> float:
    """Median seconds to find the steps that the group `convert` stands for, the plan being there."""
    environ = {"PIPELINE_RECIPES": str(folder / "recipes"), "PIPELINE_ARTIFACTS": str(folder / "artifacts")}
    times = []
    for _ in range(RUNS):
        plan = open_workspace(environ).plan
        started = time.monotonic()
        selection.expanded(["convert"], ["convert"], plan)
        times.append(time.monotonic() - started)
    return statistics.median(times)


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for size in SIZES:
            folder = Path(scratch) / str(size)
            write(folder / "recipes", size)
            rows.append((size, command(folder, "list"), command(folder, "lint"), expansion(folder)))
    print("| builds | doit list | doit lint | expanding convert |\n|---|---|---|---|")
    for size, *seconds in rows:
        print(f"| {size} | " + " | ".join(f"{one:.2f} s" for one in seconds) + " |")
    for (before, *old), (after, *new) in itertools.pairwise(rows):
        growth = " | ".join(f"{one / other:.1f}x" for one, other in zip(new, old, strict=True))
        print(f"| {before} to {after} ({after / before:.0f}x) | {growth} |")


if __name__ == "__main__":
    main()
