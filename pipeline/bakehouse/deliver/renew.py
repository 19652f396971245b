"""Keeps a delivered folder up to date: it stays if the package is the same, and gives way as a whole if it is another one."""

from __future__ import annotations

from pathlib import Path

from bakehouse.backends.delivery import Profile
from bakehouse.deliver import inspect, make
from bakehouse.deliver.record import Delivery
from bakehouse.errors import Failure
from bakehouse.executor.process import Children
from bakehouse.inference.found import Found
from bakehouse.package.file_names import DELIVERY
from bakehouse.store import files, package_files


def renew(found: Found, profile: Profile, target: Path, children: Children) -> tuple[Delivery, bool]:
    """The record of the package in the folder `target`, and whether it was laid out now.

    Raises:
        Failure: as of `make.deliver`; or what was delivered there is damaged, or of another package or place.
    """
    if not inspect.is_delivered(target):
        return make.deliver(found, profile, target, children), True
    before = _before(target, found, profile)
    now = files.sha256(package_files.file_in(found.folder))
    if (before.profile_version, before.manifest_sha256) == (profile.version, now):
        return before, False
    fresh = target.with_name(f".{target.name}.new")
    try:
        files.remove(fresh)
        made = make.deliver(found, profile, fresh, children)
        files.exchange(fresh, target)
    finally:
        files.remove(fresh)
    return made, True


def _before(target: Path, found: Found, profile: Profile) -> Delivery:
    """The record of a folder that may be replaced: of this package in an earlier state, for this place, and nothing else in it."""
    remedy = "Move the folder away, or remove it if nobody needs it."
    if faults := inspect.inspect(target).faults:
        raise Failure("What was delivered here is no longer as it was", where=str(target), details=faults[:1], remedy=remedy)
    before = Delivery.model_validate_json((target / DELIVERY).read_bytes())
    if (before.name, before.profile) != (make.packed(found).name, profile.name):
        raise Failure(f"{before.name} was delivered here, for {before.profile}", where=str(target), remedy=remedy)
    return before
