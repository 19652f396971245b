"""The builds as a CI matrix: only what changed, and what each needs of a machine."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pipeline import loader, plan, preflight, process
from pipeline.errors import Failure
from pipeline.maker import Command
from pipeline.plan import Build
from pipeline.process import Children
from pipeline.session import Session
from pipeline.sources import local
from pipeline.store import Store

_LINUX, _WINDOWS = "ubuntu-24.04", "windows-2025"
# What a change of which may change bytes without a change in any recipe.
_CODE = ("pipeline", "constraints.txt", "pyproject.toml")


def rows(builds: Iterable[Build], known: Mapping[str, str], *, ask: bool, scratch: Path) -> list[dict[str, Any]]:
    """A row for each build whose package key is not the one in `known` (name -> key).

    Args:
        ask: whether the hub may be asked for shapes; else memory and disk are None where only it knows them.
    """
    session = Session(Store(scratch / "artifacts"))
    return [_row(build, session, ask=ask) for build in builds if known.get(build.name) != build.package.key]


def _row(build: Build, session: Session, *, ask: bool) -> dict[str, Any]:
    try:
        expected = preflight.forecast([build], session, ask=ask)
    except Failure:  # the hub is out of reach: the matrix is still good, only its sizes are not known
        expected = preflight.Forecast(None, None, None)
    return {
        "name": build.name,
        "os": _system(build),
        "memory_bytes": expected.memory_bytes,
        "disk_bytes": expected.disk_bytes,
        "cache": f"bakehouse-{_system(build)}-{build.package.key[:32]}",
        "restore": f"bakehouse-{_system(build)}-",
        "key": build.package.key,
    }


def _system(build: Build) -> str:
    """DirectML is part of Windows and runs there for real; everything else is made and run on Linux."""
    return _WINDOWS if getattr(build.asked.options, "execution_provider", "") == "dml" else _LINUX


def keys_at(commit: str, repository: Path, recipes: Path, scratch: Path) -> dict[str, str]:
    """name -> package key of the recipes as they were at a commit, planned with the code and tools of today.

    {} if the code or the pinned versions changed since, as then every build may be another one.

    Raises:
        Failure: git does not know the commit.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    if (
        _git(repository, scratch, commit, "diff", "--name-only", f"--output={scratch / 'changed'}", commit, "--", *_CODE)
        .read_text()
        .strip()
    ):
        return {}
    _git(recipes, scratch, commit, "archive", "--format=tar", f"--output={scratch / 'changed'}", commit, ".")
    with tarfile.open(scratch / "changed") as tar:
        tar.extractall(scratch / "recipes", filter="data")
    try:
        loaded = loader.load_all(scratch / "recipes")
        planned = plan.make(loaded, partial(local.fingerprint, cache=scratch / "fingerprints.json"))
    except Failure:
        return {}  # recipes that were wrong then, or that lean on files which are not in git
    return {build.name: build.package.key for build in planned.builds}


def _git(folder: Path, scratch: Path, commit: str, *words: str) -> Path:
    """Run git; what it wrote to the file that it was told to."""
    command = Command(("git", "-C", str(folder), *words))
    try:
        process.run(command, children=Children(), log=scratch / "git.txt", scratch=scratch / "scratch", on_progress=lambda _: None)
    except Failure as failure:
        remedy = "name a commit that git knows here; a shallow clone knows only the last"
        raise Failure(f"git cannot tell what there was at {commit}", remedy=remedy, details=failure.details[1:-1]) from failure
    return scratch / "changed"
