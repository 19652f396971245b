"""Which tests one system leaves out, each with its reason: what Windows has not, and what only Wine has not."""

from __future__ import annotations

import ctypes
import shutil
import sys
from importlib import metadata

import pytest

IS_WINDOWS = sys.platform == "win32"


def is_wine() -> bool:
    """Whether this is Windows Python under Wine, which names itself in its ntdll."""
    return IS_WINDOWS and hasattr(getattr(ctypes, "WinDLL")("ntdll"), "wine_get_version")  # noqa: B009


def not_on_windows(reason: str) -> pytest.MarkDecorator:
    """Leave a test out on Windows, where what it tests is not."""
    return pytest.mark.skipif(IS_WINDOWS, reason=f"Windows: {reason}")


def not_under_wine(reason: str) -> pytest.MarkDecorator:
    """Leave a test out under Wine, for a limit of Wine that Windows does not have."""
    return pytest.mark.skipif(is_wine(), reason=f"Wine: {reason}")


def _is_installed(name: str) -> bool:
    try:
        return bool(metadata.version(name))
    except metadata.PackageNotFoundError:
        return False


# `make test-windows` has no converters: what is said of a build that this machine cannot make is another there
needs_converters = pytest.mark.skipif(not _is_installed("openvino"), reason="the extra `build` is not installed")
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
