"""`bakehouse compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bakehouse.app import results_table, screen, selection
from bakehouse.app.cli import JSON, Ours, option
from bakehouse.app.tasks import Harness, open_harness
from bakehouse.errors import Failure
from bakehouse.package import compare
from bakehouse.package.manifest import PackageManifest
from bakehouse.plan.plan import Build
from bakehouse.store import files


class Compare(Ours):
    """`bakehouse compare [NAME ...]`"""

    doc_purpose = "show packages side by side: size, bits, agreement with the source, answers"
    doc_usage = "[NAME ...]"
    cmd_options = (option("html", "write a page with bar charts to this file instead"), JSON)

    def _do(self, params: Any, args: list[str]) -> int:
        harness = open_harness()
        single = {one.name: one for build in selection.builds_named(args, harness.workspace.plan) for one in build.members or (build,)}
        rows = [compare.row(_built(build, harness)) for build in single.values() if args or _is_built(build, harness)]
        if not rows:
            raise Failure("nothing is built yet, so there is nothing to compare", remedy="`bakehouse list` shows the builds")
        if params["html"]:
            files.write(Path(params["html"]), compare.page(rows))
            print(params["html"])
            return 0
        if params["json"]:
            from bakehouse.app import documents, to_json

            print(documents.text(to_json.compared(rows)))
            return 0
        for table in compare.tables(rows):
            screen.for_tables().print(table)
        return 0


def _is_built(build: Build, harness: Harness) -> bool:
    return harness.workspace.store.is_exposed(build.package, build.name)


def _built(build: Build, harness: Harness) -> PackageManifest:
    """The manifest of a build's package.

    Raises:
        Failure: it is not built, or what is there was made from another recipe.
    """
    manifest = results_table.read_manifest(build.name, harness.workspace.store)
    if manifest is None or not _is_built(build, harness):
        raise Failure(f"{build.name} is not built as its recipe is now", remedy=f"`bakehouse build {build.name}` makes it")
    return manifest
