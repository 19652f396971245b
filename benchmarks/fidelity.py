"""How far builds are from their source, by runtime and quantization; and what measuring costs, against one compression.

    python -m benchmarks.fidelity                          SmolLM2-135M-Instruct, all builds
    python -m benchmarks.fidelity --shape stand-in         the Phi-3 stand-in
    python -m benchmarks.fidelity --only openvino --twice  measured twice, and the bytes compared

Prints Markdown tables; removes what it made. Calibrated builds get paragraphs of the documentation, which is not evaluation text.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import shapes
from benchmarks.measure import run
from tests.support import standin

ROOT = Path(__file__).resolve().parent.parent
DOIT = str(Path(sys.executable).parent / "doit")
GOLDEN = [{"prompt": "What is the capital of France?", "contains": ["Paris"], "max_new_tokens": 32, "ends": False}]
SAMPLES = {"calibration": {"type": "file", "path": "texts.txt", "num_samples": 32}}


def _openvino(**quantization: Any) -> dict[str, Any]:
    return {"runtime": "openvino", "quantization": quantization}


def _int4(size: int, ratio: float, **more: Any) -> dict[str, Any]:
    return _openvino(weights="int4", symmetric=False, group_size=size, ratio=ratio, **more)


def _onnx(weights: str, **more: Any) -> dict[str, Any]:
    return {"runtime": "onnxruntime-genai", "execution_provider": "cpu", "quantization": {"weights": weights, **more}}


def _npu(weights: str, **more: Any) -> dict[str, Any]:
    return {"runtime": "openvino-npu", "quantization": {"weights": weights, **more}}


# The group sizes of each shape: those that divide its channels.
BUILDS: Mapping[str, dict[str, Any]] = {
    "ov-fp16": _openvino(weights="fp16"),
    "ov-int8-asym": _openvino(weights="int8"),
    "ov-int4-g32-r0.6": _int4(32, 0.6),
    "ov-int4-g32-r0.8": _int4(32, 0.8),
    "ov-int4-g32-r1.0": _int4(32, 1.0),
    "ov-int4-g64-r1.0": _int4(64, 1.0),
    "ov-int4-g64-r1.0-awq": _int4(64, 1.0, awq=True),
    "ov-int4-g64-r1.0-awq-scales": _int4(64, 1.0, awq=True, scale_estimation=True, **SAMPLES),
    "ov-int4-g32-r1.0-all": _int4(32, 1.0, all_layers=True),
    "ort-fp32": _onnx("fp32"),
    "ort-int4-b32": _onnx("int4", block_size=32, accuracy_level=4),
    "ort-int4-b32-k-quant": _onnx("int4", block_size=32, accuracy_level=4, algorithm="k_quant"),
    "ort-int4-b128": _onnx("int4", block_size=128, accuracy_level=4),
    "npu-int8": _npu("int8"),
    "npu-int4-channel": _npu("int4", group_size=-1),
}


def chosen(only: str) -> dict[str, dict[str, Any]]:
    """The builds of one runtime, or all."""
    names = {"openvino": "ov-", "onnx": "ort-", "npu": "npu-"}
    return {name: build for name, build in BUILDS.items() if name.startswith(names.get(only, ""))}


def texts() -> str:
    """Sentences for calibration, one sample a line."""
    pages = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").rglob("*.md"))]
    return "\n".join(line for page in pages for line in page.splitlines() if len(line) > 200 and not line.startswith("|"))


def measure(
    model: Path, scratch: Path, builds: Mapping[str, dict[str, Any]], kinds: tuple[str, ...] = ("-fidelity", "")
) -> list[dict[str, Any]]:
    """The records of all steps, after every build was measured and asked the golden prompt, or only one of it; see `kinds`."""
    recipes, artifacts = scratch / "recipes", scratch / "artifacts"
    if not recipes.exists():
        recipes.mkdir()
        shutil.copytree(model, recipes / "model", copy_function=shapes.link)
        (recipes / "texts.txt").write_text(texts(), encoding="utf-8")
    source = {"type": "local", "path": "model", "license": "apache-2.0"}
    recipe = {"schema_version": 1, "name": "f", "description": "Measured.", "source": source, "golden": GOLDEN, "builds": builds}
    (recipes / "f.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    env = {"PIPELINE_RECIPES": str(recipes), "PIPELINE_ARTIFACTS": str(artifacts)}
    for kind in kinds:
        for name in builds:
            try:
                took = run([DOIT, f"validate:f-{name}{kind}"], watch=[], env=env, log=scratch / f"{name}{kind}.log", cwd=ROOT)
                print(f"  validate:f-{name}{kind}: {took.seconds:.0f} s", flush=True)
            except RuntimeError as error:  # a golden prompt that is not answered, or a build that does not fit the shape
                print(f"  {error}", flush=True)
    return [json.loads(path.read_bytes()) for path in sorted(artifacts.glob("store/*/*/manifest.json"))]


def rows(builds: Mapping[str, Any], records: list[dict[str, Any]]) -> Iterator[str]:
    """The table of figures."""
    yield "| build | size | mean KLD | 99 % | same next token | perplexity ratio | prefix | as users run it | golden prompt |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name in builds:
        of = {record["kind"]: record for record in records if record["label"] == f"f-{name}"}
        if "fidelity" not in of:
            yield f"| {name} | not measured |"
            continue
        found = of["fidelity"]["measured"]
        size = sum(file["size"] for file in of["compress"]["files"] if not file["path"].endswith((".json", ".jinja")))
        cells = [_figure(found["figures"][key]) for key in ("kl_mean", "kl_p99", "top1", "ppl_ratio", "prefix")]
        used = found["in_use"]["figures"] if found["in_use"] else found["graphs"]["graphs"] if found["graphs"] else None
        in_use = _figure(used["kl_mean"]) if used else "the same"
        golden = "pass" if "validate" in of else "fail"
        yield f"| {name} | {size / 1e6:.0f} MB | {' | '.join(cells)} | {in_use} | {golden} |"


def _figure(one: dict[str, float]) -> str:
    return f"{one['value']:.3g} ({one['low']:.3g} to {one['high']:.3g})"


def costs(records: list[dict[str, Any]]) -> Iterator[str]:
    """The table of costs: seconds of the children's wall time."""
    weights = next(record["measured"]["exported_weights"] for record in records if record["kind"] == "export") / 1e9
    yield "| step | seconds | for 1,000 positions and a billion weights |"
    yield "|---|---|---|"
    for record in sorted(records, key=lambda one: (one["kind"], one["label"])):
        if record["kind"] in ("fidelity_reference", "fidelity", "compress"):
            seconds = sum(ran["seconds"] for ran in record["ran"])
            figures = record["measured"].get("figures") or record["measured"]
            share = f"{1000 * seconds / figures['positions'] / weights:.0f} s" if "positions" in figures else ""
            yield f"| {record['kind']} {record['label']} | {seconds:.1f} | {share} |"


