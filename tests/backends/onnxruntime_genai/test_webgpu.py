"""A build for WebGPU is proven on WebGPU where there is a device, be it Mesa's software one, and says where it was proven."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bakehouse.backends.onnxruntime_genai import backend
from bakehouse.backends.onnxruntime_genai.options import OnnxRuntimeGenAI
from tests.support import lavapipe
from tests.support.bench import Bench, recipe
from tests.support.lavapipe import needs_lavapipe

INT4 = {"weights": "int4", "block_size": 32}
SOFTWARE = "WebGPU on a software adapter, which computes on the CPU"


def options(provider: str) -> OnnxRuntimeGenAI:
    written: dict[str, Any] = {"runtime": "onnxruntime-genai", "execution_provider": provider, "quantization": INT4}
    return OnnxRuntimeGenAI.model_validate(written)


@pytest.fixture(scope="module")
def bench(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    made = Bench(tmp_path_factory.mktemp("webgpu"))
    made.write(recipe(builds={"webgpu": options("webgpu").model_dump(mode="json", exclude_unset=True)}))
    made.add_model(tiny_checkpoint)
    return made


@pytest.mark.model
@needs_lavapipe
def test_a_build_is_proven_on_the_device_and_its_package_says_on_which(bench: Bench) -> None:
    bench.with_env(**lavapipe.environment()).build("build:tiny-webgpu")
    found = bench.manifest("tiny-webgpu").validation
    assert (found.device, found.device_name, found.stand_in) == ("WebGPU", SOFTWARE, False)
    assert bench.manifest("tiny-webgpu").verdicts[0].answer == "The capital of France is Paris."
    card = (bench.artifacts / "packages" / "tiny-webgpu" / "README.md").read_text(encoding="utf-8")
    assert SOFTWARE in card
    (program,) = re.findall(r"```python\n(import json.*?)```", card, re.DOTALL)
    environ = os.environ | lavapipe.environment()
    packages = bench.artifacts / "packages"
    done = subprocess.run([sys.executable, "-c", program], cwd=packages, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "The capital of France is Paris."


@pytest.mark.model
def test_without_a_device_the_cpu_stands_in_and_is_called_that(bench: Bench) -> None:
    for kind in ("validate", "package", "../packages"):
        bench.drop(kind)
    bench.with_env(VK_DRIVER_FILES="/nowhere", ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER="0").build("build:tiny-webgpu")
    found = bench.manifest("tiny-webgpu").validation
    assert (found.device, found.stand_in) == ("CPU", True)
    assert bench.manifest("tiny-webgpu").unproven == ("WebGPU",)


def test_the_provider_is_among_the_tools_of_its_own_builds_alone() -> None:
    assert "onnxruntime-ep-webgpu" in backend.generate_tools(options("webgpu"))
    assert "onnxruntime-ep-webgpu" not in backend.generate_tools(options("cpu"))
