"""What leaves the machine, by the real doit on a tiny model: the commands of CI, a rebuild, a shared store, and no network at all."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support import lanes
from tests.support.bench import ROOT, Bench, ran, recipe
from tests.support.keys import key_pair

# What the jobs of .github/workflows run once all is installed, to the letter and in this order: tests/test_workflows.py holds them to it.
RUN = {
    ("test", "windows"): ("python -m doit lint",),
    ("release", "plan"): ('python -m doit matrix --ask --as matrix >> "$GITHUB_OUTPUT"',),
    ("release", "build"): (
        'python -m doit "build:$NAME"',
        'python -m doit "sign:$NAME"',
        'python -m doit check --package "artifacts/signed/$NAME" "$SIGNED_BY"',
    ),
    ("release", "release"): ('python -m doit release --from packages --output release ${SINCE:+--since "$SINCE"}',),
}
INT8 = {"int8": {"runtime": "openvino", "quantization": {"weights": "int8"}}}

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def workplace(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """What a CI job has after its checkout: a folder with the project and its recipes, where the artifacts will be."""
    bench = Bench(tmp_path_factory.mktemp("workplace"))
    for name in ("dodo.py", "pyproject.toml", "pipeline"):
        (bench.folder / name).symlink_to(ROOT / name)
    bench.write(recipe(builds=INT8))
    bench.add_model(tiny_checkpoint)
    return bench


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return key_pair(tmp_path_factory.mktemp("key"), "mine")


def _sh(command: str, bench: Bench, env: Mapping[str, str]) -> str:
    """Run a command of a workflow where CI would, with the same shell."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIPELINE_")}
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", command],
        cwd=bench.folder,
        env={**kept, "PATH": path, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(workplace: Bench, key: tuple[Path, Path]) -> Bench:
    """All jobs up to the release, run; sigstore needs the network and CI's identity, so a key signs in its place."""
    env = {"NAME": "tiny-int8", "GITHUB_OUTPUT": str(workplace.folder / "output")}
    env |= {"PIPELINE_SIGN": f"key:{key[0]}", "SIGNED_BY": f"--key={key[1]}"}
    *before, _ = RUN.values()  # the last is the release, which comes of what was signed
    said = [_sh(command, workplace, env) for commands in before for command in commands]
    assert f"signed   by {key[1]}\n" in said[-1] and said[-1].endswith("nothing wrong\n")
    return workplace


def test_the_commands_of_ci_plan_build_sign_and_release(built: Bench, key: tuple[Path, Path]) -> None:
    name, _, text = (built.folder / "output").read_text().partition("=")
    (row,) = json.loads(text)["include"]
    assert (name, row["name"], row["os"]) == ("matrix", "tiny-int8", "ubuntu-24.04")
    assert row["cache"].startswith("bakehouse-ubuntu-24.04-") and row["disk_bytes"] > 0 and row["memory_bytes"] > 0
    packages = built.folder / "packages"
    shutil.copytree(built.artifacts / "signed" / "tiny-int8", packages / "tiny-int8")
    *_, (command,) = RUN.values()
    _sh(command, built, {"SINCE": ""})  # the first release
    assert "Since the last release" not in (built.folder / "release" / "NOTES.md").read_text()
    shutil.copyfile(built.folder / "release" / "release.json", built.folder / "last.json")
    _sh(command, built, {"SINCE": "last.json"})
    assert "- tiny-int8: unchanged" in (built.folder / "release" / "NOTES.md").read_text()
    names = {path.name for path in (built.folder / "release").iterdir()}
    assert names >= {"NOTES.md", "SHA256SUMS", "release.json", "tiny-int8.tar", "tiny-int8.model.sig", "tiny-int8.provenance.json"}
    subprocess.run(["tar", "xf", built.folder / "release" / "tiny-int8.tar", "-C", built.folder], check=True)
    said = built.build("check", "--package", str(built.folder / "tiny-int8"), "--key", str(key[1]))
    assert "signed   by " in said and said.endswith("nothing wrong\n")
    assert json.loads(built.build("matrix", "--against", str(built.folder / "release" / "release.json"))) == {"include": []}
    (packages / "tiny-int8" / "openvino_model.bin").chmod(0o644)
    (packages / "tiny-int8" / "openvino_model.bin").write_bytes(b"x")
    refused = subprocess.run(
        [sys.executable, "-m", "doit", "release", "--from", "packages"], cwd=built.folder, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert "Not every package is whole" in refused.stderr and "tiny-int8: openvino_model.bin: content changed" in refused.stderr


def test_a_second_signature_of_the_same_package_is_not_made(built: Bench, key: tuple[Path, Path]) -> None:
    signed = built.with_env(PIPELINE_SIGN=f"key:{key[0]}")
    assert ran(signed.build("sign:tiny-int8")) == []


def test_a_rebuild_from_the_package_alone_gives_the_same_bytes(built: Bench) -> None:
    package = built.artifacts / "packages" / "tiny-int8"
    done = built.doit("rebuild", str(package))
    assert done.returncode == 0, done.stdout + done.stderr
    same = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("same ")}
    exempt = {line.split()[1].rstrip(":") for line in done.stdout.splitlines() if line.startswith("exempt ")}
    assert same | exempt == {path.name for path in package.iterdir()}
    assert exempt == {"README.md", "SHA256SUMS", "bom.json", "bakehouse.json", "provenance.json"}
    assert not list(built.artifacts.glob(".rebuild/*"))


@pytest.mark.conformance
def test_a_rebuild_of_an_onnx_build_gives_the_same_bytes(built: Bench, tmp_path: Path) -> None:
    bench = built.copy(tmp_path / "onnx")
    bench.write(recipe(builds=lanes.ONNX.builds))
    bench.build("build")
    done = bench.doit("rebuild", lanes.ONNX.name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^same +\S*model\.onnx\.data$", done.stdout, re.MULTILINE)
    assert "all that can be the same is the same" in done.stdout


def test_a_matrix_against_a_commit_has_what_changed_since(built: Bench, tmp_path: Path) -> None:
    repository = built.copy(tmp_path / "repository")
    git = ["git", "-C", str(repository.folder), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "--quiet"], ["add", "recipes", "dodo.py"], ["commit", "--quiet", "-m", "first"]):
        subprocess.run([*git, *words], check=True)

    def matrix(*args: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "doit", "matrix", *args]
        return subprocess.run(argv, cwd=repository.folder, capture_output=True, text=True, check=False)

    def names(*args: str) -> list[str]:
        rows: list[dict[str, Any]] = json.loads(matrix(*args).stdout)["include"]
        return [row["name"] for row in rows]

    assert names("--base", "HEAD") == []
    repository.write(recipe(builds={**INT8, "fp16": {"runtime": "openvino", "quantization": {"weights": "fp16"}}}))
    assert names("--base", "HEAD") == ["tiny-fp16"]
    assert names() == ["tiny-int8", "tiny-fp16"]
    unknown = matrix("--base", "nonsense")
    assert unknown.returncode == 1
    assert "git knows no commit nonsense here" in unknown.stderr


def test_another_machine_gets_the_package_from_the_shared_store_and_makes_nothing(built: Bench, tmp_path: Path) -> None:
    giver = Bench(built.folder, {"PIPELINE_REMOTE": f"file://{tmp_path}/shared"})
    giver.build("clean", "package:tiny-int8")
    assert ran(giver.build("build:tiny-int8"))[0] == "package:tiny-int8"
    assert len(list((tmp_path / "shared" / "steps").rglob("*.json"))) == 1
    taker = Bench(tmp_path / "taker", giver.env)
    taker.write(recipe(builds=INT8))
    taker.add_model(built.recipes / "model")
    output = taker.build("build:tiny-int8")
    assert "shared   package of tiny-int8, " in output
    assert ran(output) == ["build:tiny-int8"]
    assert taker.build("check", "--package", str(taker.artifacts / "packages" / "tiny-int8")).endswith("nothing wrong\n")


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
def test_after_the_download_everything_else_runs_with_no_network_at_all(built: Bench, tmp_path: Path) -> None:
    online = Bench(tmp_path)
    online.write(recipe(builds=INT8))
    online.add_model(built.recipes / "model")
    online.build("download")
    offline = Bench(tmp_path, prefix=("unshare", "--net", "--map-root-user"))
    cut = subprocess.run(
        [*offline.prefix, sys.executable, "-c", "import socket; socket.create_connection(('127.0.0.1', 9))"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Network is unreachable" in cut.stderr
    assert ran(offline.build("build"))[-1] == "build:tiny-int8"
    assert offline.build("check").endswith("none damaged\n")
    assert "tiny-int8.tar" in offline.build("release")
