"""`bakehouse search`."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from bakehouse.app import screen, search_table, searching
from bakehouse.app.cli import JSON, Ours, option, warn
from bakehouse.app.commands.run import CLUSTER_HELP
from bakehouse.app.tasks import Harness
from bakehouse.app.workspace import Workspace, open_workspace
from bakehouse.errors import Failure
from bakehouse.plan.plan import Build, Plan
from bakehouse.recipe import edit
from bakehouse.recipe.fits import full_name
from bakehouse.recipe.loader import Loaded
from bakehouse.recipe.search import Expanded
from bakehouse.search import loop, making
from bakehouse.search.decide import Done
from bakehouse.search.loop import Means
from bakehouse.search.making import Prepared
from bakehouse.search.results import Result
from bakehouse.sources import local
from bakehouse.store import files


class Search(Ours):
    """`bakehouse search NAME`"""

    doc_purpose = "find the best build within bounds, and write it into the recipe"
    doc_usage = "NAME"
    cmd_options = (
        option("plan", "print the predicted size of every candidate, and make nothing", bool, False),
        option("print", "print the winner instead of writing it into the recipe", bool, False),
        option("html", "write a page with a chart to this file, too"),
        option("cluster", CLUSTER_HELP),
        JSON,
    )

    def _do(self, params: Any, args: list[str]) -> int:
        workspace = open_workspace()
        loaded, name = _named(args, workspace)
        if params["plan"]:
            return _plan(params, loaded, name, workspace)
        address = str(params["cluster"] or os.environ.get("PIPELINE_CLUSTER") or "")
        planned = _builds(loaded, name, workspace, combinations := making.combinations(loaded, name))
        harness = Harness(replace(workspace, plan=Plan(planned)), sys.stderr if params["json"] or params["print"] else sys.stdout)
        try:
            aim = loaded.recipe.searches[name].minimize
            place = searching.there(harness, address, aim) if address else searching.here(harness, aim)
            searching.bring_source(planned[0], harness)
            if loaded.recipe.searches[name].rank_layers:
                combinations = making.ranked(combinations, planned, harness.session, place.have)
                planned = _builds(loaded, name, workspace, combinations)
            prepared = making.prepare(loaded, name, combinations, planned, harness.session)
            searching.foresee(prepared, harness, elsewhere=bool(address))
            if not (params["json"] or params["print"]):
                screen.for_tables().print(search_table.table(prepared, None, {}))
            done, results = _carry_out(prepared, harness, place)
        finally:
            harness.end()
        if params["html"]:
            title = f"Search {full_name(loaded.recipe.name, name)}"
            files.write(Path(params["html"]), search_table.as_page(title, prepared, done, results))
        if not params["print"]:
            _show(prepared, done, results, as_json=params["json"])
        return _finish(loaded, prepared, done, results, printing=params["print"])


def _builds(loaded: Loaded, name: str, workspace: Workspace, combinations: Expanded[Any]) -> tuple[Build, ...]:
    fingerprint = partial(local.fingerprint, cache=workspace.store.root / "fingerprints.json")
    return making.builds(loaded, name, combinations, fingerprint, confined=workspace.confined)


def _plan(params: Any, loaded: Loaded, name: str, workspace: Workspace) -> int:
    """Show what a search would try, and make nothing."""
    planned = _builds(loaded, name, workspace, combinations := making.combinations(loaded, name))
    session = Harness(replace(workspace, plan=Plan(planned)), sys.stdout).session
    prepared = making.prepare(loaded, name, combinations, planned, session)
    # Until layers are measured it is not known which ones a candidate would have, only how many.
    trials = () if prepared.search.rank_layers else prepared.trials
    size = partial(loop.size_here, store=workspace.store)
    begun = {one.candidate.name: found for one in trials if (found := loop.known(one, workspace.store, size))}
    _show(prepared, None, begun, as_json=params["json"])
    return 0


def _named(args: list[str], workspace: Workspace) -> tuple[Loaded, str]:
    """The recipe and the search that is meant."""
    known = {full_name(one.recipe.name, name): (one, name) for one in workspace.loaded for name in one.recipe.searches}
    if len(args) == 1 and args[0] in known:
        return known[args[0]]
    remedy = f"name one of {', '.join(known)}" if known else "add one to `searches` of a recipe"
    raise Failure(f"no search is called {' '.join(args)}" if args else "the name of a search is missing", remedy=remedy)


def _carry_out(prepared: Prepared, harness: Harness, place: Means) -> tuple[Done, dict[str, Result]]:
    """Every measurement until the search is done."""
    for wanted, results in loop.run(prepared, harness.session.store, place):
        if isinstance(wanted, Done):
            return wanted, results
    raise AssertionError("a search ends with a result")


def _show(prepared: Prepared, done: Done | None, results: dict[str, Result], *, as_json: bool) -> None:
    if as_json:
        from bakehouse.app import documents

        print(documents.text(search_table.document(prepared, done, results)))
        return
    screen.for_tables().print(search_table.table(prepared, done, results))
    print(search_table.words(prepared, done, results))


def _in_order(fields: dict[str, Any]) -> dict[str, JsonValue]:
    """As a person writes a build: what it is for first, its bounds last; of the quantization, the weights first."""
    options = fields["quantization"]
    last = {"bounds": fields["bounds"]} if "bounds" in fields else {}
    first = {"runtime": fields["runtime"], "quantization": {"weights": options["weights"], **options}}
    return {name: value for name, value in (first | fields | first).items() if name != "bounds"} | last


def _finish(loaded: Loaded, prepared: Prepared, done: Done, results: dict[str, Result], *, printing: bool) -> int:
    """Print the winner, or write it into the recipe; 1 if no candidate is within the bounds."""
    if done.winner is None:
        warn("No candidate is within the bounds." + (f" The search stopped early ({done.stopped})." if done.stopped else ""))
        return 1
    build = search_table.winner(prepared, done.winner)
    comment = f"Found by the search {prepared.name}: {search_table.measured(results[done.winner.name])}."
    fields = _in_order(build.model_dump(mode="json", exclude_unset=True, exclude_none=True))
    if printing:
        print(edit.as_yaml(prepared.name, fields, comment), end="")
        return 0
    there = loaded.recipe.builds.get(prepared.name)
    if there is not None and there.normal() == build.normal():
        warn(f"The recipe has it already, as the build {prepared.name}.")
        return 0
    files.write(loaded.path, edit.with_build(loaded, prepared.name, fields, comment))
    name = full_name(loaded.recipe.name, prepared.name)
    warn(f"Written into {loaded.path.name} as the build {prepared.name}; `bakehouse build {name}` makes it.")
    return 0
