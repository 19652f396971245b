"""What grows with a zoo of models, at three sizes, and what that comes to for 10,000 models of 20 builds: plan, store, shared store.

    python -m benchmarks.zoo

Nothing is built: the recipes name sources that are never fetched, the store holds steps without files, and the shared
store is moto's, with empty records. Of it the requests are counted, by its own log. The scheduler's share is in benchmarks/cluster.py.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import yaml

from bakehouse.app.workspace import open_workspace
from bakehouse.executor.workers import remote_store
from bakehouse.records import StepRecord
from bakehouse.steps.step import Step
from bakehouse.store import files
from bakehouse.store.store import RECORD
from tests.support import s3

BUILDS = 20  # of a model
SIZES = (30, 60, 120)  # models
ZOO = 10_000


def write(folder: Path, models: int) -> None:
    """A recipe a model, each with BUILDS builds of its own group size and ratio."""
    folder.mkdir(parents=True)
    for number in range(models):
        quantizations = [{"weights": "int4", "group_size": 32 << one % 3, "ratio": 0.2 + one / 100} for one in range(BUILDS)]
        recipe = {
            "schema_version": 1,
            "name": f"model{number}",
            "description": "A model that is never fetched.",
            "source": {"type": "huggingface", "repo": f"owner/model{number}", "revision": f"{number:040x}", "license": "mit"},
            "golden": [{"prompt": "Hi", "contains": ["x"]}],
            "builds": {f"b{one}": {"runtime": "openvino", "quantization": quantization} for one, quantization in enumerate(quantizations)},
        }
        (folder / f"model{number}.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")


def measured(folder: Path) -> dict[str, float]:
    """In this process: the plan, a look at the store for each of its steps, and the shared store's requests for all of them."""
    environ = {"PIPELINE_RECIPES": str(folder / "recipes"), "PIPELINE_ARTIFACTS": str(folder / "artifacts")}
    begun = time.monotonic()
    work = open_workspace(environ)
    steps = {step.key: step for build in work.plan.builds for step in build.package.closure()}
    found: dict[str, float] = {"steps": len(steps), "plan, s": time.monotonic() - begun}
    found["memory, MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    for step in steps.values():
        files.write(work.store.folder(step) / RECORD, record(step).model_dump_json())
    begun = time.monotonic()
    assert all(work.store.has(step) for step in steps.values())
    found["looking into the store, s"] = time.monotonic() - begun
    names = [f"{step.kind}/{step.key}" for step in steps.values()]
    return found | of_shared(names, folder / "requests.log")


def record(step: Step) -> StepRecord:
    """What the store has of a step that was made, and made no file."""
    now = datetime.now(UTC)
    known = {"kind": step.kind, "maker": step.maker, "label": step.label, "key": step.key, "format": step.format}
    return StepRecord(**known, options={}, needs={}, tools={}, files=(), ran=(), facts={}, measured={}, made_at=now, made_on={})


def of_shared(names: list[str], log: Path) -> dict[str, float]:
    """How many requests it takes to find out which of these steps a shared store has, with all of them in it, and how long."""
    with s3.serve(log=log) as server:
        os.environ.update({name: value for name, value in server.env().items() if name.startswith("AWS")})
        remote = remote_store.opened(f"s3://{s3.BUCKET}/store", 60)
        remote.fs.pipe({remote.step(name): b"{}" for name in names})
        remote_store._MANY = 0  # a zoo has more steps of every kind than that
        before, begun = requests(log), time.monotonic()
        assert len(remote_store.present(remote, names)) == len(names)
        return {"S3 requests": requests(log) - before, "asking S3, s": time.monotonic() - begun}


def requests(log: Path) -> int:
    """How many the server has answered."""
    return sum(" HTTP/1.1" in line for line in log.read_text(encoding="utf-8").splitlines())


def fitted(rows: list[Mapping[str, float]], name: str) -> tuple[float, float]:
    """What a model adds, by the line of least squares, and what that gives for ZOO models."""
    slope, nothing = statistics.linear_regression(SIZES, [row[name] for row in rows])
    return slope, nothing + slope * ZOO


def shown(value: float) -> str:
    """A figure of three digits, or a whole number."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def main() -> None:
    """Measure each size in a process of its own, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    if folder := parser.parse_args().one:
        print(json.dumps(measured(folder)))
        return
    rows: list[Mapping[str, float]] = []
    with tempfile.TemporaryDirectory(prefix="bakehouse-zoo-") as scratch:
        for size in SIZES:
            folder = Path(scratch) / str(size)
            write(folder / "recipes", size)
            argv = [sys.executable, "-m", "benchmarks.zoo", "--one", str(folder)]
            rows.append(json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1]))
    print(f"| {BUILDS} builds a model | {' | '.join(f'{size} models' for size in SIZES)} | a model more | {ZOO:,} models, by that |")
    print("|---|" + "---|" * (len(SIZES) + 2))
    for name in rows[0]:
        slope, there = fitted(rows, name)
        print(f"| {name} | {' | '.join(shown(row[name]) for row in rows)} | {slope:.2g} | {shown(there)} |")


if __name__ == "__main__":
    main()
