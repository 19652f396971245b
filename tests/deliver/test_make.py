"""A delivered folder: whole or not there, with the package's own weights, a record of every file, and a check that finds what changed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.app.main import main
from bakehouse.deliver import inspect
from bakehouse.errors import Failure
from bakehouse.package.manifest import read
from bakehouse.store import files
from tests.support import delivering

pytestmark = pytest.mark.needs_backend("openvino", "onnxruntime_genai")
ORT = ("smollm2", "int4-ort-cpu")
OPENVINO = ("smollm2", "int8-openvino")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return delivering.pack(tmp_path / "package", ORT)


def test_every_file_of_the_package_is_carried_unchanged_or_accounted_for(package: Path, tmp_path: Path) -> None:
    record = delivering.deliver(package, "foundry-local", tmp_path / "out")
    listed = {file.path: file.sha256 for file in read(package).files}
    carried = {one.package_path: one for one in record.carried}
    assert carried.keys() | {one.package_path for one in record.replaced} == listed.keys()
    for path, one in carried.items():
        assert hashlib.sha256((tmp_path / "out" / one.path).read_bytes()).hexdigest() == listed[path] == one.sha256
    assert (tmp_path / "out" / "bakehouse.json").read_bytes() == (package / "bakehouse.json").read_bytes()
    assert record.left_out == ("bom.json", "provenance.json", "SHA256SUMS")
    present = {path.relative_to(tmp_path / "out").as_posix() for path in files.walk(tmp_path / "out")}
    assert present == {one.path for one in record.files} | {"bakehouse.json", "bakehouse-delivery.json"}


def test_no_file_has_a_second_name(package: Path, tmp_path: Path) -> None:
    delivering.deliver(package, "foundry-local", tmp_path / "out")
    assert {path.stat().st_nlink for path in files.walk(tmp_path / "out")} == {1}


def test_the_same_package_gives_the_same_bytes(package: Path, tmp_path: Path) -> None:
    for name in ("one", "other"):
        delivering.deliver(package, "foundry-local", tmp_path / name)
    assert files.records(tmp_path / "one") == files.records(tmp_path / "other")


def test_a_folder_that_is_not_empty_stays_as_it_is(package: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(Failure, match="The folder is not empty"):
        delivering.deliver(package, "foundry-local", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
    assert {path.name for path in tmp_path.iterdir()} == {"package", "out"}


def test_an_empty_folder_is_filled(package: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    delivering.deliver(package, "foundry-local", tmp_path / "out")
    assert (tmp_path / "out" / "model.onnx").is_file()


@pytest.mark.parametrize("name", ["model.onnx.data", "genai_config.json"])
def test_a_package_with_a_changed_byte_is_not_delivered_not_even_in_a_file_that_is_written_anew(
    package: Path, tmp_path: Path, name: str
) -> None:
    changed = next(package.rglob(name))
    changed.write_bytes(changed.read_bytes().replace(b"w", b"W").replace(b'"llama"', b'"LLAMA"'))
    with pytest.raises(Failure, match=f"{name} is not what the package's manifest says"):
        delivering.deliver(package, "openvino-ep", tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"package"}


def test_nothing_is_delivered_into_the_package_itself(package: Path) -> None:
    with pytest.raises(Failure, match="The target is within the package"):
        delivering.deliver(package, "foundry-local", package / "out")
    assert not (package / "out").exists()


def test_what_a_broken_off_run_left_next_to_its_place_is_cleared_away(package: Path, tmp_path: Path) -> None:
    (left := tmp_path / ".out.bakehouse-delivery").mkdir()
    (left / "half").write_text("half")
    delivering.deliver(package, "foundry-local", tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"package", "out"}
    assert not (tmp_path / "out" / "half").exists()


def test_a_package_with_a_file_of_a_name_that_the_folder_needs_is_refused(tmp_path: Path) -> None:
    package = delivering.pack(tmp_path / "package", ORT, more={"inference_model.json": "{}"})
    with pytest.raises(Failure, match=r"The package has a file called inference_model.json, and the folder needs another of that name"):
        delivering.deliver(package, "foundry-local", tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"package"}


def test_a_package_without_a_file_of_its_model_is_refused_in_a_sentence(tmp_path: Path) -> None:
    package = delivering.pack(tmp_path / "package", ORT, without="genai_config.json")
    with pytest.raises(Failure, match=r"block-32-acc-level-4 has no genai_config.json"):
        delivering.deliver(package, "foundry-local", tmp_path / "out")


def test_a_place_refuses_a_package_of_another_runtime_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    delivering.pack(tmp_path / "package", OPENVINO)
    assert main(["deliver", "./package", "--to", "foundry-local", "out"]) == 1
    assert capsys.readouterr().err.startswith(
        "ERROR: foundry-local takes a package of one model for ONNX Runtime GenAI, and smollm2-int8-openvino is one for openvino.\n"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"package"}


def test_a_check_of_a_delivered_folder_says_what_it_is_and_what_changed(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    delivering.deliver(package, "foundry-local", out := tmp_path / "out")
    assert main(["check", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == snapshot(
        "package  smollm2-int4-ort-cpu, delivered: foundry-local, version 1; a signature is the package's, and none of this folder"
    )
    (out / "model.onnx").write_bytes(b"other")
    (out / "inference_model.json").unlink()
    (out / "more.txt").write_text("more")
    assert main(["check", str(out), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [fault.partition(": ")[0] for fault in found["faults"]] == ["inference_model.json", "model.onnx", "more.txt"]
    assert found["profile"] == "foundry-local, version 1"


def test_a_record_that_was_changed_with_its_file_disagrees_with_the_manifest(package: Path, tmp_path: Path) -> None:
    delivering.deliver(package, "foundry-local", out := tmp_path / "out")
    old, new = hashlib.sha256(b"graph").hexdigest(), hashlib.sha256(b"other").hexdigest()
    (out / "model.onnx").write_bytes(b"other")
    record = (out / "bakehouse-delivery.json").read_text()
    assert old in record
    (out / "bakehouse-delivery.json").write_text(record.replace(old, new))
    (fault,) = inspect.inspect(out).faults
    assert fault.startswith("model.onnx: is not the package's cpu_and_mobile/")


def test_a_manifest_that_changed_since_is_named_but_in_records_that_do_not_know_it(package: Path, tmp_path: Path) -> None:
    delivering.deliver(package, "foundry-local", out := tmp_path / "out")
    manifest, listing = out / "bakehouse.json", out / "bakehouse-delivery.json"
    manifest.write_text(manifest.read_text().replace('"description":', '"description": '))
    assert inspect.inspect(out).faults == ("bakehouse.json: content changed since it was delivered, according to bakehouse-delivery.json",)
    record = json.loads(listing.read_text())
    del record["manifest_sha256"]
    listing.write_text(json.dumps(record))
    assert inspect.inspect(out).faults == ()


@pytest.mark.parametrize("name", ["bakehouse.json", "bakehouse-delivery.json"])
def test_a_folder_whose_lists_are_no_lists_is_damaged(package: Path, tmp_path: Path, name: str) -> None:
    delivering.deliver(package, "foundry-local", out := tmp_path / "out")
    (out / name).write_text("{}")
    assert any(fault.startswith(f"{name}: cannot be read: ") for fault in inspect.inspect(out).faults)


def test_a_delivered_folder_is_neither_run_nor_delivered_again(package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    delivering.deliver(package, "foundry-local", out := tmp_path / "out")
    assert main(["deliver", str(out), "--to", "foundry-local", str(tmp_path / "again")]) == 1
    assert "This is a package laid out for another program" in capsys.readouterr().err
    assert not (tmp_path / "again").exists()


def test_a_script_reads_what_was_written(package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deliver", str(package), "--to", "foundry-local", str(tmp_path / "out"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["profile"], found["name"], found["added"]) == (
        "foundry-local",
        "smollm2-int4-ort-cpu",
        ["README.md", "inference_model.json"],
    )
    assert main(["deliver", str(package), "--to", "foundry-local", str(tmp_path / "out"), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["what"] == "The folder is not empty."
