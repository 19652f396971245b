"""The same model folder runs in ONNX Runtime GenAI with OpenVINO's provider, by the folder's own README."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bakehouse.errors import Failure
from bakehouse.inference.found import find
from tests.support import delivering, lanes

pytestmark = pytest.mark.needs_backend("openvino")

WITH_PROVIDER = {"onnxruntime-openvino==1.24.1": "3007c803634cc69c6d52af1dea7ce729d9bb62b9a11070fd2f959119199007a8"}
PLUGIN = {"onnxruntime-ep-openvino==1.8.1": "3832643158c8c187fcab6db661cde2a8c06a2b3559d95d0f2411ac0e51c5e924"}
CAUSAL = "enable_causallm"


def test_only_the_provider_is_another_in_the_configuration(tmp_path: Path) -> None:
    package = delivering.pack(tmp_path / "package", ("smollm2", "int4-ort-cpu"))
    record = delivering.deliver(package, "openvino-ep", out := tmp_path / "out")
    config = json.loads((out / "genai_config.json").read_text())
    assert config["model"]["decoder"]["session_options"].pop("provider_options") == [{"OpenVINO": {"device_type": "CPU"}}]
    before = delivering.genai_config()
    assert before["model"]["decoder"]["session_options"].pop("provider_options") == []
    assert config == before
    assert [one.path for one in record.replaced] == ["genai_config.json"]


def test_a_model_made_for_another_provider_is_refused(tmp_path: Path) -> None:
    package = delivering.pack(tmp_path / "package", ("phi3", "int4-ort-directml"))
    with pytest.raises(Failure, match="and phi3-int4-ort-directml is made for dml"):
        delivering.deliver(package, "openvino-ep", tmp_path / "out")


@pytest.mark.model
@pytest.mark.skipif(sys.platform != "linux", reason="the pinned wheels are for Linux")
def test_the_real_provider_answers_and_refuses_to_take_the_whole_graph(
    tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    packages = lanes.baked(lanes.ONNX, tmp_path_factory, tiny_checkpoint).artifacts / "packages"
    plugin, build = delivering.distributions("ep-openvino", PLUGIN), delivering.distributions("onnxruntime-openvino", WITH_PROVIDER)
    usable = plugin if _is_intel() else build
    for name in ("tiny-ort", "tiny-ort-fp32"):
        delivering.deliver(packages / name, "openvino-ep", out := tmp_path / name)
        (program,) = delivering.blocks(out, "python")
        (verdict,) = find(name, packages).manifest.validation.verdicts
        for provider in {usable, build}:
            said = delivering.run_python(f"{program}\nprint()\nprint(model.device_type)", out, provider, tmp_path / "home")
            assert said.splitlines() == [verdict.answer, "OpenVINO"]
    if not _is_intel():
        with pytest.raises(AssertionError, match="OpenVINO execution provider is not supported in this build"):
            delivering.run_python(program, out, plugin, tmp_path / "home")
    config = json.loads((out / "genai_config.json").read_text())
    config["model"]["decoder"]["session_options"]["provider_options"][0]["OpenVINO"][CAUSAL] = "True"
    (out / "genai_config.json").write_text(json.dumps(config))
    said = "partitioned into 3 subgraphs" if usable is plugin else "Exception while Loading Network"
    with pytest.raises(AssertionError, match=said):  # two layers, whose attention is left out
        delivering.run_python(program, out, usable, tmp_path / "home")


def _is_intel() -> bool:
    """Whether the processor is Intel's: the provider that is registered offers itself to no other."""
    return "GenuineIntel" in Path("/proc/cpuinfo").read_text()
