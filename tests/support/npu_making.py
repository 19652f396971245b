"""The NPU lane's parts for tests: the compiler set up once per machine, and a small model that is compiled by the real commands."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from bakehouse.backends.openvino import backend as openvino
from bakehouse.backends.openvino_npu import backend as openvino_npu
from bakehouse.backends.openvino_npu import compiler as npu_compiler
from bakehouse.backends.openvino_npu.options import OpenVINONpu
from bakehouse.executor import process
from bakehouse.executor.process import Children, Finished
from bakehouse.steps.step import Step
from tests.support import standin
from tests.support.bench import Bench, recipe
from tests.support.lanes import made_once_a_run
from tests.support.openvino_making import CHECKPOINT

# CI installs Wine and says so: there these tests fail where they would be skipped elsewhere.
needs_wine = pytest.mark.skipif(
    npu_compiler.driver() != "wine" and not os.environ.get("BAKEHOUSE_TESTS_HAVE_WINE"),
    reason="the NPU's compiler runs under Wine here, and Wine is not installed (`apt-get install wine wine64`)",
)
SHORT = {"max_prompt_len": 128, "min_response_len": 64}  # the tiny model's context is 512


def build(*, weights: str = "int4", group_size: int | None = None, **more: Any) -> OpenVINONpu:
    """An NPU build; without `platforms`, for 4000."""
    grouped = {} if group_size is None else {"group_size": group_size}
    quantization = {"weights": weights, **grouped}
    return OpenVINONpu.model_validate({"runtime": "openvino-npu", "quantization": quantization, "platforms": (4000,), **SHORT, **more})


def steps(asked: OpenVINONpu) -> dict[str, Step]:
    """The steps of a build of CHECKPOINT."""
    return openvino_npu.steps("model-npu", asked, CHECKPOINT, "model", None, False)


def run(step: Step, folder: Path, **inputs: Path) -> tuple[Path, Finished]:
    """Run a step's command into `folder`/files."""
    maker = openvino if step.maker == "openvino" else openvino_npu
    files = folder / "files"
    files.mkdir(parents=True)
    finished = process.run(
        maker.command(step, inputs, files),
        children=Children(),
        log=folder / "log.txt",
        scratch=folder / "scratch",
        on_progress=lambda progress: None,
    )
    return files, finished


def offline() -> dict[str, str]:
    """Settings with which pip finds the pinned wheels without a network; they are fetched once per machine."""

    def fetch(folder: Path) -> None:
        for wheel in npu_compiler.WHEELS:
            requirement = f"{wheel.package}=={wheel.version}"
            pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "-d", str(folder))
            subprocess.run((*pip, *wheel.pip, requirement), check=True)

    pins = hashlib.sha256(repr(npu_compiler.WHEELS).encode()).hexdigest()
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(standin.made_once(f"npu-wheels-{pins[:16]}", fetch))}


def baked(factory: pytest.TempPathFactory, checkpoint: Path) -> Bench:
    """The tiny model's NPU builds, made once a run by the real doit: two platforms, and one without a blob."""
    blobs = {"runtime": "openvino-npu", "quantization": {"weights": "int4"}, "platforms": [5010, 4000], **SHORT}
    plain = {"runtime": "openvino-npu", "quantization": {"weights": "fp16"}, **SHORT}
    env = offline()

    def bake(folder: Path) -> None:
        bench = Bench(folder, env)
        bench.write(recipe(builds={"npu": blobs, "npu-ir": plain}))
        bench.add_model(checkpoint)
        bench.build("-n", "2", "build")

    return Bench(made_once_a_run(factory, "baked-npu", bake), env)


def model_of(checkpoint: Path, **quantization: Any) -> Path:
    """The IR of a checkpoint, in int4 if nothing else is said; once per machine for each set of tools."""
    made = steps(build(**quantization))

    def make(folder: Path) -> None:
        export, _ = run(made["config"], folder / "export", checkpoint=checkpoint)
        run(made["model"], folder / "model", export=export)

    return standin.made_once(f"npu-model-{checkpoint.name}-{made['model'].key[:16]}", make) / "model" / "files"


def wine_processes(folder: Path) -> list[psutil.Process]:
    """The processes whose Wine prefix is below `folder`."""
    found = []
    for one in psutil.process_iter():
        try:
            prefix = one.environ().get("WINEPREFIX", "")
            if prefix.startswith(str(folder)) and one.status() != psutil.STATUS_ZOMBIE:
                found.append(one)
        except psutil.Error:
            continue
    return found
