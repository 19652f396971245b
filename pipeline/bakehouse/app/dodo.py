"""doit's tasks, one group a verb, for a checkout's dodo.py and for `bakehouse build` in any folder. What they do is in tasks.py."""

from __future__ import annotations

from collections.abc import Iterator

from doit.exceptions import InvalidDodoFile

from bakehouse.app import tasks
from bakehouse.errors import Failure

try:
    harness = tasks.open_harness()
except Failure as failure:
    raise InvalidDodoFile(str(failure)) from None

DOIT_CONFIG = {
    "default_tasks": ["overview"],
    "reporter": harness.reporter,
    # Truth is in the store. A database in memory cannot be out of date, locked by another doit, or half-written.
    "backend": "sqlite3",
    "dep_file": ":memory:",
    # Workers are child processes of our own; doit's own process mode waits for ever for a killed one (pydoit/doit#461).
    "par_type": "thread",
    "verbosity": 2,
}


def task_overview() -> tasks.Task:
    """what can be built, and what to type next"""
    return harness.overview()


def task_setup() -> Iterator[tasks.Task]:
    return harness.group("setup")


def task_download() -> Iterator[tasks.Task]:
    """fetch the source models, pinned"""
    return harness.group("download")


def task_export() -> Iterator[tasks.Task]:
    return harness.group("export")


def task_convert() -> Iterator[tasks.Task]:
    return harness.group("convert")


def task_validate() -> Iterator[tasks.Task]:
    return harness.group("validate")


def task_package() -> Iterator[tasks.Task]:
    return harness.group("package")


def task_build() -> Iterator[tasks.Task]:
    return harness.group("build")


def task_sign() -> Iterator[tasks.Task]:
    return harness.signatures()


def task_publish() -> Iterator[tasks.Task]:
    return harness.publications()
