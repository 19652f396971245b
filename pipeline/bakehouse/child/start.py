"""How a worker begins: it ends with its parent, works without a network, and reads what its command line gives it."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bakehouse.child import hermetic, leash


def parser(doc: str | None, *paths: str, documents: Sequence[str] = ("options",)) -> argparse.ArgumentParser:
    """Bind this process to its parent, put it offline, and give the parser of its command line: first `paths`, then `documents` in JSON.

    Call it before any heavy import. A worker may add arguments of its own to the parser.
    """
    leash.hold()
    hermetic.seal()
    made = argparse.ArgumentParser(description=doc)
    for name in paths:
        made.add_argument(name, type=Path)
    for name in documents:
        made.add_argument(name, type=json.loads)
    return made


@contextmanager
def own_modules() -> Iterator[None]:
    """Have transformers copy remote code to a temporary folder while this lasts, else it would be the user's own cache."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HF_MODULES_CACHE"] = folder
        yield
