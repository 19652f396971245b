"""Finds pickles, whatever they are called: files that can run any code while they are loaded."""

from __future__ import annotations

import pickletools
import struct
import zipfile
from pathlib import Path

from bakehouse.store import files

# torch.save, pickle, joblib; the name alone is enough, because loaders use it.
SUFFIXES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill"})
_PROTOCOL = b"\x80"  # the opcode PROTO, which every pickle since protocol 2 starts with
_HIGHEST = 5
_LEGACY_TORCH = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # its magic number as a pickle (torch/serialization.py, MAGIC_NUMBER)
_LOOK_BYTES = 1 << 20


def found(folder: Path) -> tuple[str, ...]:
    """Paths below `folder` of all files that are pickles, or have a name of one."""
    return tuple(path.relative_to(folder).as_posix() for path in files.walk(folder) if is_pickle(path))


def is_pickle(path: Path) -> bool:
    """Whether a file is a pickle: by its name, as one of Python's, or as an archive with one in it, which is what torch.save writes."""
    if path.suffix.lower() in SUFFIXES:
        return True
    with path.open("rb") as opened:
        head = opened.read(_LOOK_BYTES)
    if head[2:].startswith(_LEGACY_TORCH) or _is_program(head):
        return True
    if head.startswith(b"PK") and zipfile.is_zipfile(path):
        return _zip_has_pickle(path)
    return head[257:262] == b"ustar" and _has_pickle(path)


def _is_program(head: bytes) -> bool:
    """Whether bytes are a pickle's program. Weights may start with the same two bytes, so it is read up to its end."""
    if not head.startswith(_PROTOCOL) or len(head) < 2 or not 2 <= head[1] <= _HIGHEST:
        return False
    try:
        for _ in pickletools.genops(head):
            pass
    except ValueError as error:
        # A program longer than what was read ends in the middle, after many good opcodes.
        return len(head) == _LOOK_BYTES and ("not enough data" in str(error) or "pickle exhausted" in str(error))
    except Exception:
        return False
    return True


def _zip_has_pickle(path: Path) -> bool:
    """Whether a zip archive has one; a damaged one is taken for one that has, since readers differ in what they still read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith((".pkl", ".pickle")) for name in archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error):
        return True


def _has_pickle(path: Path) -> bool:
    """The same of a tar archive."""
    import tarfile  # here, since a command that reads no such file need not wait for bz2 and lzma

    try:
        with tarfile.open(path) as archive:
            return any(name.endswith((".pkl", ".pickle")) for name in archive.getnames())
    except (tarfile.TarError, EOFError, ValueError, struct.error):
        return True
