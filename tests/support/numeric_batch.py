"""Compares small models in one process, since its imports take longer than they do: reads a request on stdin, writes findings to a file.

`{"found": FILE, "cases": [[NAME, FOLDER, RUNTIME, BUDGET], ...]}`; a budget below what a model takes has it compared by its first layers.
RUNTIME is openvino or onnxruntime-genai; optimum and builder are what these tools make by themselves, with nothing of ours, and
openvino-without-window is an export that knows no window.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import sys
import tempfile
from pathlib import Path

from bakehouse.backends.onnxruntime_genai.quantization import OrtFloat
from bakehouse.backends.onnxruntime_genai.seams import BuildSpec, LogitsRequest
from bakehouse.backends.onnxruntime_genai.workers import logits as ort_logits
from bakehouse.backends.openvino.workers import export as openvino_export
from bakehouse.backends.openvino.workers import logits as openvino_logits
from bakehouse.child import hermetic
from bakehouse.tasks.text_generation.seams import Failed, Figures, Numeric
from bakehouse.tasks.text_generation.workers import logits_compare, positions_to_check, transformers_logits
from bakehouse.tasks.text_generation.workers.logits_compare import Compared, Group

FLOAT = OrtFloat(weights="fp32", shared_embeddings=None)
ORT = BuildSpec(execution_provider="cpu", quantization=FLOAT, graph_capture=None, remote_code=False)


def compared(checkpoint: Path, runtime: str, budget: float, folder: Path) -> Numeric:
    """The figures of all runs, as the worker of the runtime measures them."""
    positions_to_check.BUDGET = budget
    reference, export = folder / "reference", folder / "export"
    for one in (reference, export):
        one.mkdir()
    transformers_logits.compute(checkpoint, reference, False)
    groups, not_checked = logits_compare.read(reference)
    runs: list[Figures | Failed] = []
    if runtime.startswith("openvino"):
        source = checkpoint if runtime == "openvino" else without_window(checkpoint, folder / "without")
        openvino_export.export(source, export, False)

    def of_openvino(group: Group) -> Compared:
        return openvino_logits.compared(group, export, source, False)

    def of_ort(group: Group) -> Compared:
        request = LogitsRequest(checkpoint=checkpoint, reference=reference, files=export, spec=ORT, model=None)
        with ort_logits.built(group, request) as made:
            return ort_logits.compared(group, made, "float32", "cpu")

    def of_builder(group: Group) -> Compared:
        from onnxruntime_genai.models import builder

        with tempfile.TemporaryDirectory() as cache, contextlib.redirect_stdout(io.StringIO()):
            options = builder.parse_extra_options(None, str(checkpoint), str(export), "fp32", "cpu", cache, [])
            builder.create_model(None, str(checkpoint), str(export), "fp32", "cpu", cache, **options)
        return ort_logits.compared(group, export, "float32", "cpu")

    def of_optimum(group: Group) -> Compared:
        from optimum.exporters.openvino.convert import export_from_model

        model = openvino_export.load(checkpoint, False)
        options = {"task": "text-generation-with-past", "stateful": True, "preprocessors": [], "patch_16bit_model": True}
        export_from_model(model, export, device="cpu", **options)
        return openvino_logits.compared(group, export, checkpoint, False)

    measures = {
        "openvino": of_openvino,
        "openvino-without-window": of_openvino,
        "onnxruntime-genai": of_ort,
        "builder": of_builder,
        "optimum": of_optimum,
    }
    for group in groups:
        found, beyond = measures[runtime](group)
        runs += found
        not_checked += beyond
    return Numeric(runs=tuple(runs), not_checked=tuple(not_checked), precision="float32")


def without_window(checkpoint: Path, to: Path) -> Path:
    """The same checkpoint with a config.json that names no window."""
    shutil.copytree(checkpoint, to)
    config = json.loads((to / "config.json").read_text(encoding="utf-8"))
    (to / "config.json").write_text(json.dumps(config | {"sliding_window": None}), encoding="utf-8")
    return to


def main() -> None:
    hermetic.seal()
    options = json.loads(sys.stdin.read())
    found = []
    for _, checkpoint, runtime, budget in options["cases"]:
        with tempfile.TemporaryDirectory() as folder:
            found.append(compared(Path(checkpoint), runtime, budget, Path(folder)).model_dump(mode="json"))
    Path(options["found"]).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
