"""A program for the tests of ONNX builds: many of them in one process, since its imports take longer than a tiny model does.

Reads JSON, `{"checkpoint": ..., "found": ..., "upstream": [argv, ...], "ours": [[files, spec], ...]}`. Runs the builder's
command lines first, as they are, then our worker's functions. Writes into the file `found`, for each of ours, what was repaired and
the graph as the worker reads it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import runpy
import sys
import tempfile
import warnings
from pathlib import Path

from bakehouse.backends.onnxruntime_genai import source
from bakehouse.backends.onnxruntime_genai.seams import BuildSpec
from bakehouse.backends.onnxruntime_genai.workers import build as ort_build
from bakehouse.child import hermetic

hermetic.seal()
os.environ["GIT_DIR"] = os.devnull  # as in the worker: else the commit of the repository around the environment is in the model
request = json.load(sys.stdin)
warnings.simplefilter("ignore", RuntimeWarning)  # runpy's, of a module that has been imported by now
logging.disable(logging.WARNING)
found = []
with contextlib.redirect_stdout(sys.stderr):
    import onnxruntime_genai.models  # noqa: F401

    for argv in request["upstream"]:
        sys.argv = argv
        runpy.run_module("onnxruntime_genai.models.builder", run_name="__main__", alter_sys=True)
    checkpoint = Path(request["checkpoint"])
    with tempfile.TemporaryDirectory() as kept:
        ort_build.stream(checkpoint, Path(kept))
        from bakehouse.backends.onnxruntime_genai.workers import graph as ort_graph

        for files, spec in request["ours"]:
            Path(files).mkdir(parents=True)
            ort_build.build(checkpoint, Path(files), BuildSpec.model_validate_json(spec))
            changes = ort_build.fix_config(Path(files), source.generation(checkpoint))
            found.append({"mended": changes, "graph": ort_graph.read(Path(files) / "model.onnx").model_dump(mode="json")})
Path(request["found"]).write_text(json.dumps(found), encoding="utf-8")
