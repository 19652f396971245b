"""The files in the folder of a package: its own, those that a hub's client left next to them, and entries that are not files."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

# What huggingface_hub leaves in a folder that it filled (1.21, _local_folder.py); a download that it did not finish is not part of it.
_CLIENTS = re.compile(
    r"\.gitattributes|\.cache/huggingface/(\.gitignore(\.lock)?|CACHEDIR\.TAG|(download|upload)/.*\.(metadata|lock))", re.DOTALL
)
_GIT = ".git"


@dataclass(frozen=True)
class Listing:
    """What was found in a package's folder; paths relative to it, with forward slashes, sorted.

    Attributes:
        own: its regular files.
        extra: what a hub's client left; `.git/` stands for all that is in it.
        faults: what cannot be in a package (a link, a device) or cannot be read, a sentence each.
    """

    own: tuple[str, ...]
    extra: tuple[str, ...]
    faults: tuple[str, ...]


def look(folder: Path) -> Listing:
    """Find every file below `folder`, and follow no link.

    Three things at the top are extra, because no runtime reads them: the file `.gitattributes`; below `.cache/huggingface/` the kinds of
    files that the hub's client writes, none of which is code; and the folder `.git/`, whose content is not listed. `.git/` can make *git*
    run programs (hooks, a configuration): it belongs to a clone that you made, and not to a package that arrived in another way.
    """
    own: list[str] = []
    extra: list[str] = []
    faults: list[str] = []
    unseen = [""]
    while unseen:  # no recursion: folders can be nested deeper than Python's stack
        below = unseen.pop()
        try:
            with os.scandir(folder / below) as found:
                entries = list(found)
        except OSError as error:
            faults.append(f"{below or '.'}: cannot be read: {error.strerror}")
            continue
        for entry in entries:
            name = f"{below}/{entry.name}" if below else entry.name
            if re.search("[\ud800-\udfff]", entry.name):
                faults.append(f"{name}: its name is not Unicode")
            elif entry.is_dir(follow_symlinks=False):
                extra.append(f"{_GIT}/") if name == _GIT else unseen.append(name)
            elif not entry.is_file(follow_symlinks=False):
                faults.append(f"{name}: neither a regular file nor a folder")
            else:
                (extra if _CLIENTS.fullmatch(name) else own).append(name)
    return Listing(tuple(sorted(own)), tuple(sorted(extra)), tuple(sorted(faults)))