def same_again(scratch: Path, model: Path, builds: Mapping[str, Any], before: list[dict[str, Any]]) -> Iterator[str]:
    """Measure again, from the same models; one line for each build."""
    shutil.rmtree(scratch / "artifacts" / "store" / "fidelity")
    again = {one["label"]: one for one in measure(model, scratch, builds) if one["kind"] == "fidelity"}
    for record in before:
        if record["kind"] == "fidelity":
            equal = record["files"] == again[record["label"]]["files"]
            yield f"{record['label']}: {'the same bytes' if equal else 'DIFFERENT'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shapes.add_options(parser)
    parser.set_defaults(shape="smollm2")
    parser.add_argument("--only", choices=("all", "openvino", "onnx", "npu"), default="all")
    parser.add_argument("--twice", action="store_true", help="measure everything once more, and compare the files")
    options = parser.parse_args()
    if options.shape == "smollm2" and not options.model:
        options.model = standin.smollm2_checkpoint()
    builds = chosen(options.only)
    with shapes.made(options) as (model, scratch):
        records = measure(model, scratch, builds)
        print("\n".join(("", *rows(builds, records), "", *costs(records))))
        if options.twice:
            print("\n".join(("", *same_again(scratch, model, builds, records))))


if __name__ == "__main__":
    main()
