"""A model package of ONNX Runtime: a variant for each provider, and what they share once, named by its content."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest

from bakehouse.app.main import main
from bakehouse.errors import Failure
from tests.support import delivering

pytestmark = pytest.mark.needs_backend("openvino")

BOTH = (("phi3", "int4-ort-cpu"), ("phi3", "int4-ort-directml"))
# ONNX Runtime GenAI on this folder, in a process of its own.
OPEN = "import onnxruntime_genai as og\ntry: og.Model('.')\nexcept Exception as error: print(error)"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A delivered bundle."""
    delivering.deliver(delivering.pack(tmp_path / "package", *BOTH), "ort-model-package", folder := tmp_path / "out")
    return folder


def test_the_manifest_has_a_variant_for_each_provider_in_one_component(out: Path) -> None:
    ort = {"ort": {"model_file": "model.onnx"}}
    assert json.loads((out / "manifest.json").read_text()) == {
        "schema_version": "1.0",
        "package_name": "phi3-onnx",
        "components": {
            "model": {
                "variants": {
                    "cpu": {"ep": "CPUExecutionProvider", "device": "cpu", "executor_info": ort},
                    "dml": {"ep": "DmlExecutionProvider", "device": "gpu", "executor_info": ort},
                }
            }
        },
    }
    for variant in ("cpu", "dml"):
        assert {path.name for path in (out / variant).iterdir()} == {"genai_config.json", "model.onnx", "model.onnx.data"}
    assert not (out / "genai_config.json").exists()


def test_the_tokenizer_lies_there_once_under_the_digest_that_the_runtime_computes(out: Path) -> None:
    (asset,) = (out / "shared_assets").iterdir()
    names = sorted(path.name for path in asset.iterdir())
    assert names == ["chat_template.jinja", "tokenizer.json", "tokenizer_config.json"]
    lines = (f"{hashlib.sha256((asset / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert asset.name == f"sha256-{digest}"
    for variant in ("cpu", "dml"):
        assert json.loads((out / variant / "genai_config.json").read_text())["model"]["tokenizer_dir"] == f"sha256:{digest}"


def test_the_record_accounts_for_files_that_lie_there_once(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(out)]) == 0
    record = json.loads((out / "bakehouse-delivery.json").read_text())
    (tokenizer,) = [one for one in record["carried"] if one["path"].endswith("/tokenizer.json")]
    assert tokenizer["package_path"].startswith("cpu_and_mobile/") and tokenizer["also"][0].startswith("directml/")
    tokenizer["also"] = []
    (out / "bakehouse-delivery.json").write_text(json.dumps(record))
    capsys.readouterr()
    assert main(["check", str(out)]) == 1
    assert "/tokenizer.json: is in the package, and bakehouse-delivery.json does not say what became of it" in capsys.readouterr().out


def test_two_models_for_one_provider_are_refused(tmp_path: Path) -> None:
    package = delivering.pack(tmp_path / "package", *BOTH, ("phi3", "fp16-ort-directml"))
    with pytest.raises(Failure, match="takes one model for each provider, and phi3-onnx has 2 for dml"):
        delivering.deliver(package, "ort-model-package", tmp_path / "out")


def test_the_runtime_takes_it_for_a_model_package_and_says_that_it_was_built_without_them(out: Path, tmp_path: Path) -> None:
    """A wheel that is built with them will fail this test, and then has to load one."""
    pytest.importorskip("onnxruntime_genai")
    said = delivering.run_python(OPEN, out, None, tmp_path / "home")
    assert said.startswith("Model package support requires building onnxruntime-genai against ONNX Runtime with the OrtModelPackageApi")


@pytest.mark.skipif(sys.platform == "win32", reason="the runtime's message has another path there")
def test_a_package_of_ours_is_not_taken_for_one(out: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime_genai")
    said = delivering.run_python(OPEN, tmp_path / "package", None, tmp_path / "home")
    assert said == "Error opening ./genai_config.json"
