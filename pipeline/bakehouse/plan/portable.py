"""Leaves paths of this machine out of what a package says of its recipe."""

from __future__ import annotations

import json

from pydantic import JsonValue

from bakehouse.recipe.resolved import ResolvedBuild
from bakehouse.recipe.types import is_local_path, portable


def without_paths(build: ResolvedBuild) -> ResolvedBuild:
    """The same build with the last part of each local path that leads out of the recipe's folder.

    So a package says nothing of the machine it was made on, and its key does not depend on where the source lies.
    """
    written = build.model_dump(mode="json")
    said = _portable(written)
    return build if said == written else ResolvedBuild.model_validate_json(json.dumps(said))


def _portable(value: JsonValue) -> JsonValue:
    match value:
        case dict():
            return {name: portable(str(one)) if is_local_path(value, name) else _portable(one) for name, one in value.items()}
        case list():
            return [_portable(one) for one in value]
        case _:
            return value
