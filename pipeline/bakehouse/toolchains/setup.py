"""The step that installs a toolchain, and how a child comes to use it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from bakehouse.records import Distribution
from bakehouse.steps.cost import Estimate
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Kind, Step
from bakehouse.store.files import sha256
from bakehouse.toolchains.seams import SetupRequest, SetupResult, ToolchainSpec
from bakehouse.toolchains.table import TOOLCHAINS, Toolchain

MAKER = "toolchain"
ROLE = "toolchain"  # of the step among what another needs

_BYTES = 140_000_000  # 100 to 125 MB measured
# What is the same whatever the toolchain: files as they came, and what Bakehouse itself writes.
_AS_INSTALLED: tuple[Kind, ...] = (
    "survey", "setup", "download", "checkpoint", "calibration", "recording", "picture", "validate", "package",
)  # fmt: skip


def step(toolchain: Toolchain) -> Step:
    """The step whose files are the toolchain's wheels, unpacked."""
    system = f"{sys.platform}" if toolchain.compiled else None
    spec = ToolchainSpec(lock_sha256=sha256(toolchain.lock), system=system)
    return Step(kind="setup", maker=MAKER, label=toolchain.name, spec=spec, tools=dict(toolchain.versions))


def with_toolchain(wanted: Step, toolchain: Toolchain, known: dict[str, Step]) -> Step:
    """The same step, made with the toolchain where it uses something that the toolchain replaces; all it needs likewise.

    `known` maps the key of a step to what it becomes, so that what steps share stays one.
    """
    if wanted.kind in _AS_INSTALLED or not toolchain.versions:
        return wanted
    if wanted.key not in known:
        needs = tuple((role, with_toolchain(needed, toolchain, known)) for role, needed in wanted.needs)
        replaced = {name: version for name, version in toolchain.versions.items() if name in wanted.tools}
        extra = ((ROLE, step(toolchain)),) if replaced else ()
        known[wanted.key] = replace(wanted, needs=(*needs, *extra), tools=wanted.tools | replaced)
    return known[wanted.key]


def missing(toolchain: Toolchain) -> str | None:
    """Why this machine cannot install it and what to do, in a few words; None if it can."""
    if toolchain.versions and find_spec("pip") is None:
        return "pip not installed, which installs the toolchain: run `python -m ensurepip`"
    return None


def command(wanted: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that fills `files` with the wheels."""
    lock = next(one.lock for one in TOOLCHAINS.values() if one.name == wanted.label)
    return worker("toolchains.workers.setup", request=SetupRequest(lock=lock, files=files), needs_network=True)


def verify(wanted: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    """Compare what was installed with the versions of the table."""
    found = {package.name.replace("_", "-"): package.version for package in report.read(SetupResult).packages}
    faults = [f"{name} {version} was not installed" for name, version in wanted.tools.items() if found.get(name) != version]
    return Verification({"packages": dict(found)}, tuple(faults))


def packages(report: Report) -> tuple[Distribution, ...]:
    """The wheels, for the manifest."""
    return report.read(SetupResult).packages


def estimate() -> Estimate:
    """What installing takes."""
    return Estimate(_BYTES, _BYTES)


def within(files: Path, ours: Command) -> Command:
    """The command with the toolchain's wheels before the installed ones, and after Bakehouse itself."""
    return replace(ours, first=files)
