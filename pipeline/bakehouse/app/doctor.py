"""What this machine can build and run, and why not: a finding a row, with the command that would change it."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bakehouse.app.workspace import artifacts_folder
from bakehouse.backends.base import Devices
from bakehouse.backends.table import BACKENDS
from bakehouse.errors import Failure
from bakehouse.executor import memory, process
from bakehouse.executor.process import Children
from bakehouse.sources.seams import ReachRequest, ReachResult
from bakehouse.steps.maker import Command, worker
from bakehouse.steps.seam import Report
from bakehouse.text import size_text

_LITTLE_DISK, _LITTLE_MEMORY = 10e9, 8e9  # bytes; below these a model of 3 B weights is hardly built (7 GB for one that is compiled)


@dataclass(frozen=True)
class Finding:
    """Whether something works: what was found, and the command that would change it ("" if there is nothing to change)."""

    about: str
    subject: str
    works: bool
    found: str
    remedy: str = ""


def examine(children: Children, environ: Mapping[str, str] = os.environ) -> tuple[Finding, ...]:
    """All findings: what can be built, the devices that each runtime sees, and what the machine has."""
    commands = {runtime: backend.devices() for runtime, backend in BACKENDS.items()}
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor() as pool:
        reached = pool.submit(_hub, Path(scratch) / "hub", children)
        asked = {runtime: pool.submit(_devices, one, Path(scratch) / runtime, children) for runtime, one in commands.items() if one}
        rows = [*_builds(), *(_seen(runtime, asked[runtime].result() if runtime in asked else None) for runtime in commands)]
        return (*rows, _disk(environ), _memory(), reached.result(), _token(environ), _git())


def nothing_can_be_built(findings: tuple[Finding, ...]) -> bool:
    """Whether no backend makes anything here."""
    return not any(one.works for one in findings if one.about == "build")


def _builds() -> Iterator[Finding]:
    for runtime, backend in BACKENDS.items():
        for what, cannot in backend.abilities().items():
            why, _, remedy = (cannot or "").partition(": ")
            yield Finding("build", runtime, cannot is None, what if cannot is None else f"{what}: {why}", _command(remedy))


def _command(remedy: str) -> str:
    """A remedy in a backend's words as a command."""
    extra = re.search(r"its extra `(\w+)`", remedy)
    return f"pip install 'bakehouse[{extra[1]}]'" if extra else remedy.removeprefix("run ").strip("`")


def _devices(command: Command, scratch: Path, children: Children) -> dict[str, str] | Failure:
    found = _reported(command, scratch, children)
    return found if isinstance(found, Failure) else found.read(Devices).devices


def _reported(command: Command, scratch: Path, children: Children) -> Report | Failure:
    """What a worker reports, or why it does not."""
    try:
        done = process.run(command, children=children, log=scratch.with_suffix(".txt"), scratch=scratch, on_progress=lambda _: None)
    except Failure as failure:
        return failure
    return done.report


def _seen(runtime: str, found: dict[str, str] | Failure | None) -> Finding:
    if isinstance(found, dict):
        named = "; ".join(f"{name} ({title})" if title else name for name, title in found.items())
        return Finding("device", runtime, bool(found), named or "its runtime sees no device")
    if found is None:
        return Finding("device", runtime, False, "cannot be known: its runtime is not in this environment")
    return Finding("device", runtime, False, f"its runtime does not start: {found.what}", found.remedy)


def _disk(environ: Mapping[str, str]) -> Finding:
    folder = artifacts_folder(environ)
    there = next(path for path in (folder, *folder.parents) if path.is_dir())  # to look is no reason to make it
    free = shutil.disk_usage(there).free
    remedy = "" if free > _LITTLE_DISK else "bakehouse prune, or set PIPELINE_ARTIFACTS to a larger disk"
    return Finding("machine", "disk", free > _LITTLE_DISK, f"{size_text(free)} free for {folder}", remedy)


def _memory() -> Finding:
    usable, free = memory.usable_bytes(), memory.available_bytes()
    enough = usable > _LITTLE_MEMORY
    remedy = "" if enough else "add memory or swap; `bakehouse plan` shows what a build takes"
    return Finding("machine", "memory", enough, f"{size_text(usable)} with swap, {size_text(free)} free now", remedy)


def reaches_hub(children: Children) -> bool:
    """Whether this machine reaches the hub, and so most likely the internet."""
    with tempfile.TemporaryDirectory() as scratch:
        return _hub(Path(scratch) / "hub", children).works


def _hub(scratch: Path, children: Children) -> Finding:
    found = _reported(worker("sources.workers.hub_reach", request=ReachRequest(), needs_network=True), scratch, children)
    if isinstance(found, Failure):
        remedy = "check the network, HTTPS_PROXY and HF_ENDPOINT; local models need no hub"
        return Finding("machine", "hub", False, found.what.removesuffix("."), remedy)
    return Finding("machine", "hub", True, f"{found.read(ReachResult).endpoint} answers")


def _token(environ: Mapping[str, str]) -> Finding:
    """Whether a token is set, as huggingface_hub looks for it; its value is not looked at."""
    home = Path(environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    named = next((name for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN") if environ.get(name)), "")
    kept = Path(environ.get("HF_TOKEN_PATH") or home / "token")
    if named or kept.is_file():
        return Finding("machine", "token", True, f"{named or 'kept by a login'}: gated models and publishing, if the hub takes it")
    return Finding("machine", "token", False, "none: no gated models, no publishing", "hf auth login")


def _git() -> Finding:
    there = shutil.which("git")
    if there:
        return Finding("machine", "git", True, there)
    return Finding("machine", "git", False, "not installed: only `bakehouse matrix --base` needs it", "install git")


def shown(finding: Finding) -> tuple[str, str, str, str]:
    """The cells of a row."""
    return finding.about, finding.subject, "yes" if finding.works else "no", finding.found
