"""Keeps httpx's own command line out of a worker: httpx imports it with click, rich and pygments, a quarter of the start of a hub's worker.

httpx/__init__.py (0.28) has `try: from ._main import main`, and does without it where it cannot be imported.
"""

from __future__ import annotations

import sys


def install() -> None:
    """Called by a package of workers, before huggingface_hub or httpx is imported; nothing in a parent that imports from that package.

    While Python imports the packages around the module of `python -m`, argv begins with "-m" (docs.python.org, sys.argv).
    """
    if sys.argv[:1] == ["-m"]:
        sys.modules["httpx._main"] = None  # type: ignore[assignment]
