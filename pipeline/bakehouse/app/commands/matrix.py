"""`bakehouse matrix`."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from bakehouse.app import matrix, selection
from bakehouse.app.cli import JSON, Ours, option, warn
from bakehouse.app.tasks import open_harness
from bakehouse.app.workspace import recipes_folder
from bakehouse.errors import Failure
from bakehouse.release import release


class Matrix(Ours):
    """`bakehouse matrix`"""

    doc_purpose = "print the builds as JSON for a CI matrix: what changed, and what each needs"
    doc_usage = "[--against release.json | --base COMMIT] [NAME ...]"
    cmd_options = (
        option("against", "release.json of a release: leave out what is in it"),
        option("base", "a commit: leave out what was the same then"),
        option("ask", "ask the hub for shapes, to tell memory and disk before a download", bool, False),
        option("as", "print NAME=JSON, as CI takes a job's output"),
        {**JSON, "help": "what it prints is JSON anyway; with this, errors are too"},
    )

    def _do(self, params: Any, args: list[str]) -> int:
        if params["against"] and params["base"]:
            raise Failure("--against and --base both say what is known already", remedy="leave one of them out")
        harness = open_harness()
        with tempfile.TemporaryDirectory() as scratch:
            known: dict[str, str] = {}
            if params["against"]:
                known = release.read(Path(params["against"])).keys()
            elif params["base"]:
                confined = harness.workspace.confined
                known = matrix.keys_at(params["base"], Path.cwd(), recipes_folder(), Path(scratch) / "base", confined=confined)
            builds = selection.builds_named(args, harness.workspace.plan)
            why = {build.name: matrix.left_out(build) for build in builds if not args}
            can = [build for build in builds if not why.get(build.name)]
            rows = matrix.rows(can, known, ask=params["ask"], scratch=Path(scratch), warn=warn)
        for build in builds:
            if build not in can:
                warn(f"left out {build.name}: {why[build.name]}")
        print(f"{params['as']}=" * bool(params["as"]) + json.dumps({"include": rows}))
        return 0
