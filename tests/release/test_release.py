"""Archives, notes and the comparison of two packages: the same package gives the same bytes, and parts come together again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.app.commands.release import Release
from bakehouse.errors import Failure
from bakehouse.executor.process import Children
from bakehouse.package import checksums
from bakehouse.package.manifest import PackageManifest
from bakehouse.records import Agreement
from bakehouse.release import rebuild, release
from bakehouse.store import files
from bakehouse.store.store import Store
from tests.package.test_card import manifest, verdict
from tests.support.bench import ROOT
from tests.support.packed import pack
from tests.support.systems import not_on_windows

pytestmark = pytest.mark.needs_backend("openvino")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return pack(tmp_path / "package")


def _sums(folder: Path) -> dict[str, str]:
    return {file.path: file.sha256 for file in files.records(folder)}


def test_the_same_package_gives_the_same_release_whatever_its_times_and_modes(package: Path, tmp_path: Path) -> None:
    release.make([package], tmp_path / "one", None)
    for path in files.walk(package):
        path.touch()
        path.chmod(0o600)
    release.make([package], tmp_path / "two", None)
    assert _sums(tmp_path / "one") == _sums(tmp_path / "two")


@not_on_windows("the line is for a POSIX shell")
@pytest.mark.parametrize(("part_bytes", "parts"), [(12_000, 4), (10_000_000, 1)])
def test_parts_are_never_larger_than_requested_and_the_documented_line_joins_them(
    package: Path, tmp_path: Path, part_bytes: int, parts: int
) -> None:
    made = release.make([package], tmp_path / "out", None, part_bytes=part_bytes)
    (one,) = made.packages
    assert len(one.archive.parts) == parts
    assert all(0 < part.size <= part_bytes for part in one.archive.parts)
    notes = (tmp_path / "out" / "NOTES.md").read_text()
    lines = notes.split("```sh\n")[1].split("\n```")[0].splitlines()
    name = "phi3-int4-openvino.tar"
    assert lines[1].startswith(f"[ -f {name} ] || cat {name}.[0-9]* > {name} && sha256sum --check")
    assert lines[1].endswith(" && bakehouse check phi3-int4-openvino")
    env = {**os.environ, "PATH": f"{_bakehouse(tmp_path)}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "pipeline")}
    done = subprocess.run(["sh", "-ec", "\n".join(lines)], cwd=tmp_path / "out", env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].endswith(" hashed: nothing wrong")
    assert _sums(tmp_path / "out" / "phi3-int4-openvino") == _sums(package)


def _bakehouse(folder: Path) -> Path:
    """A folder with the command `bakehouse`: the environment's own, or where that was made before there was one, what it would be."""
    if shutil.which("bakehouse", path=Path(sys.executable).parent):
        return Path(sys.executable).parent
    script = folder / "bin" / "bakehouse"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bakehouse.app.main "$@"\n')
    script.chmod(0o755)
    return script.parent


def test_a_release_lists_every_file_of_it_and_carries_the_proofs(package: Path, tmp_path: Path) -> None:
    release.make([package], tmp_path / "out", None)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    proofs = {f"phi3-int4-openvino.{name}" for name in ("tar", "tar.sha256", "provenance.json", "bom.json")}
    assert names == {"NOTES.md", "SHA256SUMS", "release.json", *proofs}
    assert checksums.read(tmp_path / "out" / "SHA256SUMS").keys() == names - {"SHA256SUMS"}


@not_on_windows("it has no sha256sum")
def test_a_damaged_part_is_caught(package: Path, tmp_path: Path) -> None:
    release.make([package], tmp_path / "out", None, part_bytes=10_000)
    part = tmp_path / "out" / "phi3-int4-openvino.tar.002"
    part.write_bytes(b"x" + part.read_bytes()[1:])
    done = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=tmp_path / "out", capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "phi3-int4-openvino.tar.002: FAILED" in done.stdout


def _changed(record: PackageManifest) -> PackageManifest:
    options = record.build.options
    asked = options.model_copy(update={"quantization": options.quantization.model_copy(update={"group_size": 64})})
    return record.model_copy(update={"build": record.build.model_copy(update={"options": asked}), "key": "cd" * 32})


