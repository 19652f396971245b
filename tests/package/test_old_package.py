"""A package that an older Bakehouse made, whose manifest is called manifest.json: `data/package-v1`, made-up weights, schema version 1."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bakehouse.app import main, results_table
from bakehouse.package import inspect as inspection
from bakehouse.package import manifest
from bakehouse.release import rebuild, release
from bakehouse.store import files
from bakehouse.store.package_files import MANIFEST, OLD_MANIFEST
from bakehouse.store.store import Store
from tests.support.packed import pack

pytestmark = pytest.mark.needs_backend("openvino")

OLD = Path(__file__).parents[1] / "data" / "package-v1"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return shutil.copytree(OLD, tmp_path / "old")


def test_an_old_package_is_checked_by_its_own_lists(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["check", str(old)]) == 0
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
    assert [line.split(":")[0] for line in found.exempt] == ["README.md", "SHA256SUMS", "bakehouse.json", "bom.json", "provenance.json"]
    assert not [line for line in found.differs if "made again" in line or "is new" in line]


def test_an_old_package_is_released_listed_and_known_as_ours(old: Path, tmp_path: Path) -> None:
    assert [one.name for one in release.make([old], tmp_path / "release", None).packages] == ["phi3-int4-openvino"]
    store = Store(tmp_path / "artifacts")
    shutil.copytree(old, store.package("mine"))
    assert results_table.read_manifest("mine", store) == manifest.read(old)
    assert store.is_ours(store.package("mine"))


@pytest.fixture
def newer(old: Path) -> Path:
    """The old package as a later Bakehouse might have made it: another schema version, and fields that there are none of today."""
    _rewrite(old, OLD_MANIFEST, lambda made: _with_future(made) | {"schema_version": 2})
    _rewrite(old, "provenance.json", lambda made: _with_future(made | {"subject": _digests(old, made["subject"])}))
    names = [line.partition("  ")[2] for line in (old / "SHA256SUMS").read_text().splitlines()]
    files.write(old / "SHA256SUMS", "".join(f"{files.sha256(old / name)}  {name}\n" for name in names))
    return old


def _rewrite(folder: Path, name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    made = json.loads((folder / name).read_text(encoding="utf-8"))
    files.write(folder / name, json.dumps(change(made)))


def _with_future(made: dict[str, Any]) -> dict[str, Any]:
    """Each record, and the whole, with one more field."""
    listed = {name: [{**one, "later": 1} for one in made[name]] for name in ("files", "subject") if name in made}
    return {**made, **listed, "later": {"more": True}}


def _digests(folder: Path, subject: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**one, "digest": {"sha256": files.sha256(folder / one["name"])}} for one in subject]


def test_a_newer_package_is_checked_by_its_lists_and_reported_to_be_newer(newer: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["check", str(newer)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said] == ["newer", "phi3-int4-openvino:"]


@pytest.mark.parametrize("name", sorted(path.name for path in OLD.iterdir() if path.is_file() and path.name != "SHA256SUMS"))
def test_a_changed_file_of_a_newer_package_is_named(newer: Path, name: str) -> None:
    (newer / name).write_bytes((newer / name).read_bytes() + b"\n")
    assert any(name in fault for fault in inspection.inspect(newer).faults)


def test_a_manifest_that_is_wrong_in_another_way_is_not_a_newer_one(newer: Path) -> None:
    _rewrite(newer, OLD_MANIFEST, lambda made: made | {"tools": "all"})
    found = inspection.inspect(newer)
    assert not found.newer
    assert any(fault.startswith(f"{OLD_MANIFEST}: cannot be read") for fault in found.faults)
