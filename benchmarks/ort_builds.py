"""Three ONNX Runtime GenAI builds of one model: us against three runs of the model builder's own command line, side by side.

    python -m benchmarks.ort_builds --shape full --scratch /somewhere/with/60/GB
    python -m benchmarks.ort_builds --shape stand-in --runs 3
    python -m benchmarks.ort_builds --shape full --only int4-cpu --sides ours

The source is downloaded beforehand on both sides (the builder is given a folder), and nothing is validated: weights of the
full shape are random. Ours also reads the result back and compares the tokenizers; the builder's command line does neither.
Prints a Markdown table of time, peak resident memory of a process, peak disk beside the source, and whether model.onnx.data
has the same sha256; removes what it made.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import shapes
from benchmarks.measure import Measured, median, run

VARIANTS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "int4-cpu": (
        {"execution_provider": "cpu", "quantization": {"weights": "int4", "block_size": 32, "accuracy_level": 4}},
        ["-p", "int4", "-e", "cpu", "--extra_options", "block_size=32", "accuracy_level=4"],
    ),
    "int4-dml": (
        {"execution_provider": "dml", "quantization": {"weights": "int4", "block_size": 32}},
        ["-p", "int4", "-e", "dml", "--extra_options", "block_size=32"],
    ),
    "fp16-dml": ({"execution_provider": "dml", "quantization": {"weights": "fp16"}}, ["-p", "fp16", "-e", "dml"]),
}
BIN = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parent.parent


class One(NamedTuple):
    """What one build took, and the sha256 of its model.onnx.data."""

    took: Measured
    digest: str


def upstream(model: Path, scratch: Path, name: str) -> One:
    """One run of the builder's command line."""
    out, temporary = scratch / "upstream", scratch / "tmp"
    temporary.mkdir(exist_ok=True)
    words = ["-m", "onnxruntime_genai.models.builder", "-i", str(model), "-o", str(out), "-c", str(scratch / "cache")]
    took = run(
        [sys.executable, *words, *VARIANTS[name][1]],
        watch=[out, temporary],
        env={"TMPDIR": str(temporary), "HF_HUB_OFFLINE": "1"},
        log=scratch / f"{name}.log",
        cwd=scratch,
    )
    with (out / "model.onnx.data").open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    shutil.rmtree(out)
    return One(took, digest)


def ours(scratch: Path, name: str) -> One:
    """One build by doit; the source is in the store by now."""
    artifacts = scratch / "artifacts"
    took = run(
        [str(BIN / "doit"), f"convert:bench-{name}"],
        watch=[artifacts / "store/compress", artifacts / ".staging"],
        env=environment(scratch),
        log=scratch / f"ours-{name}.log",
        cwd=ROOT,
    )
    (manifest,) = artifacts.glob("store/compress/*/manifest.json")
    files = json.loads(manifest.read_bytes())["files"]
    shutil.rmtree(artifacts / "store/compress")
    return One(took, next(file["sha256"] for file in files if file["path"] == "model.onnx.data"))


def environment(scratch: Path) -> dict[str, str]:
    """Where recipes and artifacts of the measured doit lie."""
    return {"PIPELINE_RECIPES": str(scratch / "recipes"), "PIPELINE_ARTIFACTS": str(scratch / "artifacts")}


def prepare(model: Path, scratch: Path) -> None:
    """A recipe of all variants, and its source in the store."""
    (scratch / "recipes").mkdir()
    shutil.copytree(model, scratch / "recipes/model", copy_function=shapes.link)
    recipe = {
        "schema_version": 1,
        "name": "bench",
        "description": "Measured.",
        "source": {"type": "local", "path": "model", "license": "mit"},
        "golden": [{"prompt": "Hello", "contains": ["a"]}],
        "builds": {name: {"runtime": "onnxruntime-genai", **options} for name, (options, _) in VARIANTS.items()},
    }
    (scratch / "recipes/bench.yaml").write_text(json.dumps(recipe))
    run([str(BIN / "doit"), "download"], watch=[], env=environment(scratch), log=scratch / "download.log", cwd=ROOT)


def report(made: dict[str, dict[str, list[One]]]) -> None:
    """The Markdown table."""
    print("\n| build | | time | ratio | peak memory | ratio | peak disk | model.onnx.data |\n|---|---|---|---|---|---|---|---|")
    for name, sides in made.items():
        medians = {side: median([one.took for one in runs]) for side, runs in sides.items()}
        base = medians.get("builder") or medians["ours"]
        digests = {one.digest for runs in sides.values() for one in runs}
        for side, took in medians.items():
            cells = (
                f"{took.seconds:.0f} s",
                f"{took.seconds / base.seconds:.2f}",
                f"{took.peak_process_bytes / 1e9:.2f} GB",
                f"{took.peak_process_bytes / base.peak_process_bytes:.2f}",
                f"{took.peak_disk_bytes / 1e9:.2f} GB",
                f"same sha256, {next(iter(digests))[:12]}" if len(digests) == 1 else "DIFFERENT",
            )
            print(f"| {name} | {side} | {' | '.join(cells)} |")


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shapes.add_options(parser)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--only", choices=tuple(VARIANTS), action="append", help="these builds alone")
    parser.add_argument("--sides", choices=("both", "ours"), default="both")
    options = parser.parse_args(argv)
    with shapes.made(options) as (model, scratch):
        prepare(model, scratch)
        made: dict[str, dict[str, list[One]]] = {}
        for name in options.only or VARIANTS:
            sides = made.setdefault(name, {} if options.sides == "ours" else {"builder": []})
            for _ in range(options.runs):
                if "builder" in sides:
                    sides["builder"].append(upstream(model, scratch, name))
                sides.setdefault("ours", []).append(ours(scratch, name))
                for side, runs in sides.items():
                    took = runs[-1].took
                    print(f"  {name}, {side}: {took.seconds:.1f} s, {took.peak_process_bytes / 1e9:.2f} GB", flush=True)
        report(made)


if __name__ == "__main__":
    main()
