"""The builds as a CI matrix: only what changed, and what each needs of a machine."""

from __future__ import annotations

import re
import shutil
import tarfile
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from bakehouse.errors import Failure
from bakehouse.executor import process
from bakehouse.executor.process import Children
from bakehouse.executor.session import Session
from bakehouse.executor.version import CODE
from bakehouse.package import release_policy as gate
from bakehouse.plan import plan
from bakehouse.plan.plan import Build
from bakehouse.recipe import loader
from bakehouse.sources import local
from bakehouse.stages import preflight
from bakehouse.steps.maker import Command
from bakehouse.store.store import Store

_LINUX, _WINDOWS = "ubuntu-24.04", "windows-2025"


def rows(
    builds: Iterable[Build], known: Mapping[str, str], *, ask: bool, scratch: Path, warn: Callable[[str], None]
) -> list[dict[str, Any]]:
    """A row for each build whose package key is not the one in `known` (name -> key).

    Args:
        ask: whether the hub may be asked for shapes; else memory and disk (bytes) are None where only it knows them.
        warn: gets which builds' memory and disk are None although the hub was asked, and why.
    """
    session = Session(Store(scratch / "artifacts"))
    changed = [build for build in builds if known.get(build.name) != build.package.key]
    if ask:
        _ask(changed, session, warn)
    return [_row(build, session) for build in changed]


def _ask(builds: Iterable[Build], session: Session, warn: Callable[[str], None]) -> None:
    """Have the hub say what each checkpoint is, once; the matrix is good without it, only its sizes are not known then."""
    sharing: dict[str, list[Build]] = {}
    for build in builds:
        sharing.setdefault(build.checkpoint.key, []).append(build)
    for those in sharing.values():
        why = ""
        try:
            if preflight.survey_of(those[0], session, ask=True) is None:
                why = "its source tells its shapes only after the download"
        except Failure as failure:
            why = str(failure)
        if why:
            warn(f"memory and disk are not known of {', '.join(build.name for build in those)}: {why}")


def _row(build: Build, session: Session) -> dict[str, object]:
    expected = preflight.forecast([build], session, ask=False)
    return {
        "name": build.name,
        "os": _system(build),
        "memory_bytes": expected.memory_bytes,
        "disk_bytes": expected.disk_bytes,
        "cache": f"bakehouse-{_system(build)}-{build.package.key[:32]}",
        "key": build.package.key,
    }


def _system(build: Build) -> str:
    """DirectML is part of Windows and runs there for real; everything else is made and run on Linux."""
    return _WINDOWS if getattr(build.resolved.options, "execution_provider", "") == "dml" else _LINUX


def keys_at(commit: str, repository: Path, recipes: Path, scratch: Path, *, confined: bool) -> dict[str, str]:
    """name -> package key of the recipes as they were at a commit, planned with the code and tools of today.

    {} if the code or the pinned versions changed since, as then every build may be another one.

    Raises:
        Failure: git is not installed, or does not know the commit.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    if _git(repository, scratch, "diff", ("--name-only",), commit, "--", *CODE).read_text().strip():
        return {}
    with tarfile.open(_git(recipes, scratch, "archive", ("--format=tar",), commit, ".")) as tar:
        tar.extractall(scratch / "recipes", filter="data")
    try:
        loaded = loader.load_all(scratch / "recipes")
        planned = plan.make(loaded, partial(local.fingerprint, cache=scratch / "fingerprints.json"), confined=confined)
    except Failure:
        return {}  # recipes that were wrong then, or that lean on files which are not in git
    return {build.name: build.package.key for build in planned.builds}


def _git(folder: Path, scratch: Path, verb: str, options: tuple[str, ...], commit: str, *rest: str) -> Path:
    """Run git; the file with what it printed. A commit is never taken for an option (git 2.24 on)."""
    if shutil.which("git") is None:
        raise Failure("git is not installed, and only git has the recipes of a commit", remedy="install git, or leave out --base")
    output = scratch / "output"
    words = ("git", "-C", str(folder), verb, *options, f"--output={output}", "--end-of-options", commit, *rest)
    command = Command(words, env={"LC_ALL": "C"})  # what it prints is read below
    try:
        process.run(command, children=Children(), log=scratch / "git.txt", scratch=scratch / "scratch", on_progress=lambda _: None)
    except Failure as failure:
        raise _explained(failure, (scratch / "git.txt").read_text(encoding="utf-8", errors="replace"), folder, commit) from failure
    return output


def _explained(failure: Failure, printed: str, folder: Path, commit: str) -> Failure:
    """What git's failure means; its own words only where it means something else than usual."""
    if re.search("not a git repository", printed, re.IGNORECASE):
        remedy = "run the command in a clone, or leave out --base"
        return Failure("This folder is not in a git repository, so it has no earlier commits.", where=str(folder), remedy=remedy)
    if re.search("bad revision|unknown revision|bad object|ambiguous argument|not a valid object name", printed):
        remedy = "name a commit, branch or tag of this repository; a shallow clone has only the last commits (`git fetch --unshallow`)"
        return Failure(f"git knows no commit {commit} here.", where=str(folder), remedy=remedy)
    return Failure(f"git cannot read the recipes of {commit}.", where=str(folder), details=failure.details[:-1])


def left_out(build: Build) -> str:
    """Why CI does not make a build that was not requested; "" if it does."""
    return build.cannot or (f"it would have {gate.PICKLES}, and could not be released" if preflight.kept_by_pickles(build) else "")
