"""What may leave this machine: a package that was validated, is unchanged, and may go by its recipe. Publish, sign and release use it."""

from __future__ import annotations

from pathlib import Path

from bakehouse.errors import Failure
from bakehouse.executor.session import Session
from bakehouse.formats import pickles
from bakehouse.package import manifest as manifests
from bakehouse.package.manifest import PackageManifest
from bakehouse.recipe.publish import Destination
from bakehouse.recipe.spdx import UNSTATED
from bakehouse.records import FileRecord, Verdict
from bakehouse.steps.step import Step
from bakehouse.store import files

PICKLES = "files that can run any code when they are loaded (pickles)"
ALLOW_PICKLES = "Use another build, or set publish.allow_pickle: true if those who load the package can trust you that far."


def proven(name: str, package: Step, session: Session) -> tuple[PackageManifest, tuple[FileRecord, ...]]:
    """The manifest and all files of a package that passed everything and that is unchanged by size and time.

    Raises:
        Failure: it is not built from its present recipe, or manifest and files do not agree.
    """
    store = session.store
    record, folder = store.record(package), store.package(name)
    if record is None or not store.is_exposed(package, name):
        raise Failure("The package is not built from its present recipe.", remedy=f"Build it with `bakehouse build {name}`.")
    manifest = manifests.read(folder)
    wrong = shortcomings(manifest)
    if manifest.key != package.key:
        wrong.append("its manifest belongs to another package")
    recorded = {file.path: file for file in record.files}
    wrong += [f"{file.path}: differs from the manifest" for file in manifest.files if recorded.get(file.path) != file]
    if wrong:
        raise Failure(
            "The package did not pass validation, or has changed since.",
            details=tuple(wrong),
            remedy=f"Run `bakehouse clean package:{name}`, and build it again.",
        )
    return manifest, record.files


def shortcomings(manifest: PackageManifest) -> list[str]:
    """Why the package of a manifest did not pass validation, a sentence each."""
    wrong = [f"{verdict.prompt!r} was not answered as expected" for one in manifest.members or (manifest,) for verdict in _failed(one)]
    return wrong if manifest.verdicts else ["no prompt was answered"]


def _failed(manifest: PackageManifest) -> list[Verdict]:
    """The verdicts that a package should not have; on a stand-in, bounds on the fidelity have decided (stages/stand_in.py)."""
    if manifest.validation.stand_in and manifest.build.options.bounds:
        return []
    return [verdict for verdict in (*manifest.verdicts, *manifest.in_use_verdicts) if not verdict.passed]


def check_bytes(name: str, folder: Path, parts: tuple[FileRecord, ...]) -> None:
    """Hash every file in the folder of a package, because nobody hashes it again later.

    Raises:
        Failure: a file has changed.
    """
    if wrong := files.faults(folder, parts, thorough=True):
        raise Failure("The package is damaged.", details=wrong, remedy=f"Run `bakehouse clean package:{name}`, and build it again.")


def refuse_unfit(folder: Path, manifest: PackageManifest, destination: Destination | None, *, signed: bool) -> None:
    """Refuse a package that may not leave, however good it is; `destination` is where the recipe publishes it, or None.

    Raises:
        Failure: it has pickles and the recipe does not allow them; it must be signed and is not; nobody said what licence
            the model has, or the text of one that is not on the SPDX list is missing.
    """
    if destination and destination.sign and not signed:
        raise Failure(
            "The recipe publishes signed packages only, and this one is not signed.",
            remedy=f"Set PIPELINE_SIGN to the key that signs; `bakehouse publish {manifest.name}` then signs it.",
        )
    if not (destination and destination.allow_pickle) and (found := pickles.found(folder)):
        raise Failure(f"The package has {PICKLES}.", details=found, remedy=ALLOW_PICKLES)
    licence = manifest.build.license
    if licence == UNSTATED:
        raise Failure(
            f"The recipe does not say what licence the model has: {UNSTATED} stands for one that nobody stated.",
            remedy="Find out the model's licence, and write it as source.license in the recipe.",
        )
    if licence.lower().startswith("licenseref-") and manifest.licence_file is None:
        raise Failure(
            f"The licence {licence} is not on the SPDX list, and its text is not in the package.",
            remedy="Use a source that includes its licence as a file (LICENSE).",
        )
