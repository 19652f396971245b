"""Four OpenVINO variants of one model: us against four runs of optimum-cli, side by side; time, memory, disk, and the bytes.

    python -m benchmarks.openvino_builds --shape full --scratch /somewhere/with/60/GB
    python -m benchmarks.openvino_builds --shape stand-in --runs 3
    python -m benchmarks.openvino_builds --shape 8b --jobs 1 --only int8

The source is downloaded beforehand on both sides (upstream is given a folder), and nothing is validated: weights of the
full shape are random. Prints a Markdown table; removes what it made.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import shapes
from benchmarks.measure import Measured, median, run

VARIANTS = {
    "fp16": ({"weights": "fp16"}, ["--weight-format", "fp16"]),
    "int8": ({"weights": "int8"}, ["--weight-format", "int8"]),
    "int4-g128-r0.6": (
        {"weights": "int4", "symmetric": True, "group_size": 128, "ratio": 0.6},
        ["--weight-format", "int4", "--group-size", "128", "--ratio", "0.6", "--sym"],
    ),
    "int4-channel-r1.0": (
        {"weights": "int4", "symmetric": True, "group_size": -1, "ratio": 1.0, "backup_precision": "int8_sym"},
        ["--weight-format", "int4", "--group-size", "-1", "--ratio", "1.0", "--sym", "--backup-precision", "int8_sym"],
    ),
}
BIN = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parent.parent


def upstream(model: Path, scratch: Path) -> tuple[dict[str, Measured], dict[str, str]]:
    """One run of optimum-cli a variant; what each took and the sha256 of its weights."""
    took, digests = {}, {}
    for name, (_, flags) in VARIANTS.items():
        out, temporary = scratch / "upstream" / name, scratch / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        argv = [
            str(BIN / "optimum-cli"),
            "export",
            "openvino",
            "--model",
            str(model),
            "--task",
            "text-generation-with-past",
            *flags,
            str(out),
        ]
        took[name] = run(
            argv,
            watch=[scratch / "upstream", temporary],
            env={"TMPDIR": str(temporary), "HF_HUB_OFFLINE": "1"},
            log=scratch / f"{name}.log",
            cwd=scratch,
        )
        digests[name] = _sha256(out / "openvino_model.bin")
        shutil.rmtree(out)
        print(f"  optimum-cli {name}: {took[name].seconds:.1f} s, {took[name].peak_process_bytes / 1e9:.2f} GB", flush=True)
    return took, digests


def laid_out(model: Path, scratch: Path, variants: Sequence[str]) -> tuple[dict[str, str], Path]:
    """A recipe `bench` of the model with these variants, and nothing made of it; the environment of its commands, and their artifacts."""
    recipes, artifacts = scratch / "recipes", scratch / "artifacts"
    shutil.rmtree(recipes, ignore_errors=True)
    recipes.mkdir()
    shutil.copytree(model, recipes / "model", copy_function=shapes.link)
    builds = {name: {"runtime": "openvino", "quantization": options} for name, (options, _) in VARIANTS.items() if name in variants}
    golden = [{"prompt": "Hello", "contains": ["a"]}]
    recipe = {
        "schema_version": 1,
        "name": "bench",
        "description": "Measured.",
        "source": {"type": "local", "path": "model", "license": "mit"},
        "golden": golden,
        "builds": builds,
    }
    (recipes / "bench.yaml").write_text(json.dumps(recipe))
    return {"PIPELINE_RECIPES": str(recipes), "PIPELINE_ARTIFACTS": str(artifacts)}, artifacts


def ours(model: Path, scratch: Path, jobs: int, variants: Sequence[str] = tuple(VARIANTS)) -> tuple[Measured, dict[str, str], int]:
    """These variants in one doit run; what it took, the sha256 of the weights, and the peak memory of the hungriest child."""
    env, artifacts = laid_out(model, scratch, variants)
    doit = str(BIN / "doit")
    run([doit, "download"], watch=[], env=env, log=scratch / "download.log", cwd=ROOT)
    tasks = ["export:bench-tokenizer", *(f"convert:bench-{name}" for name in variants)]
    took = run(
        [doit, *(["-n", str(jobs)] if jobs > 1 else []), *tasks],
        watch=[artifacts / "store" / kind for kind in ("export", "compress", "tokenizer")] + [artifacts / ".staging"],
        env=env,
        log=scratch / f"ours-{jobs}.log",
        cwd=ROOT,
    )
    digests, peak = {}, 0
    for manifest in artifacts.glob("store/*/*/manifest.json"):
        record = json.loads(manifest.read_bytes())
        peak = max(peak, *(ran["peak_memory_bytes"] for ran in record["ran"]))
        if record["kind"] != "download":
            child = record["ran"][0]
            print(f"  {record['kind']} {record['label']}: {child['seconds']:.1f} s, {child['peak_memory_bytes'] / 1e9:.2f} GB", flush=True)
        if record["kind"] == "compress":
            digests[record["label"].removeprefix("bench-")] = next(
                file["sha256"] for file in record["files"] if file["path"] == "openvino_model.bin"
            )
    shutil.rmtree(artifacts)
    return took, digests, peak


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shapes.add_options(parser)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--jobs", type=int, choices=(1, 2), default=None, help="measure only us, with so many steps at a time; no table")
    parser.add_argument("--only", choices=tuple(VARIANTS), action="append", help="with --jobs: these variants alone")
    options = parser.parse_args()
    if options.only and not options.jobs:
        parser.error("--only goes with --jobs")
    with shapes.made(options) as (model, scratch):
        if options.jobs:
            for _ in range(options.runs):
                print(f"{ours(model, scratch, options.jobs, options.only or tuple(VARIANTS))[0].seconds:.1f} s in all", flush=True)
            return
        theirs = [upstream(model, scratch) for _ in range(options.runs)]
        one = [ours(model, scratch, 1) for _ in range(options.runs)]
        two = [ours(model, scratch, 2) for _ in range(options.runs)]
        report(theirs, one, two)


def report(
    theirs: list[tuple[dict[str, Measured], dict[str, str]]],
    one: list[tuple[Measured, dict[str, str], int]],
    two: list[tuple[Measured, dict[str, str], int]],
) -> None:
    """The Markdown table."""
    each = {name: median([took[name] for took, _ in theirs]) for name in VARIANTS}
    total = sum(measured.seconds for measured in each.values())
    peak = max(measured.peak_process_bytes for measured in each.values())
    disk = max(measured.peak_disk_bytes for measured in each.values())
    print("\n| | time | ratio | peak memory of a process | peak disk beside the source |\n|---|---|---|---|---|")
    print(f"| optimum-cli, four runs | {total:.0f} s | 1.00 | {peak / 1e9:.2f} GB | {disk / 1e9:.2f} GB (one variant at a time) |")
    for title, runs in (("bakehouse, one after the other", one), ("bakehouse, -n 2", two)):
        took = median([measured for measured, _, _ in runs])
        child = max(memory for _, _, memory in runs)
        memory, disk = f"{child / 1e9:.2f} GB", f"{took.peak_disk_bytes / 1e9:.2f} GB (all four)"
        print(f"| {title} | {took.seconds:.0f} s | {took.seconds / total:.2f} | {memory} | {disk} |")
    print("\n| variant | optimum-cli | weights |\n|---|---|---|")
    for name, measured in each.items():
        same = theirs[0][1][name] == one[0][1][name] == two[0][1][name]
        print(
            f"| {name} | {measured.seconds:.0f} s, {measured.peak_process_bytes / 1e9:.2f} GB | {'same sha256' if same else 'DIFFERENT'} |"
        )


if __name__ == "__main__":
    main()
