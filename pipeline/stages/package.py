"""Join the parts that passed to exactly the tree that will be published: model files, manifest, card, recipe, licence."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from pipeline import card, files
from pipeline.backends.base import Backend
from pipeline.maker import Verification
from pipeline.manifest import PackageManifest, StepRecord, Validation
from pipeline.recipe import Recipe
from pipeline.session import Session, machine
from pipeline.stages.making import Made, make
from pipeline.stages.validate import RESULT, link_model
from pipeline.step import Step
from pipeline.store import MANIFEST, Staging, Store

CARD = "README.md"
RECIPE = "recipe.yaml"
_LICENCES = ("LICENSE", "LICENCE", "NOTICE", "COPYING", "USE_POLICY")


def run(step: Step, backend: Backend, session: Session) -> None:
    """Make the package of a build whose parts are made and whose validation passed."""
    store = session.store

    def fill(staging: Staging) -> Made:
        link_model(step, backend, store, staging.files)
        for path in _licences(store.files(step.need("checkpoint"))):
            files.link(path, staging.files / path.name)
        files.write(staging.files / RECIPE, _recipe_text(step.options["recipe"]))
        manifest = _manifest(step, backend, store, staging)
        files.write(staging.files / CARD, card.render(manifest))
        files.write(staging.files / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
        return Made(Verification())

    make(step, session, fill)


def _licences(checkpoint: Path) -> list[Path]:
    return [path for path in files.walk(checkpoint) if path.parent == checkpoint and path.name.upper().startswith(_LICENCES)]


def _recipe_text(recipe: dict[str, Any]) -> str:
    """The recipe of this one build, as YAML that the loader reads."""
    return yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True, width=120)
