"""`bakehouse doctor`."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from bakehouse.app import doctor, screen
from bakehouse.app.cli import JSON, Ours
from bakehouse.executor.process import Children


class Doctor(Ours):
    """`bakehouse doctor`"""

    doc_purpose = "show what this machine can build and run, and the command that would change what it cannot"
    doc_usage = ""
    cmd_options = (JSON,)

    def _do(self, params: Any, args: list[str]) -> int:
        children = Children()
        try:
            findings = doctor.examine(children)
        finally:
            children.stop()
        if params["json"]:
            from bakehouse.app import documents, to_json

            print(documents.text(to_json.examined(findings)))
        else:
            screen.for_tables().print(_table(findings))
        return 1 if doctor.nothing_can_be_built(findings) else 0


def _table(findings: tuple[doctor.Finding, ...]) -> Table:
    table = Table(box=None, padding=(0, 2), pad_edge=False, header_style="bold")
    for title in ("what", "", "works", "found, and what would change it"):
        table.add_column(title, overflow="fold")
    before = ""
    for finding in findings:
        about, subject, works, found = doctor.shown(finding)
        remedy = Text(f"\n→ {finding.remedy}", style="bold") if finding.remedy and not finding.works else Text("")
        style = "green" if finding.works else "yellow"
        table.add_row(Text("" if about == before else about), Text(subject), Text(works, style=style), Text.assemble(found, remedy))
        before = about
    return table
