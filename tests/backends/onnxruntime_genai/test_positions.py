"""Windows, scaled rotary embeddings and norms on ONNX Runtime GenAI: logits are transformers', at lengths on both sides of each bound."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bakehouse.backends.onnxruntime_genai.options import OnnxRuntimeGenAI
from tests.support import cases
from tests.support.bench import ROOT
from tests.support.ort_making import build, spec

pytestmark = pytest.mark.model

CPU, CUDA, DML = build(weights="fp32"), build("cuda", weights="fp16"), build("dml", weights="fp16")
WINDOW = [20, 60, 70, 200]  # of 64: within, across while answering, beyond, far beyond
BUILDS: dict[str, tuple[str, OnnxRuntimeGenAI, list[int]]] = {
    **{f"window-{kind}": (f"sliding2-{kind}-in", CPU, WINDOW) for kind in ("phi3", "mistral")},
    "window-cuda": ("sliding2-mistral-in", CUDA, WINDOW),
    "window-some-layers": ("sliding-qwen2", CPU, [10, 14, 40]),
    "window-alternating": ("norms-gemma2", CPU, WINDOW),
    "window-2047": ("phi3-2047", CPU, [1000, 2040, 2070, 4000]),
    "window-dml": ("sliding2-mistral-in", DML, [20, 50]),
    **{f"rope-{kind}": (f"rope-{kind}", CPU, [40, 60, 300]) for kind in ("llama3", "linear", "yarn", "yarn-llama", "llama3-mistral")},
    "rope-linear-nemotron": ("rope-linear-nemotron", CPU, [40, 300]),
    "rope-dynamic": ("rope-dynamic", CPU, [20, 50]),  # of a context of 64
    "longrope-new-word": ("longrope64-new-word", CPU, [60, 119, 200]),
    "longrope-partial": ("longrope-short", CPU, [40, 56, 65, 200]),  # 12 of 16 numbers are rotated, an original context of 64
    **{name: (name, CPU, [40]) for name in ("head-24", "olmo", "norms-gemma", "norms-nemotron", "norms-phi", "left-over")},
    **{name: (name, CPU, [40]) for name in ("left-over-ernie", "left-over-mrope", "phi3-unscaled")},
    "left-over-mrope-dml": ("left-over-mrope", DML, [40]),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Of every build what was repaired, and how far its logits are from the source's."""
    folder = tmp_path_factory.mktemp("ort-logits")
    request: dict[str, Any] = {"found": str(folder / "found.json"), "builds": {}}
    for name, (case, one, lengths) in BUILDS.items():
        request["builds"][name] = [str(cases.folder(case)), str(folder / name), spec(one).model_dump_json(), lengths]
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.ort_logits"],
        input=json.dumps(request),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict[str, Any] = json.loads((folder / "found.json").read_text(encoding="utf-8"))
    return result | {"folder": str(folder)}


@pytest.mark.parametrize("name", BUILDS)
def test_logits_are_the_sources_at_every_length(name: str, found: dict[str, Any]) -> None:
    most = 1e-3 if BUILDS[name][1] is CPU else 0.1  # logits of random weights have a deviation of about 2
    assert [difference for difference in found[name]["differences"] if difference > most] == []


def test_a_context_is_cut_where_the_provider_knows_no_window(found: dict[str, Any]) -> None:
    def contexts(name: str) -> tuple[int, int]:
        made = json.loads((Path(found["folder"]) / name / "genai_config.json").read_text(encoding="utf-8"))
        return made["model"]["context_length"], made["search"]["max_length"]

    assert contexts("window-dml") == (64, 64)
    assert contexts("window-mistral") == contexts("window-cuda") == (512, 512)


def test_what_was_repaired_is_reported(found: dict[str, Any]) -> None:
    assert found["window-mistral"]["repaired"] == {"layer_types": "named for the builder"}
    assert found["window-alternating"]["repaired"] == {}
    assert found["rope-linear"]["repaired"] == {"rope": "linear, with transformers' frequencies"}
    assert "rotary_embeddings" in found["longrope-partial"]["repaired"]
    assert "rotary_embeddings" not in found["longrope-new-word"]["repaired"]
    assert found["olmo"]["repaired"] == {"rms_norm_eps": 1e-05, "norms": "layer norms, not RMS norms"}
    assert set(found["left-over"]["repaired"]) >= {"sliding_window", "layer_types", "seq_length", "partial_rotary_factor"}
