"""A folder for a moment, of a worker that gives it to a runtime."""

from __future__ import annotations

import tempfile


def folder() -> tempfile.TemporaryDirectory[str]:
    """A new folder in the scratch of the step, removed at the end of the block as far as that is possible.

    Windows removes no file that somebody has open or mapped, and a runtime may until its process ends. The scratch is removed after that.
    """
    return tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
