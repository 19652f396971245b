"""Keeps httpx's own command line out of a worker: httpx imports it with click, rich and pygments, a quarter of the start of a hub's worker.

httpx/__init__.py (0.28) has `try: from ._main import main`, and does without it where it cannot be imported.
"""

from __future__ import annotations

import sys


def install() -> None:
    """Before huggingface_hub or httpx is imported; later it changes nothing."""
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
