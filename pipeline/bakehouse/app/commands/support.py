"""`bakehouse support`: which models each runtime can be given, and with which toolchain."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from bakehouse.app import documents, screen
from bakehouse.app.documents import Supported, SupportedModels
from bakehouse.backends.base import Backend
from bakehouse.backends.table import BACKENDS
from bakehouse.errors import Failure
from bakehouse.formats import config_json, fields
from bakehouse.formats.config_json import Config
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
    rows = (_one(given.model),) if given.model else _all()
    if given.json:
        print(documents.text(SupportedModels(installed=INSTALLED, models=rows)))
    else:
        _print(rows)
    return 0 if any(works for row in rows for works in row.toolchains.values()) else 1


def _writing() -> Mapping[str, Backend]:
    """The runtimes whose models write text; which toolchain a model of another task needs is not known by its type."""
    return {runtime: backend for runtime, backend in BACKENDS.items() if backend.model_types()}


def _all() -> tuple[Supported, ...]:
    known = {runtime: backend.model_types() for runtime, backend in _writing().items()}
    kinds = sorted({kind for types in known.values() for kind in types})
    return tuple(Supported(model_type=kind, toolchains={name: types.get(kind, ()) for name, types in known.items()}) for kind in kinds)


def _one(given: str) -> Supported:
    """What is known of a model type, or of the checkpoint in a folder, whose config.json says more."""
    if (folder := Path(given).expanduser()).is_dir():
        config = _config(folder)
        kind = fields.text(config, "model_type")
        return Supported(model_type=kind, toolchains={name: backend.toolchains(config) for name, backend in _writing().items()})
    known = {row.model_type: row for row in _all()}
    if given not in known:
        from difflib import get_close_matches

        near = get_close_matches(given, known, n=1)
        remedy = f"Did you mean {near[0]}?" if near else "`bakehouse support` lists all; a model type stands in config.json."
        raise Failure(f"No runtime is known to take models of type {given}.", remedy=remedy)
    return known[given]


def _config(folder: Path) -> Config:
    remedy = "Name the folder of a checkpoint, or a model type."
    try:
        return config_json.read(folder)
    except FileNotFoundError:
        raise Failure(f"{folder} has no {config_json.NAME}.", remedy=remedy) from None
    except (OSError, ValueError) as error:
        raise Failure(f"{folder / config_json.NAME} cannot be read: {error}", remedy=remedy) from error


def _print(rows: Sequence[Supported]) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2), pad_edge=False, header_style="bold")
    for title in ("model type", *rows[0].toolchains):
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(row.model_type, *(_cell(row.toolchains[name]) for name in row.toolchains))
    screen.for_tables().print(table)
    line = _line(rows[0].toolchains) if len(rows) == 1 else ""
    print(line or f"yes: as installed ({INSTALLED}); a toolchain: write `toolchain: NAME` into the recipe; {_NOT}: not taken")


def _cell(works: tuple[Name, ...]) -> str:
    return _NOT if not works else "yes" if INSTALLED in works else works[0]


def _line(works: Mapping[str, tuple[Name, ...]]) -> str:
    """What to write into a recipe of one model, if anything."""
    best = most_runtimes(works)
    return f"write into its recipe: toolchain: {best}" if best and best != INSTALLED else ""
