"""`bakehouse check`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bakehouse.app import check_package, maintenance, selection
from bakehouse.app.cli import JSON, Ours, option
from bakehouse.app.tasks import open_harness
from bakehouse.errors import Failure
from bakehouse.text import count_text, size_text


class Check(Ours):
    """`bakehouse check [NAME...]`, and `bakehouse check DIR` for a package that came from elsewhere."""

    doc_purpose = "hash everything in the store and the packages again, or check a package from elsewhere"
    doc_usage = "[NAME ...] | --package DIR [--key PEM | --certificate PEM[,PEM] | --identity ID [--issuer URL]]"
    cmd_options = (
        option("package", "a folder with a package; needs no store and no recipes", default=None),
        *(option(name, text, default=None) for name, text in check_package.OPTIONS.items()),
        JSON,
    )

    def _do(self, params: Any, args: list[str]) -> int:
        if params["package"] is None:
            if given := [name for name in check_package.OPTIONS if params[name] is not None]:
                raise Failure(
                    f"--{given[0]} is about a package from elsewhere, and none is named",
                    remedy=f"`bakehouse check DIR --{given[0]} ...`",
                )
            return _of_store(args, as_json=params["json"])
        if args or not params["package"]:
            what = f"{' '.join(args)} would not be looked at: --package checks one folder" if args else "--package names no folder"
            raise Failure(what, remedy="`bakehouse check DIR` checks a folder, `bakehouse check NAME` what is in the store")
        return check_package.check(Path(params["package"]), check_package.signer(params), print, as_json=params["json"])


def _of_store(names: list[str], *, as_json: bool) -> int:
    harness = open_harness()
    say = print if not as_json else lambda line: None
    report = maintenance.check(selection.builds_named(names, harness.workspace.plan), harness.workspace.store, harness.names, say)
    if as_json:
        from bakehouse.app import documents, to_json

        print(documents.text(to_json.checked_store(report)))
        return 1 if report.faults else 0
    print(f"{count_text(report.files, 'file')}, {size_text(report.size_bytes)} hashed: {len(report.faults) or 'none'} damaged")
    return 1 if report.faults else 0
