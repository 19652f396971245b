"""doit commands for what leaves the machine and what comes from elsewhere: check a package, rebuild, release, matrix."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from bakehouse.app import check_package, commands, matrix, selection
from bakehouse.app.cli import Ours, open_kitchen
from bakehouse.app.tasks import Kitchen
from bakehouse.app.workspace import artifacts_folder, recipes_folder
from bakehouse.errors import Failure
from bakehouse.executor.process import Children
from bakehouse.executor.session import Session
from bakehouse.package import inspect as inspection
from bakehouse.package import release_policy as gate
from bakehouse.package import signing
from bakehouse.plan.plan import Build
from bakehouse.recipe.types import printable
from bakehouse.release import archive, rebuild, release
from bakehouse.stages import preflight
from bakehouse.store import files, package_files
from bakehouse.store.store import Store
from bakehouse.text import size_text


def _option(name: str, text: str, kind: type = str, default: Any = "") -> dict[str, Any]:
    return {"name": name.replace("-", "_"), "long": name, "type": kind, "default": default, "help": text}


class Check(commands.Check):
    """`doit check [NAME...]`, and `doit check --package DIR` for a package that came from elsewhere."""

    doc_purpose = "hash everything in the store and the packages again, or check a package from elsewhere"
    doc_usage = "[NAME ...] | --package DIR [--key PEM | --certificate PEM[,PEM] | --identity ID [--issuer URL]]"
    cmd_options = (
        _option("package", "a folder with a package; needs no store and no recipes", default=None),
        *(_option(name, text, default=None) for name, text in check_package.OPTIONS.items()),
    )

    def _do(self, params: Any, args: list[str]) -> int:
        if params["package"] is None:
            if given := [name for name in check_package.OPTIONS if params[name] is not None]:
                raise Failure(
                    f"--{given[0]} is about a package from elsewhere, and none is named",
                    remedy=f"`doit check --package DIR --{given[0]} ...`",
                )
            return super()._do(params, args)
        if args or not params["package"]:
            what = f"{' '.join(args)} would not be looked at: --package checks one folder" if args else "--package names no folder"
            raise Failure(what, remedy="`doit check --package DIR` checks a folder, `doit check NAME` what is in the store")
        return check_package.check(Path(params["package"]), check_package.signer(params), print)


class Rebuild(Ours):
    """`doit rebuild NAME|DIR`"""

    doc_purpose = "build a package again from the recipe in it, in a store of its own, and compare every file"
    doc_usage = "NAME|DIR [--keep]"
    cmd_options = (_option("keep", "keep what was built again", bool, False),)

    def _do(self, params: Any, args: list[str]) -> int:
        if len(args) != 1:
            raise Failure("one package is built again at a time", remedy="name a build, or a folder with a package")
        store, children = Store(artifacts_folder()), Children()
        package = Path(args[0]).absolute() if Path(args[0]).is_dir() else store.package(args[0].removeprefix("build:"))
        if not package.is_dir():
            raise Failure(f"there is no package {args[0]}", remedy="name a build that is built, or a folder with a package")
        with store.lock("rebuild", lambda: print("waiting for another rebuild")):
            folder = rebuild.place(store)
            try:
                again, found = rebuild.build_again(package, recipes_folder(), store, folder, children, _say)
            finally:
                children.stop()
            _tell(rebuild.read(again).name, found)
            if params["keep"] or found.differs:
                print(f"kept     {again}")
            else:
                files.remove(folder)
        return 1 if found.differs else 0


def _say(line: str) -> None:
    """Print a line that may hold what a package from elsewhere calls something."""
    print(printable(line))


def _tell(name: str, found: rebuild.Comparison) -> None:
    for word, lines in (("same", found.same), ("apart", found.apart), ("differs", found.differs)):
        for line in lines:
            _say(f"{word:8} {line}")
    verdict = f"{len(found.differs)} differ" if found.differs else "all that can be the same is the same"
    print(f"{name}: {len(found.same)} files have the same bytes, {len(found.apart)} are records of their own; {verdict}")


class Release(Ours):
    """`doit release [NAME...]`"""

    doc_purpose = "write an archive of each package, with checksums, proofs and notes"
    doc_usage = "[--output DIR] [--since release.json] [--without-failed | --from DIR | NAME ...]"
    cmd_options = (
        _option("output", "where to (default: release, below the artifacts)"),
        _option("from", "a folder of packages that came from elsewhere, each checked first, in place of the builds here"),
        _option("since", "release.json of the last release, for the notes"),
        _option("without-failed", "leave out builds that failed or were never made, in place of refusing", bool, False),
        _option("part-size", "most bytes of a part, from 1 MiB to just below 2 GiB", int, archive.PART_BYTES),
    )

    def _do(self, params: Any, args: list[str]) -> int:
        if params["from"] and args:
            raise Failure(f"--from takes all packages of a folder, and not {', '.join(args)}", remedy="leave out the names, or --from")
        if params["without_failed"] and (params["from"] or args):
            raise Failure("--without-failed is about all builds of the recipes, and others are chosen", remedy="leave it out")
        part_bytes = archive.part_size(params["part_size"])
        target = Path(params["output"]).resolve() if params["output"] else artifacts_folder() / "release"
        last = release.read(Path(params["since"])) if params["since"] else None
        folders = _delivered(Path(params["from"])) if params["from"] else _built(args, params["without_failed"])
        with Store(artifacts_folder()).lock("release", lambda: print("waiting for another release")):
            made = release.make(folders, target, last, part_bytes)
        for one in made.packages:
            parts = f"{len(one.archive.parts)} part{'s' if len(one.archive.parts) > 1 else ''}"
            print(f"{one.archive.name}  {size_text(one.archive.size)} in {parts}, {'signed' if one.signed else 'not signed'}")
        print(target)
        return 0


def _built(args: list[str], without_failed: bool) -> list[Path]:
    """The packages of these builds, or of all that may be released; the signed copy where there is one. All are hashed.

    What is left out of all is named: builds that this machine cannot make or that may not be released, and, if told to, those not made.

    Raises:
        Failure: one is not built as its recipe is now or may not be released, or nothing is built.
    """
    kitchen, folders = open_kitchen(), []
    store, builds = kitchen.workspace.store, selection.builds_named(args, kitchen.workspace.plan)
    unmade = {} if args else {one.name: one for one in builds if not store.is_published(one.package, one.name)}
    if len(unmade) == len(builds):
        raise Failure("nothing is built yet, so there is nothing to release", remedy="`doit list` shows the builds")
    failed = {name: _why_unmade(one, kitchen) for name, one in unmade.items() if not _left_out(one)}
    if failed and not without_failed:
        raise Failure(
            f"{len(failed)} of {len(builds)} builds are not built as their recipes are now",
            details=tuple(f"{name}: {why}" for name, why in failed.items()),
            remedy="build them, name those that are to be released, or add --without-failed",
        )
    for build in builds:
        why = failed.get(build.name) or ("" if args else _left_out(build))
        if build.name in unmade or (why and not build.cannot):
            _warn(f"left out {build.name}: {why}")
            continue
        try:
            folders.append(_releasable(build, kitchen.session))
        except Failure as failure:
            raise Failure(failure.what, where=f"releasing {build.name}", remedy=failure.remedy, details=failure.details) from failure
    if not folders:
        raise Failure("no build may be released", remedy="name one to see why")
    return folders


def _why_unmade(build: Build, kitchen: Kitchen) -> str:
    """Why a build has no package as its recipe is now: what failed last and where its evidence is, or that it was not tried."""
    store = kitchen.workspace.store
    for step in build.package.closure():
        if not store.has(step) and store.failed(step).is_dir():
            return f"{kitchen.names[step.key]} failed, evidence: {store.failed(step)}"
    if store.has(build.package):
        return "it is made, and its package is not in its place or was changed"
    return "it was made of another recipe" if store.package(build.name).is_dir() else "it was never made"


def _releasable(build: Build, session: Session) -> Path:
    """Where a package of this store that may be released is, hashed; its signed copy if there is one.

    Raises:
        Failure: it may not.
    """
    manifest, parts = gate.proven(build.name, build.package, session)
    signature = signing.signature(build.package, build.name, session)
    folder = signing.folder(build.name, session) if signature else session.store.package(build.name)
    gate.refuse_unfit(folder, manifest, build.destination, signed=signature is not None)
    gate.whole(build.name, folder, (*parts, *([signature] if signature else [])))
    return folder


def _delivered(folder: Path) -> list[Path]:
    """The packages in a folder, each held against its own lists, and fit to be released as the recipes here say.

    Raises:
        Failure: the folder is not there, there is none in it, or one is damaged, not proven or may not be released.
    """
    if not folder.is_dir():
        raise Failure("there is no such folder", where=str(folder), remedy="name the folder that holds a folder for each package")
    found = sorted({path.parent for name in package_files.MANIFESTS for path in folder.glob(f"*/{name}")})
    inspected = {path: inspection.inspect(path) for path in found}
    faults = [f"{path.name}: {fault}" for path, one in inspected.items() for fault in one.faults]
    if faults or not found:
        what = "not every package is whole" if found else "there is no package in it"
        raise Failure(what, where=str(folder), details=tuple(faults), remedy="bring the packages there again")
    plan = open_kitchen().workspace.plan
    for build in plan.builds:
        if build.name not in {one.name for one in inspected.values()}:
            _warn(f"left out {build.name}: it is not in {folder}")
    for path, one in inspected.items():
        told, known = rebuild.read(path), plan.build(one.name)
        if wrong := gate.shortcomings(told):
            raise Failure("it is not one that was proven", where=str(path), details=tuple(wrong), remedy="build it again")
        gate.refuse_unfit(path, told, known.destination if known else None, signed=one.signed)
    return found


class Matrix(Ours):
    """`doit matrix`"""

    doc_purpose = "print the builds as JSON for a CI matrix: what changed, and what each needs"
    doc_usage = "[--against release.json | --base COMMIT] [NAME ...]"
    cmd_options = (
        _option("against", "release.json of a release: leave out what is in it"),
        _option("base", "a commit: leave out what was the same then"),
        _option("ask", "ask the hub for shapes, to tell memory and disk before a download", bool, False),
        _option("as", "print NAME=JSON, as CI takes a job's output"),
    )

    def _do(self, params: Any, args: list[str]) -> int:
        if params["against"] and params["base"]:
            raise Failure("--against and --base both say what is known already", remedy="leave one of them out")
        kitchen = open_kitchen()
        with tempfile.TemporaryDirectory() as scratch:
            known: dict[str, str] = {}
            if params["against"]:
                known = release.read(Path(params["against"])).keys()
            elif params["base"]:
                known = matrix.keys_at(params["base"], Path.cwd(), recipes_folder(), Path(scratch) / "base")
            builds = selection.builds_named(args, kitchen.workspace.plan)
            why = {build.name: _left_out(build) for build in builds if not args}
            can = [build for build in builds if not why.get(build.name)]
            rows = matrix.rows(can, known, ask=params["ask"], scratch=Path(scratch), warn=_warn)
        for build in builds:
            if build not in can:
                _warn(f"left out {build.name}: {why[build.name]}")
        print(f"{params['as']}=" * bool(params["as"]) + json.dumps({"include": rows}))
        return 0


def _left_out(build: Build) -> str:
    """Why CI does not make a build that it was not told to make; "" if it does."""
    return build.cannot or (f"it would have {gate.PICKLES}, and could not be released" if preflight.kept_by_pickles(build) else "")


def _warn(text: str) -> None:
    """Where a line does not get into the JSON."""
    print(text, file=sys.stderr)
