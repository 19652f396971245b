"""`bakehouse prune`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from bakehouse.app import maintenance, reach
from bakehouse.app.cli import Ours, option
from bakehouse.app.workspace import artifacts_folder, open_workspace
from bakehouse.errors import Failure
from bakehouse.text import count_text, size_text


class Prune(Ours):
    """`bakehouse prune`"""

    doc_purpose = "drop what no recipe uses: of this folder, or of another that has run with this store"
    doc_usage = "[--dry-run] [--yes] [--all-recipes]"
    cmd_options = (
        option("dry-run", "only say what would be removed", bool, False),
        option("yes", "drop packages without asking", bool, False),
        option("all-recipes", "drop also what the recipes of other folders reach", bool, False),
    )

    def _do(self, params: Any, args: list[str]) -> int:
        if args:
            raise Failure(f"`bakehouse prune` takes no names, and was given {', '.join(args)}", remedy="leave them out")
        workspace = open_workspace()
        own, store = reach.of(workspace.plan, workspace.recipes), workspace.store
        others = () if params["all_recipes"] else reach.others(workspace.recipes, store)
        packages = maintenance.packages_to_drop(own, store, others)
        if packages and not params["dry_run"] and not params["yes"] and not _consents(packages, workspace.recipes):
            print("nothing was dropped")
            return 1
        freed = maintenance.prune(own, store, others=others, dry_run=params["dry_run"], say=print)
        print(f"{size_text(freed)} {'would be freed' if params['dry_run'] else 'freed'} in {artifacts_folder()}")
        return 0


def _consents(packages: list[str], recipes: Path) -> bool:
    """Ask whether packages may go that our recipes do not reach: recipes that doit has not run with here since may.

    Raises:
        Failure: there is nobody to ask.
    """
    what = f"{count_text(len(packages), 'package')} that no recipe in {recipes} makes would be dropped"
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        remedy = "`bakehouse prune --dry-run` shows all that would go, and `bakehouse prune --yes` drops it"
        raise Failure(f"{what}:", details=tuple(packages), remedy=remedy)
    print("\n".join((f"{what}:", *(f"    {name}" for name in packages))))
    return input("drop them? [y/N] ").strip().lower() in ("y", "yes")
