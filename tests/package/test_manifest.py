"""The manifest of a package: that it can be read back, and what it says of itself."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from bakehouse.package.manifest import PackageManifest
from bakehouse.records import FileRecord
from tests.package.test_card import manifest, verdict

pytestmark = pytest.mark.needs_backend("openvino")


def test_a_manifest_is_read_back_as_it_was_written() -> None:
    written = manifest()
    assert PackageManifest.model_validate_json(written.model_dump_json(indent=2)) == written


def test_a_manifest_says_which_version_of_its_schema_it_has() -> None:
    dump = json.loads(manifest().model_dump_json())
    assert dump["schema_version"] == 1
    with pytest.raises(ValidationError):
        PackageManifest.model_validate_json(json.dumps({**dump, "schema_version": 2}))


def test_a_manifest_holds_what_the_issue_asks_for() -> None:
    dump = json.loads(manifest().model_dump_json())
    asked = {"schema_version", "name", "key", "build", "source", "tools", "steps", "files", "measured", "validation", "made_at", "made_on"}
    assert asked <= dump.keys()
    assert dump["source"]["files"][0].keys() == {"path", "size", "sha256"}
    assert {"prompt", "answer", "tokens", "ended", "passed", "reasons", "agreement", "first_token_s", "tokens_per_s"} <= dump["validation"][
        "verdicts"
    ][0].keys()
    assert dump["made_at"] == "2026-11-22T12:00:00Z"


def test_its_size_is_that_of_all_files() -> None:
    files = tuple(FileRecord(path=name, size=size, sha256="ab" * 32) for name, size in (("a", 1), ("b", 20)))
    assert manifest(files=files).size_bytes == 21


def test_its_verdicts_are_those_of_the_validation() -> None:
    one, two = verdict(prompt="one"), verdict(prompt="two")
    assert [each.prompt for each in manifest("phi3", "int8-openvino", one, two).verdicts] == ["one", "two"]


def test_a_target_is_proven_only_by_running_on_it() -> None:
    assert manifest().unproven == ("GPU",)
    assert manifest(targets=("CPU",)).unproven == ()
