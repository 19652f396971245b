"""The builds as a CI matrix: what each needs of a machine, and what is left out because it did not change."""

from __future__ import annotations

from pathlib import Path

from pipeline import matrix
from pipeline.workspace import open_workspace
from tests.bench import ROOT


def test_directml_is_made_on_windows_and_all_else_on_linux_each_with_a_cache_of_its_own(tmp_path: Path) -> None:
    builds = open_workspace({"PIPELINE_RECIPES": str(ROOT / "recipes"), "PIPELINE_ARTIFACTS": str(tmp_path)}).plan.builds
    rows = {row["name"]: row for row in matrix.rows(builds, {}, ask=False, scratch=tmp_path / "scratch")}
    assert rows["phi3-int4-ort-directml"]["os"] == "windows-2025"
    assert rows["phi3-int4-openvino"]["os"] == rows["phi3-int4-ort-cpu"]["os"] == "ubuntu-24.04"
    assert len({row["cache"] for row in rows.values()}) == len(rows) == len(builds)
    assert all(row["key"][:32] in row["cache"] for row in rows.values())


def test_what_the_hub_alone_knows_is_not_made_up(tmp_path: Path) -> None:
    builds = open_workspace({"PIPELINE_RECIPES": str(ROOT / "recipes"), "PIPELINE_ARTIFACTS": str(tmp_path)}).plan.builds
    (row,) = [row for row in matrix.rows(builds, {}, ask=False, scratch=tmp_path / "scratch") if row["name"] == "phi3-int4-openvino"]
    assert (row["memory_bytes"], row["disk_bytes"]) == (None, None)


def test_what_has_the_same_key_is_left_out(tmp_path: Path) -> None:
    builds = open_workspace({"PIPELINE_RECIPES": str(ROOT / "recipes"), "PIPELINE_ARTIFACTS": str(tmp_path)}).plan.builds
    known = {build.name: build.package.key for build in builds} | {"phi3-int8-openvino": "00" * 32}
    assert [row["name"] for row in matrix.rows(builds, known, ask=False, scratch=tmp_path / "scratch")] == ["phi3-int8-openvino"]
