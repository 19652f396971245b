"""How workers begin: before any heavy import they are bound to their parent, offline, and know their command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys

PROGRAM = """
import json, os, sys
from bakehouse.child import start
given = start.parser("what it does", "model", "files").parse_args()
with start.own_modules():
    inside = os.path.isdir(os.environ["HF_MODULES_CACHE"])
left = os.path.isdir(os.environ["HF_MODULES_CACHE"])
heavy = sorted({"torch", "numpy", "transformers", "openvino", "huggingface_hub"} & sys.modules.keys())
offline = os.environ["HF_HUB_OFFLINE"]
print("SEEN", json.dumps([str(given.model), given.options, inside, left, heavy, offline]))
"""


def test_a_worker_begins_offline_with_its_arguments_and_without_a_heavy_import() -> None:
    environ = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    words = (sys.executable, "-c", PROGRAM, "in", "out", '{"bits": 4}')
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environ)
    seen = next(line for line in done.stdout.splitlines() if line.startswith("SEEN "))
    assert json.loads(seen.removeprefix("SEEN ")) == ["in", {"bits": 4}, True, False, [], "1"]
