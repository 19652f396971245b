"""Where a path lies in the hub's cache: `models--OWNER--NAME/snapshots/COMMIT/...`, with `refs/main` for the commit of main.

Source: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
"""

from __future__ import annotations

import re
from pathlib import Path

from bakehouse.errors import Failure
from bakehouse.recipe.types import is_repository

_COMMIT = re.compile(r"[0-9a-f]{40}")


def snapshot(path: Path) -> Path:
    """The snapshot that is meant by a repository's folder in the cache: main's, or the only one; any other path as it is.

    Raises:
        Failure: it has none, or several of which none is main's.
    """
    folder = path / "snapshots"
    if not (path.name.startswith("models--") and folder.is_dir()):
        return path
    found = sorted(one for one in folder.iterdir() if one.is_dir())
    ref = path / "refs" / "main"
    main = folder / ref.read_text(encoding="utf-8").strip() if ref.is_file() else None
    if main in found:
        return main
    if len(found) == 1:
        return found[0]
    what = f"{path} has {len(found)} snapshots, and none of them is that of main."
    raise Failure(what, details=tuple(map(str, found)), remedy="Give the folder of the snapshot that you mean.")


def origin(path: Path) -> tuple[str, str] | None:
    """Repository and commit of a snapshot's folder, or of a file in one; None for any other path."""
    for folder in (path, *path.parents):
        owner, _, name = folder.parent.parent.name.removeprefix("models--").partition("--")
        known = folder.parent.name == "snapshots" and folder.parent.parent.name.startswith("models--")
        if known and _COMMIT.fullmatch(folder.name) and is_repository(f"{owner}/{name}"):
            return f"{owner}/{name}", folder.name
    return None
