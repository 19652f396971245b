"""Gives a package something once and tells what came of it: of models that do not write text, with `bakehouse run`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bakehouse.backends.base import Device
from bakehouse.backends.table import BACKENDS
from bakehouse.executor import process
from bakehouse.executor.listen import Progress
from bakehouse.executor.process import Children
from bakehouse.inference.found import Found
from bakehouse.steps.seam import Request
from bakehouse.tasks.table import DIRECT


def give(
    found: Found,
    words: Sequence[str],
    device: Device | None,
    on_progress: Callable[[Progress], None],
    change: Callable[[Request], Request] = lambda request: request,
) -> tuple[str, ...]:
    """The lines to print of what the model makes of the words of a command line, as its users have it.

    Args:
        found: the package.
        words: those of the command line.
        device: where it runs; None for the build's own.
        on_progress: called with what the worker tells.
        change: makes of the task's request what options of the command line ask for besides.

    Raises:
        Failure: it takes no such words, or does not run here. NotInstalled: the runtime is missing.
    """
    build = found.manifest.build
    task, backend = DIRECT[build.task], BACKENDS[build.options.runtime]
    with tempfile.TemporaryDirectory(prefix="bakehouse-", ignore_cleanup_errors=True) as place:
        files = Path(place) / "files"
        files.mkdir()
        request = task.request_of(words, found.folder, files).model_copy(update={"device": device})
        command = backend.generate(build.options, {}, change(request))
        children, log = Children(), Path(place) / "run.log"
        try:
            process.run(command, children=children, log=log, scratch=Path(place) / "work", on_progress=on_progress)
        finally:
            children.stop()
        return task.lines_of(words, files)
