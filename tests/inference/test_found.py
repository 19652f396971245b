"""Which package is meant, and whether it is complete; nothing is hashed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bakehouse.errors import Failure
from bakehouse.inference.found import find
from tests.package.test_card import manifest
from tests.support.running import NAME, packed

pytestmark = pytest.mark.needs_backend("openvino")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return packed(tmp_path)


def wrong(name: str, packages: Path) -> str:
    with pytest.raises(Failure) as caught:
        find(name, packages)
    return str(caught.value)


def test_a_package_is_found_by_name_and_by_folder(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find(NAME, package.parent).folder == package
    monkeypatch.chdir(package.parent)
    assert find(f"./{NAME}", Path("nowhere")).folder == package
    assert find(NAME, Path("nowhere")).name == NAME


def test_a_name_that_is_not_built_is_answered_with_the_nearest(package: Path) -> None:
    assert "Perhaps phi3-int4-openvino" in wrong("phi3-int4-opnvino", package.parent)
    assert "`bakehouse build zzz` makes it" in wrong("zzz", package.parent)
    assert "There is no folder a/b" in wrong("a/b", package.parent)
    assert "has no bakehouse.json" in wrong(str(package / "below"), package.parent)
    assert "has no bakehouse.json" in wrong("..", package.parent)


def test_a_missing_and_a_shortened_file_are_named(package: Path) -> None:
    (package / "config.json").unlink()
    (package / "openvino_model.bin").write_bytes(b"")
    text = wrong(str(package), package.parent)
    assert "config.json: missing" in text and "openvino_model.bin: has 0 bytes, should have 7" in text


def test_a_listed_path_outside_the_package_is_refused(package: Path) -> None:
    path = package / "bakehouse.json"
    values = json.loads(path.read_text())
    values["files"].append({"path": "../outside", "size": 1, "sha256": "00"})
    path.write_text(json.dumps(values))
    assert "'../outside': is not in the package" in wrong(str(package), package.parent)


def test_a_later_manifest_is_distinguished_from_a_damaged_one(package: Path) -> None:
    path = package / "bakehouse.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | {"schema_version": 2}))
    assert "install a newer Bakehouse" in wrong(str(package), package.parent).replace("Install", "install")
    path.write_text("{}")
    assert "is not the manifest of a package" in wrong(str(package), package.parent)


@pytest.mark.needs_backend("onnxruntime_genai")
def test_of_a_bundle_the_build_that_suits_the_device_is_run(package: Path) -> None:
    members = tuple(
        manifest("phi3", build, targets=(target,)) for build, target in (("int4-ort-directml", "DirectML"), ("int4-ort-cpu", "CPU"))
    )
    (package / "bakehouse.json").write_text(manifest(files=(), members=members).model_dump_json())
    assert [find(str(package), package, device).name for device in (None, "CPU", "GPU")] == [
        "phi3-int4-ort-cpu",
        "phi3-int4-ort-cpu",
        "phi3-int4-ort-directml",
    ]
