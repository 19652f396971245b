"""A package that an older Bakehouse made, whose manifest is called manifest.json: `data/package-v1`, made-up weights, schema version 1."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bakehouse.app import main, overview
from bakehouse.package import inspect as inspection
from bakehouse.package import manifest
from bakehouse.release import rebuild, release
from bakehouse.store.package_files import MANIFEST, OLD_MANIFEST
from bakehouse.store.store import Store
from tests.packed import pack

OLD = Path(__file__).parent / "data" / "package-v1"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return shutil.copytree(OLD, tmp_path / "old")


def test_an_old_package_is_checked_by_its_own_lists(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["verify", str(old)]) == 0
    assert capsys.readouterr().out.startswith("phi3-int4-openvino: 9 files, ")


@pytest.mark.parametrize("name", sorted(path.name for path in OLD.iterdir() if path.is_file()))
def test_a_changed_file_of_an_old_package_is_named(old: Path, name: str) -> None:
    (old / name).write_bytes((old / name).read_bytes() + b"\n")
    found = inspection.inspect(old).faults
    assert any(name in fault for fault in found)
    assert not any(MANIFEST in fault for fault in found)


def test_a_manifest_of_todays_name_cannot_be_put_into_an_old_package_unnoticed(old: Path) -> None:
    shutil.copyfile(old / OLD_MANIFEST, old / MANIFEST)
    assert any(fault.startswith(f"{OLD_MANIFEST}: ") for fault in inspection.inspect(old).faults)


def test_an_old_package_compares_with_one_made_today_by_what_both_say(old: Path, tmp_path: Path) -> None:
    found = rebuild.compare(old, pack(tmp_path / "new"))
    assert [line.split(":")[0] for line in found.apart] == ["README.md", "SHA256SUMS", "bakehouse.json", "bom.json", "provenance.json"]
    assert not [line for line in found.differs if "made again" in line or "is new" in line]


def test_an_old_package_is_released_listed_and_known_as_ours(old: Path, tmp_path: Path) -> None:
    assert [one.name for one in release.make([old], tmp_path / "release", None).packages] == ["phi3-int4-openvino"]
    store = Store(tmp_path / "artifacts")
    shutil.copytree(old, store.package("mine"))
    assert overview.read_manifest("mine", store) == manifest.read(old)
    assert store.is_ours(store.package("mine"))