def test_the_notes_say_what_changed_since_the_last_release(tmp_path: Path) -> None:
    last = release.make([pack(tmp_path / "a"), pack(tmp_path / "gone", manifest("phi3", "fp16-openvino"))], tmp_path / "v1", None)
    worse = verdict(agreement=Agreement(common_tokens=5, answer_tokens=8, source_tokens=8))
    record = _changed(manifest("phi3", "int4-openvino", worse, tools={**manifest().tools, "nncf": "3.5.0"}))
    same, new = pack(tmp_path / "b", record), pack(tmp_path / "c", manifest("smollm2", "int8-openvino"))
    release.make([same, new], tmp_path / "v2", last)
    notes = (tmp_path / "v2" / "NOTES.md").read_text()
    since = notes.split("## Since the last release\n\n")[1].split("\n\n")[0].splitlines()
    assert since[0].startswith("- phi3-int4-openvino: int4-openvino.quantization.group\\_size `128` → `64`; nncf `3.4.0` → `3.5.0`; ")
    assert "tokens in common `8 of 8` → `5 of 8`" in since[0]
    assert since[1:] == snapshot(["- smollm2-int8-openvino: new", "- phi3-fp16-openvino: no longer part of the release"])


def test_an_unchanged_package_is_called_so(package: Path, tmp_path: Path) -> None:
    last = release.make([package], tmp_path / "v1", None)
    release.make([package], tmp_path / "v2", release.read(tmp_path / "v1" / "release.json"))
    assert last == release.read(tmp_path / "v1" / "release.json")
    assert "- phi3-int4-openvino: unchanged\n" in (tmp_path / "v2" / "NOTES.md").read_text()


# --- where a release is written -----------------------------------------------------------------------------------


def _refused(*packages: Path, target: Path) -> str:
    with pytest.raises(Failure) as caught:
        release.make(packages, target, None)
    return str(caught.value)


def test_nothing_of_an_earlier_release_stays_and_nothing_is_left_next_to_it(package: Path, tmp_path: Path) -> None:
    target = tmp_path / "releases" / "out"
    release.make([package, pack(tmp_path / "gone", manifest("phi3", "fp16-openvino"))], target, None, part_bytes=10_000)
    release.make([package], target, None)
    release.make([package], tmp_path / "fresh", None)
    assert _sums(target) == _sums(tmp_path / "fresh")
    assert list(target.parent.iterdir()) == [target]


