"""Join the parts that passed to exactly the tree that will be published: model files, manifest, card, recipe, licence, proofs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, assert_never

import yaml

from bakehouse.backends.base import Backend
from bakehouse.executor.making import Made, make
from bakehouse.executor.session import Session, builder, machine
from bakehouse.package import card, card_words, wheels
from bakehouse.package import proofs as proof
from bakehouse.package.file_names import CARD, RECIPE
from bakehouse.package.manifest import PackageManifest, SourceRecord, StepRun
from bakehouse.plan.plan import DRAFT_ROLES, model_parts
from bakehouse.plan.seams import PackageSpec
from bakehouse.recipe import bounds as bounds_of
from bakehouse.recipe.publish import CardWords
from bakehouse.recipe.resolved import ResolvedBuild, as_recipe
from bakehouse.recipe.source import ADAPTER_ROLES, HubAdapter, HuggingFace, Local, PyPI, Source, adapter_role
from bakehouse.records import Distribution, Fidelity, NumericCheck, StepRecord, Validation
from bakehouse.stages import stand_in
from bakehouse.stages.validate import RESULT, link_model
from bakehouse.steps.maker import Verification
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Step
from bakehouse.store import files
from bakehouse.store.package_files import MANIFEST
from bakehouse.store.store import Staging, Store
from bakehouse.toolchains import setup as toolchains

_REFERENCES = ("reference", "reference_logits", "fidelity_reference")
_DRAFT = DRAFT_ROLES.rstrip("_")  # the folder of the draft in a package, and its part of what was measured
_LICENCES = ("LICENSE", "LICENCE", "NOTICE", "COPYING", "USE_POLICY")


def run(step: Step, backend: Backend, session: Session) -> None:
    """Make the package of a build whose parts are made and whose validation passed."""
    store = session.store
    build = step.spec_as(PackageSpec).build

    def fill(staging: Staging) -> Made:
        fidelity = fidelity_of(step, store)
        validation = _validation(step, store)
        own = card_words.both(backend.targets(build.options))
        if refused := beyond_bounds(build, fidelity) or stand_in.not_proven(build, own, validation, fidelity):
            return Made(refused)
        link_model(step, build.options, backend, store, staging.files)
        for part, folder in _licensed(step, staging.files):
            for path in _licences(store.files(part)):
                files.link(path, folder / path.name)
        files.write(staging.files / RECIPE, recipe_text(build))
        describe(staging.files, _manifest(step, build, backend, store, fidelity))
        return Made(Verification())

    make(step, session, fill)


def _licensed(step: Step, folder: Path) -> Iterator[tuple[Step, Path]]:
    """The steps whose files may have a licence, each with the folder of the package that the licence belongs in."""
    for role, needed in step.needs:
        if role == "checkpoint":
            yield needed, folder
        elif role == f"{DRAFT_ROLES}checkpoint":
            yield needed, folder / _DRAFT
        elif role.startswith(ADAPTER_ROLES):
            yield needed.need("adapter"), folder / role


def fidelity_of(step: Step, store: Store) -> Fidelity | None:
    """What was measured of the model that a package holds; None if its backend does not measure it."""
    needed = dict(step.needs).get("fidelity")
    return None if needed is None else Fidelity.model_validate_json(json.dumps(_record(needed, store).measured))


def _validation(step: Step, store: Store) -> Validation:
    return Validation.model_validate_json((store.files(step.need("validate")) / RESULT).read_bytes())


def beyond_bounds(build: ResolvedBuild, found: Fidelity | None) -> Verification | None:
    """What is wrong with a build that is further from its source than its bounds allow; None if it is within."""
    bounds = build.options.bounds
    if bounds is None:
        return None
    faults = bounds_of.beyond(bounds, found.figures) if found else ("this runtime has no measure of fidelity",)
    remedy = "choose a quantization that loses less, or a wider bound if the model is good enough for you"
    what = "the model is further from its source than the recipe's bounds allow"
    return Verification(found.model_dump(mode="json") if found else {}, faults, what, remedy) if faults else None


def describe(folder: Path, manifest: PackageManifest) -> None:
    """Add card, manifest and proofs to a package that has its other files."""
    # The card is about the manifest, and the manifest lists the card: it is written first without it.
    manifest = manifest.model_copy(update={"files": files.records(folder)})
    files.write(folder / CARD, card.render(manifest))
    listed = sorted((*manifest.files, *files.records_of(folder, [folder / CARD])), key=lambda file: file.path)
    manifest = manifest.model_copy(update={"files": tuple(listed)})
    files.write(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    proof.write(folder, manifest)


def _licences(checkpoint: Path) -> list[Path]:
    return [path for path in files.walk(checkpoint) if path.parent == checkpoint and path.name.upper().startswith(_LICENCES)]


def recipe_text(*builds: ResolvedBuild, bundle: str = "", words: CardWords | None = None) -> str:
    """The recipe of these builds alone, nothing left to defaults, as YAML that the loader reads; `words` are the repository's card's."""
    recipe = as_recipe(*builds, bundle=bundle, words=words).model_dump(mode="json", exclude_none=True)
    if not recipe["repositories"]:
        del recipe["repositories"]
    return yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True, width=120)


def _manifest(step: Step, build: ResolvedBuild, backend: Backend, store: Store, fidelity: Fidelity | None) -> PackageManifest:
    """All that is known of the package but its own files, out of the records of the steps that it was made by."""
    records = [_record(needed, store) for needed in step.closure() if needed is not step]
    checkpoint, drafted = step.need("checkpoint"), dict(step.needs).get(f"{DRAFT_ROLES}checkpoint")
    tools = _tools(record for record in records if record.kind not in _REFERENCES)
    reference_tools = _tools(record for record in records if record.kind in _REFERENCES)
    return PackageManifest(
        name=build.name,
        key=step.key,
        build=build,
        source=_source(build.source, checkpoint, store, _adapters(build, step)),
        draft_source=_source(build.draft.source, drafted, store, _merged(build.draft.source, drafted)) if build.draft and drafted else None,
        tools=tools,
        packages=_packages(step, backend, store),
        reference_tools=reference_tools,
        steps=tuple(StepRun(kind=record.kind, key=record.key, ran=record.ran, made_at=record.made_at) for record in records),
        files=(),
        measured=_measured(step, store),
        validation=_validation(step, store),
        targets=backend.targets(build.options),
        made_at=datetime.now(UTC),
        made_on=machine(),
        wheels=wheels.installed(tools | reference_tools),
        builder=builder(),
        numeric=_numeric(records),
        fidelity=fidelity,
    )


def _adapters(build: ResolvedBuild, step: Step) -> dict[str, Step]:
    """The steps that brought the adapters of a package's model, by role."""
    if not build.options.adapters_are_separate():
        return _merged(build.source, step.need("checkpoint"))
    return {role: needed.need("adapter") for role, needed in step.needs if role.startswith(ADAPTER_ROLES)}


