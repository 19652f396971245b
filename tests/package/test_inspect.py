"""A package that came from elsewhere: whatever was changed in it is caught and named, with no store and no recipes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.errors import Failure
from bakehouse.package.inspect import inspect
from bakehouse.stages.package import describe, recipe_text
from bakehouse.store import files
from tests.package.test_card import manifest
from tests.support.bench import ROOT
from tests.support.packed import pack
from tests.support.systems import IS_WINDOWS

pytestmark = pytest.mark.needs_backend("openvino")

ALL = "bakehouse.json, provenance.json and SHA256SUMS"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack(tmp_path_factory.mktemp("packed") / "package")


@pytest.fixture
def package(packed: Path, tmp_path: Path) -> Path:
    return shutil.copytree(packed, tmp_path / "package")


def _verify(*args: str) -> subprocess.CompletedProcess[str]:
    """`bakehouse check`, where there are no recipes and no store."""
    env = {**os.environ, "PIPELINE_RECIPES": "/nowhere", "PIPELINE_ARTIFACTS": "/nowhere"}
    argv = [sys.executable, "-m", "doit", "check", *args]
    return subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def _sha(path: Path) -> str:
    return files.sha256(path)[:12]


def test_a_package_as_it_was_made_has_nothing_wrong_on_a_machine_without_recipes_or_store(package: Path) -> None:
    done = _verify("--package", str(package))
    assert (done.returncode, done.stderr) == (0, "")
    size = sum(path.stat().st_size for path in files.walk(package))
    assert done.stdout == f"phi3-int4-openvino: 9 files, {size / 1e3:.0f} kB hashed: nothing wrong\n"


def test_one_changed_byte_is_named_with_both_hashes_and_the_lists_that_know_better(package: Path) -> None:
    right = _sha(package / "openvino_model.bin")
    (package / "openvino_model.bin").write_bytes(b"weightz")
    wrong = _sha(package / "openvino_model.bin")
    done = _verify("--package", str(package))
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == (
        f"damaged  openvino_model.bin: content changed (sha256 {wrong}…, should be {right}… according to {ALL})"
    )
    assert done.stdout.splitlines()[-1].endswith(" hashed: 1 wrong")


def _flip(path: Path) -> None:
    body = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(body[:-5] + bytes([body[-5] ^ 1]) + body[-4:])


@pytest.mark.parametrize("name", [path.relative_to("/x").as_posix() for path in map(Path, [
    "/x/LICENSE", "/x/README.md", "/x/SHA256SUMS", "/x/below/config.json", "/x/bom.json", "/x/bakehouse.json", "/x/openvino_model.bin",
    "/x/provenance.json", "/x/recipe.yaml",
])])  # fmt: skip
def test_no_file_can_be_changed_in_one_byte_without_notice(package: Path, name: str) -> None:
    if name == "below/config.json":
        (package / name).write_text("[]\n")
    else:
        _flip(package / name)
    assert any(name in fault for fault in inspect(package).faults)


@pytest.mark.parametrize(
    "name", ["LICENSE", "README.md", "SHA256SUMS", "below/config.json", "bom.json", "openvino_model.bin", "provenance.json", "recipe.yaml"]
)
def test_no_file_can_be_missing_without_notice(package: Path, name: str) -> None:
    (package / name).unlink()
    assert any(fault.startswith(f"{name}: missing") for fault in inspect(package).faults)


CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (
        lambda folder: (folder / "LICENSE").unlink(),
        f"LICENSE: missing; listed in {ALL}",
    ),
    "added": (
        lambda folder: (folder / "below" / "modeling_phi3.py").write_text("import os\n"),
        "below/modeling_phi3.py: does not belong here; it is in none of the package's lists",
    ),
    **(
        {}
        if IS_WINDOWS  # a link takes a privilege there
        else {
            "link": (
                lambda folder: (folder / "more.bin").symlink_to("/etc/passwd"),
                "more.bin: neither a regular file nor a folder",
            )
        }
    ),
    "no checksums": (lambda folder: (folder / "SHA256SUMS").unlink(), "SHA256SUMS: missing"),
    "no provenance": (
        lambda folder: (folder / "provenance.json").write_text("[]"),
        "provenance.json: cannot be read: the file: Input should be an object",
    ),
    "no recipe": (lambda folder: (folder / "recipe.yaml").unlink(), f"recipe.yaml: missing; listed in {ALL}"),
    "broken recipe": (
        lambda folder: (folder / "recipe.yaml").write_text("name: [\n"),
        "recipe.yaml: line 2: A value is missing here.",
    ),
    "deep recipe": (
        lambda folder: (folder / "recipe.yaml").write_text("[" * 50),
        "recipe.yaml: line 1: This is nested more than 24 levels deep.",
    ),
    "odd checksums": (
        lambda folder: (folder / "SHA256SUMS").write_text("oh\n"),
        "SHA256SUMS: Line 1 is not a sha256, two spaces and a path.",
    ),
    "other recipe": (
        lambda folder: (folder / "recipe.yaml").write_text((folder / "recipe.yaml").read_text().replace("size: 128", "size: 64")),
        "recipe.yaml: it differs from the recipe in bakehouse.json",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_was_done_to_a_package_is_reported_in_a_sentence(package: Path, case: str) -> None:
    harm, said = CASES[case]
    harm(package)
    assert said in inspect(package).faults


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda one: one["predicate"]["buildDefinition"]["externalParameters"]["recipe"]["source"].update(repo="evil/Phi-3"),
            "its recipe differs from",
        ),
        (lambda one: one["predicate"]["buildDefinition"]["internalParameters"].update(key="00" * 32), "its key differs from"),
        (
            lambda one: one["predicate"]["buildDefinition"]["resolvedDependencies"][0]["digest"].update(sha256="00" * 32),
            "its source files differ from",
        ),
    ],
)
def test_provenance_that_is_not_the_manifests_is_noticed_even_if_the_checksums_were_made_anew(
    package: Path, change: Callable[[dict[str, object]], None], said: str
) -> None:
    statement = json.loads((package / "provenance.json").read_text())
    change(statement)
    (package / "provenance.json").write_text(json.dumps(statement))
    sums = (package / "SHA256SUMS").read_text().splitlines()
    sums = [
        f"{files.sha256(package / 'provenance.json')}  provenance.json" if line.endswith("  provenance.json") else line for line in sums
    ]
    (package / "SHA256SUMS").write_text("\n".join(sums) + "\n")
    assert inspect(package).faults == (f"provenance.json: {said} bakehouse.json",)


def _restated(package: Path, name: str, text: str) -> None:
    """Put another text in the place of a file, and its hash into the checksums."""
    old = files.sha256(package / name)
    (package / name).write_text(text)
    sums = package / "SHA256SUMS"
    sums.write_text(sums.read_text().replace(old, files.sha256(package / name)))


DEEP = "[" * 100_000 + "]" * 100_000
DEFINITION = ("predicate", "buildDefinition")
CRAFTED: dict[str, tuple[Callable[[dict[str, Any]], str], str]] = {
    "deep": (lambda one: DEEP, "the file: Invalid JSON: recursion limit exceeded"),
    "cut": (lambda one: json.dumps(one)[:-5], "the file: Invalid JSON: EOF while parsing"),
    "not text": (lambda one: '"\\ud800"', "the file: Invalid JSON: "),
    "another kind": (lambda one: _with(one, "https://example.org", "predicateType"), "predicateType: Input should be 'https://slsa.dev"),
    "subject": (lambda one: _with(one, {"a": 1}, "subject"), "subject: Input should be a valid array"),
    "subjects": (lambda one: _with(one, ["a"], "subject"), "subject.0: Input should be an object"),
    "digest": (lambda one: _with(one, 5, "subject", 0, "digest"), "subject.0.digest: Input should be an object"),
    "sha256": (lambda one: _with(one, ["x"], "subject", 0, "digest", "sha256"), "subject.0.digest.sha256: Input should be a valid string"),
    "predicate": (lambda one: _with(one, [], "predicate"), "predicate: Input should be an object"),
    "definition": (lambda one: _with(one, "x", *DEFINITION), "predicate.buildDefinition: Input should be an object"),
    "asked": (lambda one: _with(one, ["recipe"], *DEFINITION, "externalParameters"), "externalParameters: Input should be an object"),
    "recipe": (lambda one: _with(one, 1, *DEFINITION, "externalParameters", "recipe"), "Parameters.recipe: Input should be an object"),
    "internal": (lambda one: _with(one, None, *DEFINITION, "internalParameters"), "internalParameters: Input should be an object"),
    "key": (lambda one: _with(one, {}, *DEFINITION, "internalParameters", "key"), "internalParameters.key: Input should be a valid string"),
    "made of": (lambda one: _with(one, 7, *DEFINITION, "resolvedDependencies"), "resolvedDependencies: Input should be a valid array"),
    "parts": (lambda one: _with(one, [[]], *DEFINITION, "resolvedDependencies"), "resolvedDependencies.0: Input should be an object"),
}  # fmt: skip


def _with(document: dict[str, Any], value: object, *path: str | int) -> str:
    """The document with another value at a place, as text."""
    *above, last = path
    reduce(lambda part, name: part[name], above, document)[last] = value
    return json.dumps(document)


@pytest.mark.parametrize("case", CRAFTED)
def test_a_provenance_of_wrong_types_is_a_fault_that_says_where(package: Path, case: str) -> None:
    crafted, said = CRAFTED[case]
    _restated(package, "provenance.json", crafted(json.loads((package / "provenance.json").read_text())))
    (fault,) = inspect(package).faults
    assert fault.startswith("provenance.json: cannot be read: ") and said in fault


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("build", "recipe"), "../../evil", "build.recipe: `../../evil` cannot be a name."),
        (("build", "build"), "/etc", "build.build: `/etc` cannot be a name."),
        (("build", "name"), "a/b", "build.name: `a/b` cannot be a name."),
        (("build", "name"), "other-int4", "build.name: A full name is recipe and build with `-` between them."),
        (("name",), "..", "name: `..` cannot be a name."),
        (("measured",), [], "measured: Input should be an object"),
        (("files",), {"a": "b"}, "files: Input should be a valid array"),
    ],
)
def test_a_manifest_with_a_name_that_is_none_or_of_wrong_types_is_a_fault(
    package: Path, place: tuple[str, ...], value: object, said: str
) -> None:
    (package / "bakehouse.json").write_text(_with(json.loads((package / "bakehouse.json").read_text()), value, *place))
    assert f"bakehouse.json: cannot be read: {said}" in inspect(package).faults


def test_a_deeply_nested_manifest_is_a_fault(package: Path) -> None:
    (package / "bakehouse.json").write_text(f'{{"members": {DEEP}}}')
    assert any("bakehouse.json: cannot be read: the file: Invalid JSON: recursion limit" in fault for fault in inspect(package).faults)


def test_a_package_that_calls_itself_otherwise_than_its_build_is_noticed(package: Path) -> None:
    (package / "bakehouse.json").write_text(_with(json.loads((package / "bakehouse.json").read_text()), "phi3-int8", "name"))
    assert "bakehouse.json: its name differs from its build's" in inspect(package).faults


@pytest.mark.skipif(sys.platform != "linux", reason="a path that is too long makes a file that not even root can read")
def test_a_file_that_cannot_be_read_is_a_fault(package: Path) -> None:
    where, name = os.open(package, os.O_RDONLY), "d" * 200
    below = package
    while len(str(below)) < 3_800:
        os.mkdir(name, dir_fd=where)
        where, above, below = os.open(name, os.O_RDONLY, dir_fd=where), where, below / name
        os.close(above)
    last = "d" * (4_010 - len(str(below)))
    os.mkdir(last, dir_fd=where)
    where, above = os.open(last, os.O_RDONLY, dir_fd=where), where
    os.close(above)
    os.close(os.open("x" * 200, os.O_CREAT | os.O_WRONLY, dir_fd=where))
    os.close(where)
    (fault,) = inspect(package).faults
    assert fault.endswith(f"/{'x' * 200}: cannot be read: File name too long")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes among files there")
@pytest.mark.parametrize("name", ["SHA256SUMS", "provenance.json", "recipe.yaml"])
def test_a_list_that_is_a_pipe_or_a_folder_is_not_waited_for(package: Path, name: str) -> None:
    (package / name).unlink()
    os.mkfifo(package / name)
    assert f"{name}: neither a regular file nor a folder" in inspect(package).faults
    (package / name).unlink()
    (package / name).mkdir()
    assert any(fault.startswith(f"{name}: missing") for fault in inspect(package).faults)


@pytest.mark.skipif(sys.platform == "win32", reason="no file can be called so there")
def test_a_file_name_cannot_write_on_the_terminal(package: Path) -> None:
    (package / "a\x1b[2Jb\nsigned   by you").write_text("x")
    done = _verify("--package", str(package))
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == snapshot(
        "damaged  a\\x1b[2Jb\\nsigned   by you: does not belong here; it is in none of the package's lists"
    )


def test_what_a_hubs_client_leaves_is_reported_and_left_aside(package: Path) -> None:
    (package / ".gitattributes").write_text("*.bin filter=lfs\n")
    (package / ".cache" / "huggingface" / "download").mkdir(parents=True)
    (package / ".cache" / "huggingface" / "download" / "x.metadata").write_text("x")
    found = inspect(package)
    assert (found.faults, found.extra) == ((), (".cache/huggingface/download/x.metadata", ".gitattributes"))
    (package / ".gitattributes_evil.py").write_text("import os\n")
    assert inspect(package).faults == snapshot((".gitattributes_evil.py: does not belong here; it is in none of the package's lists",))


def test_a_folder_that_is_not_a_package_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        inspect(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: The folder has no bakehouse.json, so it is not a package.\n  what to do: Name the folder that holds bakehouse.json."
    )


def test_a_package_of_another_model_is_complete_too(tmp_path: Path) -> None:
    assert inspect(pack(tmp_path / "other", manifest("smollm2", "int8-openvino"))).faults == ()


@pytest.mark.needs_backend("onnxruntime_genai")
def test_a_repository_of_several_builds_is_compared_with_the_recipe_of_them_all(tmp_path: Path) -> None:
    members = tuple(manifest("phi3", name, files=()) for name in ("int4-ort-cpu", "int4-ort-directml"))
    build = members[0].build.model_copy(update={"name": "phi3-onnx", "build": "onnx"})
    record = members[0].model_copy(update={"name": "phi3-onnx", "build": build, "members": members})
    folder = tmp_path / "repository"
    (folder / "cpu_and_mobile").mkdir(parents=True)
    (folder / "cpu_and_mobile" / "model.onnx").write_bytes(b"graph")
    files.write(folder / "recipe.yaml", recipe_text(*(member.build for member in members), bundle="onnx"))
    describe(folder, record)
    assert inspect(folder).faults == ()
    files.write(folder / "recipe.yaml", recipe_text(members[0].build))
    assert "recipe.yaml: it differs from the recipe in bakehouse.json" in inspect(folder).faults
