"""A backend can be deleted: without its folder, its rows and its union member the rest imports, lints, lists and passes the light suite."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import without_backend

pytestmark = pytest.mark.needs_backend(
    "npu_library", "onnxruntime", "onnxruntime_genai", "openvino", "openvino_npu"
)  # a copy is not copied again


@pytest.mark.whole
@pytest.mark.parametrize("runtime", without_backend.GOES)
def test_the_rest_imports_lints_and_lists_without_a_backend(runtime: str, tmp_path: Path) -> None:
    kept = without_backend.copied(tmp_path, runtime)
    done = without_backend.run(tmp_path, "-c", without_backend.EVERYTHING)
    assert done.returncode == 0, done.stdout + done.stderr
    assert kept and len([line for line in done.stdout.splitlines() if line.startswith("build:")]) >= kept


@pytest.mark.model
def test_a_sample_of_the_light_suite_passes_without_a_backend(tmp_path: Path) -> None:
    """One of the five, and the rooms that know most of backends; `make without-backends` runs the whole of it in all five."""
    without_backend.copied(tmp_path, "intel-npu-acceleration-library")
    done = without_backend.light_suite(
        tmp_path, ["tests/plan", "tests/recipe", "tests/stages", "tests/steps", "tests/package", "tests/test_house.py"]
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
