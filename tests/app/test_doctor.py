"""`bakehouse doctor`: what a machine can do, found in children and without asking it to do it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakehouse.app import doctor, documents
from bakehouse.app.doctor import Finding
from bakehouse.app.main import main
from bakehouse.backends.table import BACKENDS


@pytest.mark.model  # each runtime is imported, in a child
def test_every_runtime_has_a_row_for_building_and_one_for_its_devices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIPELINE_ARTIFACTS", str(tmp_path / "artifacts"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # where nothing answers
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert main(["doctor", "--json"]) == 0
    said = capsys.readouterr().out
    found = documents.Examined.model_validate_json(said).findings
    for about in ("build", "device"):
        assert {one.subject for one in found if one.about == about} == set(BACKENDS)
    machine = {one.subject: one for one in found if one.about == "machine"}
    assert set(machine) == {"disk", "memory", "hub", "token", "git"}
    assert not machine["hub"].works and "http://127.0.0.1:9 does not answer" in machine["hub"].found
    assert machine["token"].works and "hf_secret" not in said
    assert not (tmp_path / "artifacts").exists()
    assert main(["doctor"]) == 0
    assert "hf_secret" not in capsys.readouterr().out


def test_a_backend_that_cannot_build_says_what_to_install() -> None:
    assert doctor._command("install Bakehouse with its extra `build`") == "pip install 'bakehouse[build]'"
    assert doctor._command("run `apt-get install g++`") == "apt-get install g++"


def test_only_a_machine_that_builds_nothing_fails() -> None:
    no = Finding("build", "a", False, "torch not installed", "pip install 'bakehouse[build]'")
    assert doctor.nothing_can_be_built((no, Finding("machine", "git", True, "")))
    assert not doctor.nothing_can_be_built((no, Finding("build", "b", True, "")))


def test_a_token_is_found_and_never_shown(tmp_path: Path) -> None:
    assert not doctor._token({"HF_HOME": str(tmp_path)}).works
    (tmp_path / "token").write_text("hf_secret", encoding="utf-8")
    kept, given = doctor._token({"HF_HOME": str(tmp_path)}), doctor._token({"HF_HOME": str(tmp_path / "none"), "HF_TOKEN": "hf_secret"})
    assert kept.works and given.works and "hf_secret" not in f"{kept}{given}"


def test_a_runtime_that_sees_no_device_and_one_that_cannot_answer_say_so() -> None:
    assert doctor._seen("a", {}).found == "its runtime sees no device"
    assert doctor._seen("a", {"CPU": "Some CPU", "GPU": ""}).found == "CPU (Some CPU); GPU"
    assert not doctor._seen("a", None).works
