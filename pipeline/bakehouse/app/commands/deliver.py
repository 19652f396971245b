"""`bakehouse deliver`: a package, laid out for another program."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from bakehouse.app import documents
from bakehouse.app.documents import DeliveredFolder, Deliveries
from bakehouse.app.screen import JSON_HELP, escape_what_cannot_be_shown, show
from bakehouse.app.workspace import artifacts_folder, open_workspace
from bakehouse.deliver import make, renew
from bakehouse.deliver.record import Delivery
from bakehouse.errors import Failure, NotInstalled
from bakehouse.executor.process import Children
from bakehouse.inference.found import find
from bakehouse.plan import places
from bakehouse.plan.plan import Build
from bakehouse.text import count_text, size_text


def parser() -> argparse.ArgumentParser:
    """The arguments of `deliver`."""
    offered = places.all_of().values()
    made = argparse.ArgumentParser(
        "bakehouse deliver",
        description="Copy a package into a new folder, laid out as another program wants it, with what that needs in addition and a "
        "README.md that says how to use it. The weights stay byte for byte the package's. Without --to: for every program that the "
        "recipe's `deliver` names, a folder each. " + " ".join(f"{one.profile.name} takes {one.profile.takes}." for one in offered),
    )
    made.add_argument("package", metavar="NAME|DIR", help="a build that is made here, or with --to the folder of any package")
    made.add_argument(
        "target",
        type=Path,
        nargs="?",
        metavar="FOLDER",
        help="the new folder; it may exist if it is empty. Without --to: what has a folder for each program in it "
        "(default: artifacts/delivered/NAME); a folder there of the package as it was before is replaced",
    )
    names = [one.profile.name for one in offered]
    made.add_argument("--to", metavar="PROFILE", choices=names, help=f"for which program: {', '.join(names)}")
    made.add_argument("--json", action="store_true", help=JSON_HELP)
    return made


def run(given: argparse.Namespace) -> int:
    """Deliver one package, to one place or to all that its recipe names.

    Raises:
        Failure: there is none, a place does not take it, or a folder cannot be filled.
    """
    escape_what_cannot_be_shown()
    children = Children()
    done: list[DeliveredFolder] = []
    try:
        for record, folder, new in _one(given, children) if given.to else _all(given, children):
            done.append(_document(record, folder, new=new))
            if not given.json:
                _tell(record, done[-1])
    except Failure as failure:
        return show(failure, 3 if isinstance(failure, NotInstalled) else 1, as_json=given.json)
    finally:
        children.stop()
    if given.json:
        print(documents.text(done[0] if given.to else Deliveries(folders=tuple(done))))
    return 0


def _one(given: argparse.Namespace, children: Children) -> Iterator[tuple[Delivery, Path, bool]]:
    """To the place and the folder that are named."""
    if given.target is None:
        raise Failure(
            "--to lays the package out in one folder, and none is named", remedy=f"`bakehouse deliver NAME --to {given.to} FOLDER`"
        )
    found = find(given.package, artifacts_folder() / "packages")
    package = make.packed(found)
    profile = places.chosen(given.to, package.name, package.builds[0].runtime)
    target = given.target.expanduser().absolute()
    yield make.deliver(found, profile, target, children), target, True


def _all(given: argparse.Namespace, children: Children) -> Iterator[tuple[Delivery, Path, bool]]:
    """To each place that the recipe names."""
    build = _build(given.package)
    packages = artifacts_folder() / "packages"
    found = find(str(packages / build.name), packages)  # never a folder of that name elsewhere
    target = given.target.expanduser().absolute() if given.target else artifacts_folder() / "delivered" / build.name
    for place in build.places:
        profile = places.chosen(place, build.name, build.resolved.options.runtime)
        record, new = renew.renew(found, profile, target / place, children)
        yield record, target / place, new


def _build(name: str) -> Build:
    """The build of a recipe here that is made and says where it is delivered to."""
    workspace = open_workspace()
    build = workspace.plan.build(name)
    if build is None:
        remedy = "name a build that `bakehouse list` shows; or a place and a folder: `bakehouse deliver NAME|DIR --to PROFILE FOLDER`"
        raise Failure(f"no recipe here has a build called {name}, and so none says what it is delivered to", remedy=remedy)
    if not build.places:
        fitting = ", ".join(place for place, one in places.all_of().items() if one.runtime == build.resolved.options.runtime)
        remedy = f"name it below `deliver` in the recipe, or a place and a folder here: --to PROFILE FOLDER; for it there are {fitting}"
        raise Failure(
            f"the recipe {build.resolved.recipe} does not say what {name} is delivered to",
            remedy=remedy if fitting else "deliver a build of another runtime",
        )
    if not workspace.store.is_exposed(build.package, build.name):
        raise Failure(f"{name} is not built as its recipe is now", remedy=f"`bakehouse build {name}` makes it")
    return build


def _tell(record: Delivery, done: DeliveredFolder) -> None:
    if not done.new:
        print(f"{done.name}: there already for {done.profile} in {done.folder}")
        return
    for one in record.replaced:
        print(f"changed  {one.path}: {one.why}")
    for path in done.added:
        print(f"added    {path}")
    print(f"{done.name}: {count_text(done.files, 'file')}, {size_text(done.size_bytes)} for {done.profile} in {done.folder}")


def _document(record: Delivery, folder: Path, *, new: bool) -> DeliveredFolder:
    return DeliveredFolder(
        profile=record.profile,
        profile_version=record.profile_version,
        name=record.name,
        folder=str(folder),
        files=len(record.files),
        size_bytes=sum(one.size for one in record.files),
        added=tuple(one.path for one in record.added),
        replaced=tuple(one.path for one in record.replaced),
        left_out=record.left_out,
        new=new,
    )
