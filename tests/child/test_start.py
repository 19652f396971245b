"""How workers begin: before any heavy import they are bound to their parent, offline, and know their command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import json, os, sys
from bakehouse.child import start
from bakehouse.steps.seam import Request

class Work(Request):
    model: str
    bits: int

def work(given):
    with start.own_modules():
        inside = os.path.isdir(os.environ["HF_MODULES_CACHE"])
    left = os.path.isdir(os.environ["HF_MODULES_CACHE"])
    heavy = sorted({"torch", "numpy", "transformers", "openvino", "huggingface_hub"} & sys.modules.keys())
    print("SEEN", json.dumps([given.model, given.bits, inside, left, heavy, os.environ["HF_HUB_OFFLINE"]]))

start.run(work, Work)
"""


def test_a_worker_begins_offline_with_its_request_and_without_a_heavy_import(tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    request = tmp_path / "request.json"
    request.write_text('{"model": "in", "bits": 4}', encoding="utf-8")
    words = (sys.executable, "-c", PROGRAM, str(request), str(tmp_path / "result.json"))
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environ)
    seen = next(line for line in done.stdout.splitlines() if line.startswith("SEEN "))
    assert json.loads(seen.removeprefix("SEEN ")) == ["in", 4, True, False, [], "1"]


PLAIN = """
from dataclasses import dataclass
from bakehouse.child import start
@dataclass(frozen=True)
class Request:
    numbers: list[int]
@dataclass(frozen=True)
class Result:
    sum: int
    absent: str | None = None
start.run_plain(lambda request: Result(sum(request.numbers)), Request)
"""


def test_a_worker_without_models_reads_a_request_and_leaves_a_result(tmp_path: Path) -> None:
    request, result = tmp_path / "request.json", tmp_path / "result.json"
    request.write_text('{"numbers": [1, 2]}', encoding="utf-8")
    subprocess.run((sys.executable, "-c", PLAIN, str(request), str(result)), check=True)
    assert json.loads(result.read_text(encoding="utf-8")) == {"sum": 3}
