"""`bakehouse support`: which models each runtime can be given, and with which toolchain."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import get_args

from bakehouse.app import documents, screen
from bakehouse.app.documents import Supported, SupportedModels
from bakehouse.app.init import kinds
from bakehouse.backends.base import Backend
from bakehouse.backends.table import BACKENDS
from bakehouse.errors import Failure
from bakehouse.formats import config_json
from bakehouse.formats.config_json import Config
from bakehouse.recipe.kinds import DEFAULT_TASK, TaskName
from bakehouse.toolchains.table import INSTALLED, Name, most_runtimes

_NOT = "-"


def parser() -> argparse.ArgumentParser:
    """The arguments of `support`."""
    made = argparse.ArgumentParser(
        prog="bakehouse support",
        description="Show which types of model each runtime takes, and the toolchain that a recipe of such a model needs. "
        "A type that is listed is one that the converter knows; the page docs/reference/models.md shows what was tried.",
    )
    made.add_argument("model", nargs="?", metavar="MODEL_TYPE|DIR", help="a model_type of config.json, or a folder with a checkpoint")
    made.add_argument("--json", action="store_true", help="print the table as JSON")
    return made


def run(given: argparse.Namespace) -> int:
    """Print the table, or what is known of one model.

    Raises:
        Failure: no runtime takes such a model, or the folder has no config.json.
    """
    rows = _one(given.model) if given.model else _all()
    if given.json:
        print(documents.text(SupportedModels(installed=INSTALLED, models=rows)))
    else:
        _print(rows)
    return 0 if any(works for row in rows for works in row.toolchains.values()) else 1


def _taking(task: TaskName) -> Mapping[str, Backend]:
    """The runtimes that have models for a task."""
    return {runtime: backend for runtime, backend in BACKENDS.items() if backend.model_types(task)}


def _all() -> tuple[Supported, ...]:
    return tuple(row for task in get_args(TaskName) for row in _of(task))


def _of(task: TaskName) -> tuple[Supported, ...]:
    known = {runtime: backend.model_types(task) for runtime, backend in _taking(task).items()}
    named = sorted({kind for types in known.values() for kind in types})
    return tuple(_row(kind, task, {name: types.get(kind, ()) for name, types in known.items()}) for kind in named)


def _row(kind: str, task: TaskName, works: Mapping[str, tuple[Name, ...]]) -> Supported:
    return Supported(model_type=kind, task=task, toolchains=dict(works))


def _one(given: str) -> tuple[Supported, ...]:
    """What is known of a model type, for each task; or of the checkpoint in a folder, whose files say more."""
    if (folder := Path(given).expanduser()).is_dir():
        config = _config(folder)
        task = kinds.of(config, [path.name for path in folder.iterdir()])
        return (_row(config_json.kind(config), task, {name: backend.toolchains(config, task) for name, backend in _taking(task).items()}),)
    rows = _all()
    if found := tuple(row for row in rows if row.model_type == given):
        return found
    from difflib import get_close_matches

    near = get_close_matches(given, [row.model_type for row in rows], n=1)
    remedy = f"Did you mean {near[0]}?" if near else "`bakehouse support` lists all; a model type stands in config.json."
    raise Failure(f"No runtime is known to take models of type {given}.", remedy=remedy)


def _config(folder: Path) -> Config:
    remedy = "Name the folder of a checkpoint, or a model type."
    try:
        return config_json.read(folder)
    except FileNotFoundError:
        raise Failure(f"{folder} has no {config_json.NAME}.", remedy=remedy) from None
    except (OSError, ValueError) as error:
        raise Failure(f"{folder / config_json.NAME} cannot be read: {error}", remedy=remedy) from error


def _print(rows: Sequence[Supported]) -> None:
    for task, those in groupby(rows, key=lambda row: row.task):
        if task != DEFAULT_TASK:
            print(f"task: {task}")
        _print_table(tuple(those))
    line = _line(rows[0].toolchains) if len(rows) == 1 else ""
    print(line or f"yes: as installed ({INSTALLED}); a toolchain: write `toolchain: NAME` into the recipe; {_NOT}: not taken")


def _print_table(rows: Sequence[Supported]) -> None:
    """Of one task, with the runtimes that have models for it."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2), pad_edge=False, header_style="bold")
    for title in ("model type", *rows[0].toolchains):
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(row.model_type, *map(_cell, row.toolchains.values()))
    screen.for_tables().print(table)


def _cell(works: tuple[Name, ...]) -> str:
    return _NOT if not works else "yes" if INSTALLED in works else works[0]


def _line(works: Mapping[str, tuple[Name, ...]]) -> str:
    """What to write into a recipe of one model, if anything."""
    best = most_runtimes(works)
    return f"write into its recipe: toolchain: {best}" if best and best != INSTALLED else ""
