"""`bakehouse plan`."""

from __future__ import annotations

from typing import Any

from bakehouse.app import plan_table, selection
from bakehouse.app.cli import Ours
from bakehouse.app.tasks import open_harness
from bakehouse.errors import Failure
from bakehouse.stages import preflight


class Plan(Ours):
    """`bakehouse plan [NAME...]`"""

    doc_purpose = "show the steps, which would run and why, and what they would take"
    doc_usage = "[NAME ...]"

    def _do(self, params: Any, args: list[str]) -> int:
        harness = open_harness()
        builds = selection.builds_named(args, harness.workspace.plan)
        print(text := plan_table.plan_text(builds, harness.session, harness.names))
        try:
            preflight.check([build for build in builds if args or build.cannot is None], harness.session)
        except Failure as failure:
            print("this would be refused before any work" if str(failure) in text else f"this would be refused before any work: {failure}")
            return 1
        return 0
