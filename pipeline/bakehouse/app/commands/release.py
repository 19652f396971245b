"""`bakehouse release`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bakehouse.app import matrix, selection
from bakehouse.app.cli import Ours, option, warn
from bakehouse.app.tasks import Harness, open_harness
from bakehouse.app.workspace import artifacts_folder
from bakehouse.errors import Failure
from bakehouse.executor.session import Session
from bakehouse.package import inspect as inspection
from bakehouse.package import release_policy as gate
from bakehouse.package import signing
from bakehouse.plan.plan import Build
from bakehouse.release import archive, rebuild, release
from bakehouse.store import package_files
from bakehouse.store.store import Store
from bakehouse.text import size_text


class Release(Ours):
    """`bakehouse release [NAME...]`"""

    doc_purpose = "write an archive of each package, with checksums, proofs and notes"
    doc_usage = "[--output DIR] [--since release.json] [--without-failed | --from DIR | NAME ...]"
    cmd_options = (
        option("output", "where to (default: release, below the artifacts)"),
        option("from", "a folder of packages that came from elsewhere, each checked first, in place of the builds here"),
        option("since", "release.json of the last release, for the notes"),
        option("without-failed", "leave out builds that failed or were never made, in place of refusing", bool, False),
        option("part-size", "most bytes of a part, from 1 MiB to just below 2 GiB", int, archive.PART_BYTES),
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

    What is left out of all is named: builds that this machine cannot make or that may not be released, and, if requested, those not made.

    Raises:
        Failure: one is not built as its recipe is now or may not be released, or nothing is built.
    """
    harness, folders = open_harness(), []
    store, builds = harness.workspace.store, selection.builds_named(args, harness.workspace.plan)
    unmade = {} if args else {one.name: one for one in builds if not store.is_exposed(one.package, one.name)}
    if len(unmade) == len(builds):
        raise Failure("nothing is built yet, so there is nothing to release", remedy="`bakehouse list` shows the builds")
    failed = {name: _why_unmade(one, harness) for name, one in unmade.items() if not matrix.left_out(one)}
    if failed and not without_failed:
        raise Failure(
            f"{len(failed)} of {len(builds)} builds are not built as their recipes are now",
            details=tuple(f"{name}: {why}" for name, why in failed.items()),
            remedy="build them, name those that are to be released, or add --without-failed",
        )
    for build in builds:
        why = failed.get(build.name) or ("" if args else matrix.left_out(build))
        if build.name in unmade or (why and not build.cannot):
            warn(f"left out {build.name}: {why}")
            continue
        try:
            folders.append(_releasable(build, harness.session))
        except Failure as failure:
            raise Failure(failure.what, where=f"releasing {build.name}", remedy=failure.remedy, details=failure.details) from failure
    if not folders:
        raise Failure("no build may be released", remedy="name one to see why")
    return folders


def _why_unmade(build: Build, harness: Harness) -> str:
    """Why a build has no package as its recipe is now: what failed last and where its evidence is, or that it was not tried."""
    store = harness.workspace.store
    for step in build.package.closure():
        if not store.has(step) and store.failed(step).is_dir():
            return f"{harness.names[step.key]} failed, evidence: {store.failed(step)}"
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
    gate.check_bytes(build.name, folder, (*parts, *([signature] if signature else [])))
    return folder


def _delivered(folder: Path) -> list[Path]:
    """The packages in a folder, each compared with its own lists, and fit to be released as the recipes here say.

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
    plan = open_harness().workspace.plan
    for build in plan.builds:
        if build.name not in {one.name for one in inspected.values()}:
            warn(f"left out {build.name}: it is not in {folder}")
    for path, one in inspected.items():
        described, known = rebuild.read(path), plan.build(one.name)
        if wrong := gate.shortcomings(described):
            raise Failure("it is not one that was proven", where=str(path), details=tuple(wrong), remedy="build it again")
        gate.refuse_unfit(path, described, known.destination if known else None, signed=one.signed)
    return found
