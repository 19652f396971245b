"""A program for the tests of ONNX builds: many of them in one process, since its imports take longer than a tiny model does.

Reads JSON, `{"checkpoint": ..., "found": ..., "upstream": [argv, ...], "ours": [[files, options, words], ...]}`. Runs the builder's
command lines first, as they are, then our worker's functions. Writes into the file `found`, for each of ours, what was mended and
the graph as the worker reads it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import runpy
import sys
import warnings
from pathlib import Path

from bakehouse.backends.onnxruntime_genai.workers import build as ort_build
from bakehouse.child import hermetic

hermetic.seal()
os.environ["GIT_DIR"] = os.devnull  # as in the worker: else the commit of the repository around the environment is in the model
told = json.load(sys.stdin)
warnings.simplefilter("ignore", RuntimeWarning)  # runpy's, of a module that has been imported by now
logging.disable(logging.WARNING)
found = []
with contextlib.redirect_stdout(sys.stderr):
    import onnxruntime_genai.models  # noqa: F401

    for argv in told["upstream"]:
        sys.argv = argv
        runpy.run_module("onnxruntime_genai.models.builder", run_name="__main__", alter_sys=True)
    checkpoint = Path(told["checkpoint"])
    ort_build.stream(checkpoint)
    from bakehouse.backends.onnxruntime_genai.workers import graph as ort_graph

    for files, options, words in told["ours"]:
        Path(files).mkdir(parents=True)
        ort_build.build(checkpoint, Path(files), options, words)
        mended = ort_build.mend(Path(files), ort_build.generation_config(checkpoint))
        found.append({"mended": mended, "graph": ort_graph.read(Path(files) / "model.onnx")})
Path(told["found"]).write_text(json.dumps(found), encoding="utf-8")
