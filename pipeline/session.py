"""One run of the pipeline: its store, its children, and whom to tell how far each step is."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import psutil

from pipeline.manifest import Builder
from pipeline.process import Children, Progress
from pipeline.step import Step
from pipeline.store import Store
from pipeline.workers.answers import processor

Tell = Callable[[Step, Progress], None]


def _nobody(step: Step, progress: Progress) -> None:
    """Progress that no one watches."""


@dataclass(frozen=True)
class Session:
    """What a stage needs beside the step: where things lie, the children that run, and who watches."""

    store: Store
    children: Children = field(default_factory=Children)
    tell: Tell = _nobody


def machine() -> dict[str, str]:
    """The class of this machine (never its name), for manifests: what a measured number was measured on."""
    memory = psutil.virtual_memory().total / 2**30
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.0f} GiB",
        "python": platform.python_version(),
    }


def builder(environ: Mapping[str, str] = os.environ) -> Builder:
    """What runs this build: in GitHub Actions the workflow at its commit and the run, elsewhere someone's own machine, unnamed."""
    server, workflow = environ.get("GITHUB_SERVER_URL"), environ.get("GITHUB_WORKFLOW_REF")
    if not (environ.get("GITHUB_ACTIONS") and server and workflow):
        return Builder()
    run = f"{environ.get('GITHUB_REPOSITORY')}/actions/runs/{environ.get('GITHUB_RUN_ID')}/attempts/{environ.get('GITHUB_RUN_ATTEMPT')}"
    return Builder(id=f"{server}/{workflow}", invocation=f"{server}/{run}")
