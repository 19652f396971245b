"""README and the pages of the site: their code blocks, and running those for a shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.support.bench import ROOT

SHELL = ("sh", "bash", "shell", "console", "powershell")
_BLOCK = re.compile(r"(?:^<!-- not run: (?P<reason>.+?) -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block: the word after its fence ("" if there is none), its text, and why it is not run ("" if it is)."""

    kind: str
    text: str
    reason: str


def pages() -> list[Path]:
    """README, and every page of the site, relative to the root."""
    return [Path("README.md"), *sorted(path.relative_to(ROOT) for path in (ROOT / "docs").rglob("*.md"))]


def blocks(page: str | Path) -> list[Block]:
    """The fenced blocks of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [Block(found["kind"], found["text"], found["reason"] or "") for found in _BLOCK.finditer(text)]


def runnable(page: str | Path) -> list[str]:
    """The shell blocks of a page that have no reason not to be run."""
    return [one.text for one in blocks(page) if one.kind in SHELL and not one.reason]


def block(page: str | Path, start: str) -> str:
    """The one block of a page that begins like this."""
    (found,) = (one.text for one in blocks(page) if one.text.startswith(start))
    return found


def sh(script: str, folder: Path, environ: Mapping[str, str] | None = None) -> str:
    """What a script prints that must end well; it stops at the first line that fails, as whoever types them would."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIPELINE_")}
    env = {**kept, "PATH": path, **(environ or {})}
    done = subprocess.run(["sh", "-ec", script], cwd=folder, env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def table_of(text: str) -> list[str]:
    """What is in code in the first column of a page's tables."""
    return [name for row in re.findall(r"^\| (`[^|]+`) \|", text, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)]
