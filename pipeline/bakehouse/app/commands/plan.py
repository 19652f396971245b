"""`bakehouse plan`."""

from __future__ import annotations

from typing import Any

from bakehouse.app import plan_table, selection
from bakehouse.app.cli import JSON, Ours
from bakehouse.app.tasks import open_harness
from bakehouse.errors import Failure
from bakehouse.executor.session import Session
from bakehouse.plan.plan import Build
from bakehouse.stages import preflight


class Plan(Ours):
    """`bakehouse plan [NAME...]`"""

    doc_purpose = "show the steps, which would run and why, and what they would take"
    doc_usage = "[NAME ...]"
    cmd_options = (JSON,)

    def _do(self, params: Any, args: list[str]) -> int:
        harness = open_harness()
        builds = selection.builds_named(args, harness.workspace.plan)
        text = "" if params["json"] else plan_table.plan_text(builds, harness.session, harness.names)
        print(text, end="\n" * bool(text))
        refused = _refusal([build for build in builds if args or build.cannot is None], harness.session)
        if params["json"]:
            from bakehouse.app import documents, to_json

            print(documents.text(to_json.planned(builds, harness.session, harness.names, refused)))
        elif refused:
            print("this would be refused before any work" if str(refused) in text else f"this would be refused before any work: {refused}")
        else:
            for build in builds:
                if build.places:
                    print(f"`bakehouse deliver {build.name}` then lays it out for {', '.join(build.places)}")
        return 1 if refused else 0


def _refusal(builds: list[Build], session: Session) -> Failure | None:
    try:
        preflight.check(builds, session)
    except Failure as failure:
        return failure
    return None
