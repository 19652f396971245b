"""Compiling for an NPU ahead of time, without one: time, memory and size of the blob.

    python -m benchmarks.npu_compile --shape full --scratch DIR [--platform 4000]

The full Phi-3-mini shape (random weights, int4 in groups of 128, prompts of 1024 and answers of 128 tokens) takes about 30 GB of
scratch. To hold it against: the same compiler called by hand on the same shape took 179 s and 4.6 GB, for a blob of 2.13 GB
that lacked the weights of one of its two graphs.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks import shapes
from benchmarks.measure import Measured, run

ROOT = Path(__file__).resolve().parent.parent
BUILD = {"runtime": "openvino-npu", "quantization": {"weights": "int4", "group_size": 128}, "max_prompt_len": 1024, "min_response_len": 128}


def compile_once(model: Path, scratch: Path, platform: int) -> tuple[Measured, dict[str, object]]:
    """Make the IR, then measure the step that compiles it; what it took and what was read from the blob."""
    recipes, artifacts = scratch / "recipes", scratch / "artifacts"
    recipes.mkdir()
    model.rename(recipes / "model")
    recipe = {
        "schema_version": 1,
        "name": "bench",
        "description": "Measured.",
        "source": {"type": "local", "path": "model", "license": "mit"},
        "golden": [{"prompt": "Hello", "contains": ["a"]}],
        "builds": {"npu": {**BUILD, "platforms": [platform]}},
    }
    (recipes / "bench.yaml").write_text(json.dumps(recipe))
    env = {"PIPELINE_RECIPES": str(recipes), "PIPELINE_ARTIFACTS": str(artifacts)}
    doit = str(Path(sys.executable).parent / "doit")
    for task in ("setup:npu-compiler", "convert:bench-npu"):
        took = run([doit, task], watch=[], env=env, log=scratch / "before.log", cwd=ROOT)
        print(f"  {task}: {took.seconds:.0f} s", flush=True)
    took = run([doit, f"convert:bench-npu-{platform}"], watch=[artifacts / ".staging"], env=env, log=scratch / "compile.log", cwd=ROOT)
    (record,) = (artifacts / "store" / "compile").glob("*/manifest.json")
    return took, json.loads(record.read_bytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shapes.add_options(parser)
    parser.add_argument("--platform", type=int, default=4000)
    options = parser.parse_args()
    with shapes.made(options) as (model, scratch):
        took, record = compile_once(model, scratch, options.platform)
        child = record["ran"][0]
        measured = record["measured"]
        print("\n| | time | peak memory of a process | blob | images |\n|---|---|---|---|---|")
        print(
            f"| {options.model or options.shape}, {options.platform} | {child['seconds']:.0f} s ({took.seconds:.0f} s with doit) "
            f"| {took.peak_process_bytes / 1e9:.2f} GB | {measured['blob_bytes'] / 1e9:.2f} GB | {measured['images']} |"
        )


if __name__ == "__main__":
    main()