def _merged(source: Source, checkpoint: Step) -> dict[str, Step]:
    return {role: checkpoint.need(role) for role in (adapter_role(number) for number, _ in enumerate(source.adapters, 1))}


def _source(source: Source, checkpoint: Step, store: Store, adapters: Mapping[str, Step]) -> SourceRecord:
    """A source and every file that came from there, those of its adapters in folders of their own."""
    of_adapters = [
        file.model_copy(update={"path": f"{role}/{file.path}"}) for role, one in adapters.items() for file in _record(one, store).files
    ]
    described = _described(source, separate=not any(role in dict(checkpoint.needs) for role in adapters))
    return SourceRecord(described=described, files=(*_record(next(checkpoint.closure()), store).files, *of_adapters))


def _measured(step: Step, store: Store) -> dict[str, Any]:
    """What was measured of each part of the model, and of those of its draft."""
    parts = {role: _record(needed, store).measured for role, needed in model_parts(step).items()}
    own = {role: found for role, found in parts.items() if not role.startswith(DRAFT_ROLES)}
    draft = {role.removeprefix(DRAFT_ROLES): found for role, found in parts.items() if role.startswith(DRAFT_ROLES)}
    return own | ({_DRAFT: draft} if draft else {})


def _numeric(records: Iterable[StepRecord]) -> NumericCheck | None:
    """What the numeric check found, if there was one."""
    found = next((record.measured for record in records if record.kind == "numeric_check"), None)
    return None if found is None else NumericCheck.model_validate_json(json.dumps(found))


def _tools(records: Iterable[StepRecord]) -> dict[str, str]:
    return dict(sorted((name, version) for record in records for name, version in record.tools.items()))


def _packages(step: Step, backend: Backend, store: Store) -> tuple[Distribution, ...]:
    """What steps installed for themselves, by name: toolchains and what is the backend's own."""
    found: set[Distribution] = set()
    for needed in (one for one in step.closure() if one.kind == "setup"):
        report = Report(_record(needed, store).facts)
        found |= set(toolchains.packages(report) if needed.maker == toolchains.MAKER else backend.packages(needed, report))
    return tuple(sorted(found, key=lambda package: (package.name, package.version)))


def _record(step: Step, store: Store) -> StepRecord:
    record = store.record(step)
    if record is None:
        raise LookupError(f"{step.kind} of {step.label} is not in the store, although the package needs it")
    return record


def _described(source: Source, *, separate: bool) -> str:
    """Where the model comes from, in words; `separate`: its adapters are not in its weights."""
    match source:
        case HuggingFace(repo=repo, revision=revision, gguf=gguf):
            return f"{gguf} of {repo} at {revision}" if gguf else f"{repo} at {revision}{_changed(source, separate)}"
        case PyPI(parts=parts, file=file) if parts:
            wheels = dict.fromkeys(f"{part.package} {part.version}" for part in parts)
            return f"{file}, joined from files in {', '.join(wheels)} on PyPI"
        case PyPI(package=package, version=version, file=file):
            return f"{file} in {package} {version} on PyPI"
        case Local(path=path):
            return f"the local files {path}{_changed(source, separate)}"
        case _:
            assert_never(source)


def _changed(source: HuggingFace | Local, separate: bool) -> str:
    dequantized = ", whose quantized weights were dequantized first" if source.dequantize else ""
    named = [f"{one.repo} at {one.revision}" if isinstance(one, HubAdapter) else one.path for one in source.adapters]
    how = "next to it" if separate else "merged into it"
    return dequantized + (f", with the LoRA adapter{'s' if len(named) > 1 else ''} {', '.join(named)} {how}" if named else "")
