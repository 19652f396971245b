"""Which Bakehouse this is: its version and, where it runs from a clean checkout, its commit."""

from __future__ import annotations

import shutil
import tempfile
from importlib import metadata
from pathlib import Path

from bakehouse.errors import Failure
from bakehouse.executor import process
from bakehouse.executor.process import Children
from bakehouse.steps.maker import Command

CHECKOUT = Path(__file__).resolve().parents[3]
# What of a checkout may change what is made.
CODE = ("pipeline", "constraints.txt", "pyproject.toml")
_OID = "# branch.oid "


def installed() -> str:
    """The version of the installed distribution; "" if it runs without being installed."""
    try:
        return metadata.version("bakehouse")
    except metadata.PackageNotFoundError:
        return ""


def commit(checkout: Path = CHECKOUT) -> str:
    """The commit that `checkout` is at, 40 digits; "" if it is the top of no git repository, or `CODE` is not as it was committed."""
    git = shutil.which("git")
    if git is None or not (checkout / ".git").exists():
        return ""
    words = ("--no-optional-locks", "-C", str(checkout), "status", "--porcelain=v2", "--branch", "--untracked-files=all", "--", *CODE)
    with tempfile.TemporaryDirectory() as folder:
        log, scratch = Path(folder) / "git.txt", Path(folder) / "scratch"
        try:
            process.run(Command((git, *words)), children=Children(), log=log, scratch=scratch, on_progress=lambda _: None)
        except Failure:  # it is not git's, or git will not read it: then nothing is claimed
            return ""
        lines = log.read_text(encoding="utf-8").splitlines()[1:]  # the first line is the command
    changed = [line for line in lines if not line.startswith("# ")]
    oid = next((line.removeprefix(_OID) for line in lines if line.startswith(_OID)), "")
    return "" if changed or oid == "(initial)" else oid
