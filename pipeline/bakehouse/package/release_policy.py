"""What may leave this machine: a package that was proven, is as it was made, and that its recipe lets go. Whatever sends one asks here."""

from __future__ import annotations

from pathlib import Path

from bakehouse.errors import Failure
from bakehouse.executor.session import Session
from bakehouse.formats import pickles
from bakehouse.package import manifest as manifests
from bakehouse.package.manifest import PackageManifest
from bakehouse.recipe.publish import Destination
from bakehouse.records import FileRecord
from bakehouse.steps.step import Step
from bakehouse.store import files

PICKLES = "files that can run any code when they are loaded (pickles)"
ALLOW_PICKLES = "take another build; only if those who load it can trust you that far, set publish.allow_pickle: true"


def proven(name: str, package: Step, session: Session) -> tuple[PackageManifest, tuple[FileRecord, ...]]:
    """The manifest of a package that passed everything and is, at a glance, as it was made, and all its files.

    Raises:
        Failure: it is not built as its recipe is now, or manifest and files are at odds.
    """
    store = session.store
    record, folder = store.record(package), store.package(name)
    if record is None or not store.is_exposed(package, name):
        raise Failure("it is not built as its recipe is now", remedy=f"`doit build:{name}` makes it")
    manifest = manifests.read(folder)
    wrong = shortcomings(manifest)
    if manifest.key != package.key:
        wrong.append("its manifest is of another package")
    there = {file.path: file for file in record.files}
    wrong += [f"{file.path}: not as the manifest lists it" for file in manifest.files if there.get(file.path) != file]
    if wrong:
        raise Failure(
            "the package is not one that was proven", details=tuple(wrong), remedy=f"`doit clean package:{name}` and build it again"
        )
    return manifest, record.files


def shortcomings(manifest: PackageManifest) -> list[str]:
    """Why a manifest is not that of a package that passed validation, a sentence each."""
    wrong = [
        f"{verdict.prompt!r} was not answered as expected"
        for verdict in (*manifest.verdicts, *manifest.in_use_verdicts)
        if not verdict.passed
    ]
    return wrong if manifest.verdicts else ["no prompt was answered"]


def check_bytes(name: str, folder: Path, parts: tuple[FileRecord, ...]) -> None:
    """Hash every file in the folder of a package, for what nobody hashes again on its way.

    Raises:
        Failure: a file is not as it was made.
    """
    if wrong := files.faults(folder, parts, thorough=True):
        raise Failure("the package is damaged", details=wrong, remedy=f"`doit clean package:{name}` and build it again")


def refuse_unfit(folder: Path, manifest: PackageManifest, destination: Destination | None, *, signed: bool) -> None:
    """Refuse what may not leave at all, however good it is; `destination` is where the recipe publishes it, or None.

    Raises:
        Failure: it has pickles and the recipe does not allow them, it must be signed and is not, or it has a licence of its own whose
            text is missing.
    """
    if destination and destination.sign and not signed:
        raise Failure(
            "the recipe publishes signed packages only, and this one is not signed",
            remedy=f"set PIPELINE_SIGN to what signs it: `doit publish:{manifest.name}` or `doit sign:{manifest.name}` does it then",
        )
    if not (destination and destination.allow_pickle) and (found := pickles.found(folder)):
        raise Failure(f"the package has {PICKLES}", details=found, remedy=ALLOW_PICKLES)
    licence = manifest.build.license
    if licence.lower().startswith("licenseref-") and manifest.licence_file is None:
        raise Failure(
            f"the licence {licence} is its owner's own, and its text is not in the package",
            remedy="take a source that brings its licence as a file (LICENSE)",
        )
