"""Join packages of several builds to one repository: their model folders side by side, one card, one manifest."""

from __future__ import annotations

from datetime import UTC, datetime

from bakehouse.executor.making import Made, make
from bakehouse.executor.session import Session, machine
from bakehouse.package import manifest as manifests
from bakehouse.package.file_names import CARD, RECIPE
from bakehouse.package.manifest import PackageManifest
from bakehouse.plan.seams import BundleSpec
from bakehouse.stages.package import describe, recipe_text
from bakehouse.steps.maker import Verification
from bakehouse.steps.step import Step
from bakehouse.store import files
from bakehouse.store.store import Staging


def run(step: Step, session: Session) -> None:
    """Make the repository of builds whose packages are made: every folder in it is the one that was verified and validated."""
    spec = step.spec_as(BundleSpec)

    def fill(staging: Staging) -> Made:
        members: list[PackageManifest] = []
        made: set[str] = set()
        for build in spec.builds:
            package = session.store.files(step.need(build.build))
            members.append(manifests.read(package))
            wanted = {file.path for file in members[-1].files if file.path.startswith(f"{build.options.folder()}/")}
            for place in sorted(wanted | _legal(members[-1]) - made):
                files.link(package / place, staging.files / place)
                made.add(place)
        files.write(staging.files / RECIPE, recipe_text(*spec.builds, bundle=spec.repository, words=spec.card))
        describe(staging.files, _manifest(step, spec, members))
        return Made(Verification())

    make(step, session, fill)


def _legal(manifest: PackageManifest) -> set[str]:
    """Files at the top of a package that come from the source: licences and notices."""
    return {file.path for file in manifest.files if "/" not in file.path} - {CARD, RECIPE}


def _manifest(step: Step, spec: BundleSpec, members: list[PackageManifest]) -> PackageManifest:
    """What is known of all members; the first stands for what they have in common."""
    first = members[0]
    steps = {one.key: one for member in members for one in member.steps}
    name = {"name": step.label, "build": spec.repository, "card": spec.card}
    return first.model_copy(
        update={
            "name": step.label,
            "key": step.key,
            "build": first.build.model_copy(update=name),
            "tools": dict(sorted({name: version for member in members for name, version in member.tools.items()}.items())),
            "packages": tuple(dict.fromkeys(package for member in members for package in member.packages)),
            "reference_tools": dict(
                sorted({name: version for member in members for name, version in member.reference_tools.items()}.items())
            ),
            "steps": tuple(steps.values()),
            "files": (),
            "measured": {member.build.options.folder(): member.measured for member in members},
            "targets": tuple(dict.fromkeys(target for member in members for target in member.targets)),
            "made_at": datetime.now(UTC),
            "made_on": machine(),
            "members": tuple(members),
            "fidelity": None,  # each member has its own
            "wheels": tuple({wheel.name: wheel for member in members for wheel in member.wheels}.values()),
        }
    )
