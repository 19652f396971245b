"""`bakehouse deliver`: a package, laid out for another program."""

from __future__ import annotations

import argparse
from pathlib import Path

from bakehouse.app import documents
from bakehouse.app.documents import DeliveredFolder
from bakehouse.app.screen import JSON_HELP, escape_what_cannot_be_shown, show
from bakehouse.app.workspace import artifacts_folder
from bakehouse.deliver import make, profiles
from bakehouse.deliver.record import Delivery
from bakehouse.errors import Failure, NotInstalled
from bakehouse.executor.process import Children
from bakehouse.inference.found import find
from bakehouse.text import count_text, size_text


def parser() -> argparse.ArgumentParser:
    """The arguments of `deliver`."""
    offered = profiles.all_of().values()
    made = argparse.ArgumentParser(
        "bakehouse deliver",
        description="Copy a package into a new folder, laid out as another program wants it, with what that needs in addition and a "
        "README.md that says how to use it. The weights stay byte for byte the package's. "
        + " ".join(f"{one.profile.name} takes {one.profile.takes}." for one in offered),
    )
    made.add_argument("package", metavar="NAME|DIR", help="a build that is made here, or the folder of any package")
    made.add_argument("target", type=Path, metavar="FOLDER", help="the new folder; it may exist if it is empty")
    names = [one.profile.name for one in offered]
    made.add_argument("--to", required=True, metavar="PROFILE", choices=names, help=f"for which program: {', '.join(names)}")
    made.add_argument("--json", action="store_true", help=JSON_HELP)
    return made


def run(given: argparse.Namespace) -> int:
    """Deliver one package.

    Raises:
        Failure: there is none, the place does not take it, or the folder cannot be filled.
    """
    escape_what_cannot_be_shown()
    try:
        record = _delivered(given)
    except Failure as failure:
        return show(failure, 3 if isinstance(failure, NotInstalled) else 1, as_json=given.json)
    size = sum(one.size for one in record.files)
    if given.json:
        print(documents.text(_document(record, given.target, size)))
        return 0
    for one in record.replaced:
        print(f"changed  {one.path}: {one.why}")
    for added in record.added:
        print(f"added    {added.path}")
    print(f"{record.name}: {count_text(len(record.files), 'file')}, {size_text(size)} for {record.profile} in {given.target}")
    return 0


def _delivered(given: argparse.Namespace) -> Delivery:
    found = find(given.package, artifacts_folder() / "packages")
    package = make.packed(found)
    profile = profiles.chosen(given.to, package.name, package.builds[0].runtime)
    children = Children()
    try:
        return make.deliver(found, profile, given.target.expanduser().absolute(), children)
    finally:
        children.stop()


def _document(record: Delivery, target: Path, size: int) -> DeliveredFolder:
    return DeliveredFolder(
        profile=record.profile,
        profile_version=record.profile_version,
        name=record.name,
        folder=str(target.absolute()),
        files=len(record.files),
        size_bytes=size,
        added=tuple(one.path for one in record.added),
        replaced=tuple(one.path for one in record.replaced),
        left_out=record.left_out,
    )