def test_a_folder_with_anything_else_in_it_is_refused_and_left_as_it_is(package: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    release.make([package], target, None)  # an empty one is fine
    for name in ("thesis.odt", "phi3-int4-openvino"):
        (target / name).mkdir()
    before = _sums(target)
    assert _refused(package, target=target) == (
        f"{target}: The folder holds files that are not part of a release.\n"
        "    phi3-int4-openvino\n"
        "    thesis.odt\n"
        "  what to do: Name another folder, or move these files away."
    )
    assert _sums(target) == before and (target / "thesis.odt").is_dir()
    assert "not part of a release.\n    LICENSE\n" in _refused(package, target=package)


def test_a_release_goes_neither_into_a_file_nor_where_nothing_can_be_written(package: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert _refused(package, target=file) == f"{file}: The target is a file.\n  what to do: Name a folder, which need not exist."
    said = _refused(package, target=file / "v1")  # in between stands what the system calls it
    assert said.startswith(f"{file / 'v1'}: The release cannot be written: [")
    assert said.endswith("'.\n  what to do: Name a folder that you may write to, on a disk with enough space.")


def test_a_release_that_fails_leaves_the_earlier_one_as_it_was(package: Path, tmp_path: Path) -> None:
    target = tmp_path / "releases" / "out"
    release.make([package], target, None)
    before = _sums(target)
    (package / "bom.json").unlink()
    said = _refused(package, target=target)
    assert said.startswith(f"{target}: The release cannot be written: [") and f"{str(package / 'bom.json')!r}.\n" in said
    assert _sums(target) == before
    assert list(target.parent.iterdir()) == [target]


def test_two_packages_of_one_name_are_refused(package: Path, tmp_path: Path) -> None:
    other = pack(tmp_path / "other")
    assert _refused(package, other, target=tmp_path / "out") == (
        f"{package} and {other} are both called phi3-int4-openvino.\n  what to do: Leave one of them out."
    )


@pytest.mark.parametrize("size", [0, -1, 1024 * 1024 - 1, 2 * 1024**3])
def test_parts_that_no_release_host_takes_are_refused(size: int) -> None:
    assert _told(f"--part-size={size}") == (
        f"--part-size: Parts of {size:,} bytes are too small or too large.\n"
        "  what to do: Choose from 1,048,576 (1 MiB) to 2,147,483,647 bytes; release hosts take files below 2 GiB."
    )


def test_what_would_be_ignored_and_a_folder_that_is_not_there_are_refused(tmp_path: Path) -> None:
    assert _told(f"--from={tmp_path}", "phi3-int4-openvino") == snapshot(
        """\
--from takes all packages of a folder, and not phi3-int4-openvino.
  what to do: Leave out the names, or --from.\
"""
    )
    assert _told(f"--from={tmp_path / 'no'}") == (
        f"{tmp_path / 'no'}: There is no such folder.\n  what to do: Name the folder that holds a folder for each package."
    )


def _told(*words: str) -> str:
    """What `bakehouse release` is refused with."""
    command = Release()
    with pytest.raises(Failure) as caught:
        command._do(*command.cmdparser.parse(list(words)))
    return str(caught.value)


def test_a_file_that_is_not_a_release_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        release.read(tmp_path / "release.json")
    assert str(caught.value) == (
        f"{tmp_path / 'release.json'}: It is not a valid release.json.\n  what to do: Name the release.json of an earlier release."
    )


# --- comparing what was built again -------------------------------------------------------------------------------


def test_packages_of_the_same_bytes_are_the_same_and_their_records_are_separate(package: Path, tmp_path: Path) -> None:
    found = rebuild.compare(package, pack(tmp_path / "again"))
    assert found.differs == ()
    assert found.same == ("LICENSE", "below/config.json", "openvino_model.bin", "recipe.yaml")
    assert [line.split(":")[0] for line in found.exempt] == ["README.md", "SHA256SUMS", "bakehouse.json", "bom.json", "provenance.json"]


def test_what_differs_is_named_with_where(package: Path, tmp_path: Path) -> None:
    again = pack(tmp_path / "again", manifest(measured={}), weights=b"weiGhTs")
    (again / "LICENSE").unlink()
    (again / "below" / "config.json").write_bytes(b"{} \n")
    (again / "extra.txt").write_text("x")
    assert rebuild.compare(package, again).differs == snapshot(
        (
            "LICENSE: not made again",
            "extra.txt: new",
            "below/config.json: 4 bytes, was 3",
            "openvino_model.bin: 2 of 7 bytes differ, the first at 3",
            "bakehouse.json: what was measured differs",
        )
    )


def test_a_compiled_blob_may_differ_in_few_bytes_and_no_more(package: Path, tmp_path: Path) -> None:
    again = pack(tmp_path / "again")
    (package / "openvino_model.blob").write_bytes(b"ELF " + bytes(996))
    (again / "openvino_model.blob").write_bytes(b"ELF " + b"x" * 10 + bytes(986))
    found = rebuild.compare(package, again)
    assert found.differs == ()
    assert "openvino_model.blob: 10 of 1,000 bytes differ, the first at 4; a compiled blob may differ in up to 1%" in found.exempt
    (again / "openvino_model.blob").write_bytes(b"ELF " + b"x" * 11 + bytes(985))
    assert rebuild.compare(package, again).differs == snapshot(("openvino_model.blob: 11 of 1,000 bytes differ, the first at 4",))
    (again / "openvino_model.blob").write_bytes(b"x" * 1000)
    assert rebuild.compare(package, again).differs == snapshot(("openvino_model.blob: 1,000 of 1,000 bytes differ, the first at 0",))
    (again / "openvino_model.blob").write_bytes(b"ELF three")
    assert rebuild.compare(package, again).differs == snapshot(("openvino_model.blob: 9 bytes, was 1,000",))


def test_what_lies_next_to_a_blob_may_differ_in_the_blobs_sha256_alone(package: Path, tmp_path: Path) -> None:
    again = pack(tmp_path / "again")
    for folder, digest in ((package, "ab"), (again, "cd")):
        (folder / "npu").mkdir()
        (folder / "npu" / "openvino_model.blob").write_bytes(b"ELF")
        (folder / "npu" / "openvino_model.json").write_text(json.dumps({"platform": 4000, "blob_sha256": digest}))
    found = rebuild.compare(package, again)
    assert found.differs == ()
    said = "npu/openvino_model.json: 2 of 39 bytes differ, the first at 35"
    assert f"{said}; they are in the blob's sha256" in found.exempt
    (again / "npu" / "openvino_model.json").write_text(json.dumps({"platform": 5010, "blob_sha256": "cd"}))
    assert rebuild.compare(package, again).differs == snapshot(("npu/openvino_model.json: 4 of 39 bytes differ, the first at 13",))
    (package / "npu" / "openvino_model.json").write_text("[" * 5000)
    assert rebuild.compare(package, again).differs == snapshot(("npu/openvino_model.json: 39 bytes, was 5,000",))


def test_only_what_lies_at_the_top_is_a_record(package: Path, tmp_path: Path) -> None:
    again = pack(tmp_path / "again")
    (package / "below" / "README.md").write_text("one")
    (again / "below" / "README.md").write_text("two")
    (package / "below" / "manifest.json").write_text("{}")
    (again / "below" / "manifest.json").write_text("[]")
    assert rebuild.compare(package, again).differs == snapshot(
        (
            "below/README.md: 3 of 3 bytes differ, the first at 0",
            "below/manifest.json: 2 of 2 bytes differ, the first at 0",
        )
    )


def test_what_a_hubs_client_left_is_not_compared(package: Path, tmp_path: Path) -> None:
    (package / ".gitattributes").write_text("x")
    assert rebuild.compare(package, pack(tmp_path / "again")).differs == ()


# --- building again what came from elsewhere ----------------------------------------------------------------------


def _again(package: Path, tmp_path: Path) -> None:
    """Build again, with no recipes and no store of this machine's own."""
    own = Store(tmp_path / "artifacts")
    rebuild.build_again(package, tmp_path / "recipes", own, tmp_path / "folder", Children(), lambda _: None)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../../evil", "`../../evil` cannot be a name."),
        ("/etc/evil", "`/etc/evil` cannot be a name."),
        ("nul", "`nul` is a device on Windows and cannot be a folder."),
        ("a\n", "`a\\n` cannot be a name."),
    ],
)
def test_a_manifest_with_a_path_for_a_name_writes_nothing_anywhere(package: Path, tmp_path: Path, name: str, why: str) -> None:
    record = json.loads((package / "bakehouse.json").read_text())
    record["build"]["recipe"] = name
    (package / "bakehouse.json").write_text(json.dumps(record))
    before = _sums(tmp_path)
    with pytest.raises(Failure) as caught:
        _again(package, tmp_path)
    head, first, *_ = str(caught.value).splitlines()
    assert head == f"{package}: The package differs from its own lists, so nothing in it is used."
    assert first == f"    bakehouse.json: cannot be read: build.recipe: {why}"
    assert _sums(tmp_path) == before


def test_a_package_that_is_not_there_is_not_built_again() -> None:
    argv = [sys.executable, "-m", "doit", "rebuild", "nonsense", "--keep"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "ERROR: There is no package nonsense.\n  what to do: Name a build that is built, or a folder with a package.\n",
    )


def test_a_package_that_is_not_what_its_lists_say_is_not_built_again(package: Path, tmp_path: Path) -> None:
    (package / "recipe.yaml").unlink()
    before = _sums(tmp_path)
    with pytest.raises(Failure) as caught:
        _again(package, tmp_path)
    assert str(caught.value) == (
        f"{package}: The package differs from its own lists, so nothing in it is used.\n"
        "    recipe.yaml: missing; listed in bakehouse.json, provenance.json and SHA256SUMS\n"
        "  what to do: Get the package again."
    )
    assert _sums(tmp_path) == before
