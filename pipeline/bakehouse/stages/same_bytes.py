"""Files that a tool wrote on Windows get the bytes that they have elsewhere: one key stands for one content on all systems.

Python and C++ write "\\n" as "\\r\\n" there if a file is open as text, which is how the tools open their JSON, Jinja, text and XML files;
and OpenVINO lists the edges of a model in another order.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from bakehouse.formats import ir_edges

_TEXT = (".json", ".jinja", ".txt", ".md", ".xml")


def restore(folder: Path, sources: Iterable[Path], platform: str = sys.platform) -> tuple[str, ...]:
    """Undo what Windows did to text files below `folder`; their paths in it.

    Only on Windows: elsewhere a carriage return is content. A file that lies in one of the folders `sources` with the same bytes was
    copied, and stays; the line ends of one with a line feed alone in it stay too, since it was not written as text.
    """
    return tuple(_restored(folder, tuple(sources))) if platform == "win32" else ()


def _restored(folder: Path, sources: tuple[Path, ...]) -> Iterator[str]:
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in _TEXT and path.is_file()):
        content, name = path.read_bytes(), path.relative_to(folder)
        made = _as_elsewhere(content, path.suffix.lower())
        if made == content or any(_is(source / name, content) for source in sources):
            continue
        path.write_bytes(made)
        yield name.as_posix()


def _as_elsewhere(content: bytes, suffix: str) -> bytes:
    if _written_as_text(content):
        content = content.replace(b"\r\n", b"\n")
    return ir_edges.as_on_linux(content) if suffix == ".xml" else content


def _written_as_text(content: bytes) -> bool:
    """Whether every line feed has a carriage return before it; what had one of its own has two then, and keeps one."""
    return 0 < content.count(b"\n") == content.count(b"\r\n")


def _is(path: Path, content: bytes) -> bool:
    return path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content
