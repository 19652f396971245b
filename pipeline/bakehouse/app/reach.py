"""What the recipes of each folder reach in a store that several of them share: recorded by every run, and looked at before a prune."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from bakehouse.errors import Failure
from bakehouse.plan.plan import Plan
from bakehouse.records import Written
from bakehouse.store import files
from bakehouse.store.store import Store


class Reach(Written):
    """A folder of recipes, and what they came to when doit last ran with it: steps as `kind/key`, and the names of builds."""

    schema_version: Literal[1] = 1
    recipes: str
    steps: tuple[str, ...]
    packages: tuple[str, ...]


def of(plan: Plan, recipes: Path) -> Reach:
    """What the recipes in a folder reach now."""
    alone = (one for build in plan.builds for one in (build, build.draft) if one)
    steps = (*plan.steps, *(one.survey for one in alone if one.survey))
    return Reach(
        recipes=str(recipes.resolve()),
        steps=tuple(sorted({f"{step.kind}/{step.key}" for step in steps})),
        packages=tuple(sorted(build.name for build in plan.builds)),
    )


def record(plan: Plan, recipes: Path, store: Store) -> None:
    """Write into the store what the recipes in a folder reach, if it is not there already."""
    now = of(plan, recipes)
    with suppress(OSError):  # of a store that cannot be written to nothing can be dropped either
        if _read(path := _path(now.recipes, store)) != now:
            files.write(path, now.model_dump_json(indent=2) + "\n")


def others(recipes: Path, store: Store) -> tuple[Reach, ...]:
    """What the other folders of recipes reach that are still there.

    Raises:
        Failure: what was recorded of one cannot be read.
    """
    found = {path: _read(path) for path in sorted((store.root / "reach").glob("*.json"))}
    if wrong := [str(path) for path, one in found.items() if one is None]:
        raise Failure(
            "it cannot be read what other recipes need of this store",
            details=tuple(wrong),
            remedy="remove the file: the next run with those recipes writes it anew; or take `--all-recipes`",
        )
    own = str(recipes.resolve())
    return tuple(one for one in found.values() if one and one.recipes != own and Path(one.recipes).is_dir())


def _path(recipes: str, store: Store) -> Path:
    return store.root / "reach" / f"{hashlib.sha256(recipes.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}.json"


def _read(path: Path) -> Reach | None:
    try:
        return Reach.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
