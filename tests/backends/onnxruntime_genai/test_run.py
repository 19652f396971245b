"""Where a package of this runtime is run, and that nothing in it is loaded as code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bakehouse.backends.base import Device
from bakehouse.backends.onnxruntime_genai import genai_config
from bakehouse.backends.onnxruntime_genai.seams import RunRequest
from bakehouse.backends.onnxruntime_genai.workers import run

pytestmark = pytest.mark.needs_backend("onnxruntime_genai")


def folder(at: Path, provider: str = "", **session: Any) -> Path:
    """A folder with a genai_config.json for a provider."""
    options = session | {"provider_options": [{provider: {}}] if provider else []}
    config = {"model": {"context_length": 8, "decoder": {"session_options": options}}}
    (at / genai_config.NAME).write_text(json.dumps(config))
    return at


def test_a_library_in_the_configuration_is_refused_before_the_runtime_loads_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run.refuse_code(folder(tmp_path))
    path = tmp_path / genai_config.NAME
    hidden = '{"model": {"decoder": {"custom_ops\\u005flibrary": "evil"}, "decoder": {}}}'
    for text in (hidden, '{"model": [{"QNN": {"backend_path": "evil.DLL"}}]}', '{"model": {"paths": ["a", "evil.so.1.2"]}}'):
        path.write_text(text)
        with pytest.raises(SystemExit):
            run.refuse_code(tmp_path)
        assert "names a library, which is code" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("provider", "device", "note"), [("", None, ""), ("", "CPU", ""), ("dml", "CPU", "is made for DirectML and runs on the CPU")]
)
def test_the_cpu_is_taken_where_it_is_meant(tmp_path: Path, provider: str, device: Device | None, note: str) -> None:
    config = genai_config.read(folder(tmp_path, provider))
    cpu, why = run.on_cpu(config, RunRequest(model=tmp_path, made_for="DirectML", device=device))
    assert cpu and note in why


def test_a_model_for_the_cpu_is_not_run_on_a_gpu(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run.on_cpu(genai_config.read(folder(tmp_path)), RunRequest(model=tmp_path, made_for="CPU", device="GPU"))
    assert "This model is made for the CPU." in capfd.readouterr().out
