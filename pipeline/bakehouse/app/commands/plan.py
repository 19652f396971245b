"""`doit plan`."""

from __future__ import annotations

from typing import Any

from bakehouse.app import plan_table, selection
from bakehouse.app.cli import Ours
from bakehouse.app.tasks import open_kitchen
from bakehouse.errors import Failure
from bakehouse.stages import preflight


class Plan(Ours):
    """`doit plan [NAME...]`"""

    doc_purpose = "show the steps, which would run and why, and what they would take"
    doc_usage = "[NAME ...]"

    def _do(self, params: Any, args: list[str]) -> int:
        kitchen = open_kitchen()
        builds = selection.builds_named(args, kitchen.workspace.plan)
        print(text := plan_table.plan_text(builds, kitchen.session, kitchen.names))
        try:
            preflight.check([build for build in builds if args or build.cannot is None], kitchen.session)
        except Failure as failure:
            print("this would be refused before any work" if str(failure) in text else f"this would be refused before any work: {failure}")
            return 1
        return 0
