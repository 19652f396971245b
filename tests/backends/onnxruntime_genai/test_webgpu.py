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
from bakehouse.records import Validation
from tests.support import lavapipe
from tests.support.bench import Bench, recipe
from tests.support.lavapipe import needs_lavapipe

INT4 = {"weights": "int4", "block_size": 32}
# As Mesa 25.0.7 names itself and its device; the width of its vectors is the processor's.
SOFTWARE = re.compile(
    r"WebGPU on (llvmpipe \(LLVM [0-9.]+, [0-9]+ bits\)) by the driver llvmpipe (Mesa 25\.0\.7\S*) \(LLVM [0-9.]+\), a software adapter, .*"
)


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
    assert (found.device, found.stand_in) == ("WebGPU", False)
    assert SOFTWARE.fullmatch(found.device_name), found.device_name
    assert bench.manifest("tiny-webgpu").verdicts[0].answer == "The capital of France is Paris."
    card = (bench.artifacts / "packages" / "tiny-webgpu" / "README.md").read_text(encoding="utf-8")
    assert "by the driver llvmpipe Mesa 25.0.7" in card
    (program,) = re.findall(r"```python\n(import json.*?)```", card, re.DOTALL)
    environ = os.environ | lavapipe.environment()
    packages = bench.artifacts / "packages"
    done = subprocess.run([sys.executable, "-c", program], cwd=packages, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "The capital of France is Paris."


@pytest.mark.model
@pytest.mark.conformance
@needs_lavapipe
@pytest.mark.parametrize("weights", ["int8", "int4"])
def test_a_real_model_answers_on_the_device(weights: str, smollm2_checkpoint: Path, tmp_path: Path) -> None:
    """In 8 bits it wanders on the CPU's provider, at two tokens that are nearly as likely, and not on WebGPU."""
    made = Bench(tmp_path)
    built = options("webgpu").model_dump(mode="json", exclude_unset=True) | {
        "quantization": INT4 if weights == "int4" else {"weights": weights}
    }
    made.write(recipe(builds={"webgpu": built}))
    made.add_model(smollm2_checkpoint)
    # Without its fidelity, which a software device had not measured after ten minutes.
    made.with_env(**lavapipe.environment()).build("validate:tiny-webgpu")
    (path,) = (made.artifacts / "store" / "validate").glob("*/files/validation.json")
    found = Validation.model_validate_json(path.read_bytes())
    assert (found.device, found.stand_in) == ("WebGPU", False) and SOFTWARE.fullmatch(found.device_name)
    (verdict,) = found.verdicts
    assert verdict.passed and "Paris" in verdict.answer


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
