"""Makes the plan of recipes: which steps every build needs, each once even if many builds share it. Nothing is made or fetched here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as with_default
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol

from bakehouse.backends.table import BACKENDS
from bakehouse.errors import Failure
from bakehouse.plan import places, portable
from bakehouse.plan.seams import BundleSpec, PackageSpec, ValidateSpec
from bakehouse.recipe import publish as publishing
from bakehouse.recipe.fits import full_name
from bakehouse.recipe.kinds import BuildOptions
from bakehouse.recipe.loader import Loaded, RecipeErrors
from bakehouse.recipe.locations import Diagnostic
from bakehouse.recipe.publish import CardWords, Destination
from bakehouse.recipe.recipe import Recipe, draft_alone, published_names
from bakehouse.recipe.resolved import ResolvedBuild, home, resolve
from bakehouse.recipe.source import HuggingFace, Local, LocalAdapter
from bakehouse.recipe.texts import Texts, TextsFile
from bakehouse.recipe.types import portable as in_package
from bakehouse.sources import adapters as merging
from bakehouse.sources import calibration, local
from bakehouse.sources import table as sources
from bakehouse.sources.local import Content
from bakehouse.steps.step import Step
from bakehouse.tasks.base import Golden, References, role_of
from bakehouse.tasks.embeddings.golden import TASK as EMBEDDINGS
from bakehouse.tasks.table import TASKS
from bakehouse.tasks.text_generation import reference
from bakehouse.tasks.text_generation.seams import ReferenceSpec
from bakehouse.toolchains import setup as toolchains
from bakehouse.toolchains.table import TOOLCHAINS

# 2: OpenVINO answers in the model's own precision, whatever the processor; 3: so do the NPU's graphs on a CPU;
# 4: after a numeric check; prompts have the source's tokens, full-precision builds agree, OpenVINO also answers with its users' options;
# 5: the NPU pipeline's graphs compute what the model does
VALIDATE_FORMAT = 5
# 2: with bom.json, provenance.json and SHA256SUMS; 3: folders of ONNX builds have fewer than 100 characters;
# 4: bakehouse.json, with the numeric check and both runs; the card names the hub repository;
# 5: cards of NPU builds say up to which length their graphs were compared; 6: cards for the people who read them;
# 7: with the model's fidelity; 8: cards of NPU builds in int8 warn, cards of embeddings in the frame that all such tasks have
PACKAGE_FORMAT = 8
PACKAGE_FORMATS = {EMBEDDINGS: 9}  # 9: cards of embeddings have a program for sentence-transformers

# The roles of what a package needs besides the parts of its model.
_NO_PARTS = ("checkpoint", "validate", "fidelity", "draft_checkpoint")
WITHOUT_ADAPTERS = "reference_without_adapters"  # the role of the source's own answers, next to those with separate adapters
DRAFT_ROLES = "draft_"  # how the roles begin of the steps whose files the draft in a package consists of

Field = tuple[str | int, ...]  # names of fields and places in lists, from the top of a recipe
Contents = Mapping[Field, Content]  # of every local file or folder that a recipe names, by the field that names it
_SOURCE: Field = ("source", "path")
_EVALUATION: Field = ("evaluation", "path")


class _Find(Protocol):
    """Makes a path of what a recipe in the folder `base` has written."""

    def __call__(self, base: Path, written: str, *, confined: bool) -> Path: ...


@dataclass(frozen=True)
class Build:
    """One named result of a recipe and the steps that lead to it.

    Attributes:
        name: recipe and build name joined, `phi3-int4-openvino`.
        resolved: the build with every default spelled out.
        survey: the step that reads shapes and sizes before the download, if the source has them.
        parts: role -> step; their files and the checkpoint's form the model folder.
        cannot: why this machine cannot make it, in a few words, or None.
        destination: where its package is published, or None.
        places: the profiles by which its package is laid out for other programs.
        members: of a bundle, the builds whose folders it holds; `resolved` is then the first of them.
        contents: of the local files that its recipe names, by the field.
        draft: the small model in its package that proposes tokens; it is not validated or packaged by itself.
    """

    name: str
    resolved: ResolvedBuild
    checkpoint: Step
    survey: Step | None
    parts: dict[str, Step]
    validate: Step
    package: Step
    cannot: str | None = None
    destination: Destination | None = None
    places: tuple[str, ...] = ()
    members: tuple[Build, ...] = ()
    contents: Contents = with_default(default_factory=dict)
    draft: Build | None = None


@dataclass(frozen=True)
class Plan:
    """All builds of all recipes."""

    builds: tuple[Build, ...]

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Every step once, each after what it needs."""
        return unique(build.package for build in self.builds)

    @cached_property
    def builds_after(self) -> Mapping[str, tuple[Build, ...]]:
        """The builds whose packages need a step, by the step's key."""
        found: dict[str, list[Build]] = {}
        for build in self.builds:
            for step in build.package.closure():
                found.setdefault(step.key, []).append(build)
        return {key: tuple(builds) for key, builds in found.items()}

    @cached_property
    def _by_name(self) -> Mapping[str, Build]:
        return {build.name: build for build in reversed(self.builds)}

    def build(self, name: str) -> Build | None:
        """The build of that name."""
        return self._by_name.get(name)


def make(loaded: Iterable[Loaded], fingerprint: Callable[[Path], str], *, confined: bool) -> Plan:
    """The plan of these recipes.

    Args:
        fingerprint: the content hash of a local source or calibration file.
        confined: whether recipes may name only what lies in their folder, as those of others.

    Raises:
        RecipeErrors: local sources or calibration files do not exist, are not of the right kind, or are outside the recipes folder; or a
            build is to be delivered to a place that does not take it.
    """
    loaded, errors = tuple(loaded), list[Diagnostic]()
    contents = [_contents(one, fingerprint, confined, errors.append) for one in loaded]
    for one, known in zip(loaded, contents, strict=True):
        _refuse_calibration_text(one, known, errors.append)
        errors += places.misfits(one)
    if errors:
        raise RecipeErrors(tuple(errors))
    return Plan(tuple(build for one, known in zip(loaded, contents, strict=True) for build in _builds(one.recipe, known)))


def again(recipe: Recipe, contents: Contents) -> tuple[Build, ...]:
    """The builds of a recipe that was planned elsewhere, with the contents of its local files as they were found there."""
    return tuple(_builds(recipe, contents))


def _contents(
    loaded: Loaded, fingerprint: Callable[[Path], str], confined: bool, refuse: Callable[[Diagnostic], None]
) -> dict[Field, Content]:
    """Every local file or folder that a recipe names, and its content hash, by the field that names it."""
    found: dict[Field, Content] = {}
    named: dict[str, str] = {}  # what a package calls the file: its content
    for place, written, find in _local_files(loaded.recipe):
        try:
            path = find(loaded.path.parent, written, confined=confined)
            found[place] = Content(path, fingerprint(path))
        except Failure as failure:
            refuse(loaded.at(place, "\n    ".join((failure.what, *failure.details)), failure.remedy))
            continue
        name = in_package(written)
        if named.setdefault(name, found[place].fingerprint) != found[place].fingerprint:
            remedy = "Rename one: a package keeps the last part of a path outside the recipe's folder."
            refuse(loaded.at(place, f"Another local file of this recipe is called {name}, too.", remedy))
    return found


def _refuse_calibration_text(loaded: Loaded, contents: Contents, refuse: Callable[[Diagnostic], None]) -> None:
    """Refuse the texts of a build's calibration as those that its fidelity is measured on: it would look better than it is."""
    evaluation = loaded.recipe.evaluation
    if evaluation is None:
        return
    for name, options in loaded.recipe.builds.items():
        texts = options.texts()
        if texts and _identity(texts, contents.get(_texts(name))) == _identity(evaluation, contents.get(_EVALUATION)):
            reason = f"The build {name} is calibrated with the same texts, and its fidelity on them would look better than it is."
            refuse(loaded.at(("evaluation",), reason, "Name other texts, or leave evaluation out."))


def _identity(texts: Texts, content: Content | None) -> tuple[str, ...]:
    return (content.fingerprint if content else "",) if isinstance(texts, TextsFile) else (texts.repo, texts.revision, texts.file)


def _local_files(recipe: Recipe) -> Iterator[tuple[Field, str, _Find]]:
    """The fields that name a local file or folder, their values, and the function that makes a path of each."""
    if isinstance(recipe.source, Local):
        yield _SOURCE, recipe.source.path, partial(local.resolve_model, pickles=recipe.source.convert_pickles)
    for number, adapter in enumerate(recipe.source.adapters):
        if isinstance(adapter, LocalAdapter):
            yield _adapter(number), adapter.path, local.resolve_adapter
    for name in recipe.drafts:
        own = _local_files(draft_alone(recipe, name))
        yield from (((*_of_draft(name), *place), written, find) for place, written, find in own if place[0] == "source")
    if isinstance(recipe.evaluation, TextsFile):
        yield _EVALUATION, recipe.evaluation.path, calibration.resolve_texts
    for name, options in recipe.builds.items():
        if isinstance(texts := options.texts(), TextsFile):
            yield _texts(name), texts.path, calibration.resolve_texts
    for number, golden in enumerate(recipe.golden):
        for name, path in golden.named_files().items():
            yield ("golden", number, name), path, sources.GOLDEN_FILES[name].resolve


def _adapter(number: int) -> Field:
    return ("source", "adapters", number, "path")


def _of_draft(name: str) -> Field:
    return ("drafts", name)


def _texts(build: str) -> Field:
    return ("builds", build, "quantization", "calibration", "path")


def _builds(recipe: Recipe, contents: Contents) -> Iterator[Build]:
    of_adapters = [contents.get(_adapter(number)) for number, _ in enumerate(recipe.source.adapters)]
    survey = sources.survey(recipe.source, recipe.name)
    runs_code = isinstance(recipe.source, HuggingFace) and bool(recipe.source.remote_code)
    homes = {name: home(recipe, name) for name in published_names(recipe)}
    evaluation = _samples(recipe.evaluation, f"{recipe.name}-evaluation", contents.get(_EVALUATION))
    golden = Golden(tuple(one.normal() for one in recipe.golden), _brought(recipe, contents))
    merged = sources.checkpoint(recipe.source, recipe.name, contents.get(_SOURCE), of_adapters)
    model, adapters = sources.unmerged(merged), sources.adapters_in(merged)
    checkpoints = (merged, model) if adapters else (merged,)
    known = {one: TASKS[recipe.task].references(recipe.name, one, golden, evaluation, runs_code) for one in checkpoints}
    on_toolchain = partial(toolchains.with_toolchain, toolchain=TOOLCHAINS[recipe.toolchain], known={})
    made: dict[str, Build] = {}
    drafts = {name: _draft(recipe, name, contents) for name in recipe.drafts}
    for short in recipe.builds:
        resolved = portable.without_paths(resolve(recipe, short))
        backend = BACKENDS[resolved.options.runtime]
        samples = _samples(recipe.builds[short].texts(), resolved.name, contents.get(_texts(short)))
        separate = adapters if resolved.options.adapters_are_separate() else ()
        checkpoint = model if separate else merged
        parts = backend.steps(resolved.name, resolved.options, checkpoint, recipe.name, samples, runs_code, recipe.task)
        proofs = _proofs(resolved, parts, checkpoint, known[checkpoint])
        if separate:
            parts |= backend.adapters(recipe.name, resolved.options, parts, separate)
            proofs = _with_adapters(proofs, separate)
        parts = {role: on_toolchain(part) for role, part in parts.items()}
        proofs = replace(proofs.each(on_toolchain), files=golden.files)
        draft = drafts.get(resolved.options.drafted_by() or "")
        build = _assemble(resolved, checkpoint, survey, parts | (_parts_of_draft(draft) if draft else {}), proofs, draft)
        made[short] = replace(build, destination=homes[short], places=recipe.deliver.get(short, ()), contents=contents)
    yield from made.values()
    for name, members in recipe.repositories.items():
        words = publishing.card_words(recipe.publish, recipe.source.license, homes[name])
        joined = _bundle(full_name(recipe.name, name), name, [made[member] for member in members], words)
        yield replace(joined, destination=homes[name], places=recipe.deliver.get(name, ()))


def _draft(recipe: Recipe, name: str, contents: Contents) -> Build:
    """A draft as a build of its own."""
    at = _of_draft(name)
    own = {field[len(at) :]: content for field, content in contents.items() if field[: len(at)] == at}
    (build,) = _builds(draft_alone(recipe, name), own)
    return build


def _parts_of_draft(draft: Build) -> dict[str, Step]:
    """What a package with this draft has of it, by role."""
    return {f"{DRAFT_ROLES}{role}": step for role, step in (("checkpoint", draft.checkpoint), *draft.parts.items())}


def _brought(recipe: Recipe, contents: Contents) -> dict[str, Step]:
    """The steps that bring the files which golden inputs name, by role."""
    return {
        role_of(number, name): sources.GOLDEN_FILES[name].step(f"{recipe.name}-{number + 1}", contents["golden", number, name])
        for number, golden in enumerate(recipe.golden)
        for name in golden.named_files()
    }


def _samples(texts: Texts | None, name: str, content: Content | None) -> Step | None:
    """The step that provides the texts of a data-aware method or of an evaluation."""
    return calibration.samples(texts, name, content) if texts else None


@dataclass(frozen=True)
class Proofs:
    """The steps that a build is proven with: the source's answers, the numeric check, and its fidelity; None where a backend has none.

    `files` are those that bring the files which golden inputs name; of a build with separate adapters `reference` has the answers with
    them, and `without_adapters` the others.
    """

    reference: Step
    numeric: Step | None
    fidelity: Step | None
    files: Mapping[str, Step] = with_default(default_factory=dict)
    without_adapters: Step | None = None

    def each(self, change: Callable[[Step], Step]) -> Proofs:
        """The same with every step but those of files changed."""
        numeric, fidelity, without = (one and change(one) for one in (self.numeric, self.fidelity, self.without_adapters))
        return Proofs(change(self.reference), numeric, fidelity, self.files, without)


def _proofs(resolved: ResolvedBuild, parts: dict[str, Step], checkpoint: Step, known: References) -> Proofs:
    """What the build's task and its backend both have."""
    backend, name, options = BACKENDS[resolved.options.runtime], resolved.name, resolved.options
    return Proofs(
        reference=known.answers,
        numeric=backend.numeric_check(name, options, parts, checkpoint, known.logits, resolved.recipe) if known.logits else None,
        fidelity=backend.fidelity(name, options, parts, known.distributions) if known.distributions else None,
    )


def _with_adapters(proofs: Proofs, separate: Sequence[tuple[Step, float]]) -> Proofs:
    """The same for a model with separate adapters, whose answers are compared with those of the source with these and without."""
    plain = proofs.reference
    spec = plain.spec_as(ReferenceSpec)
    adapted = reference.step(f"{plain.label}-with-adapters", plain.need("checkpoint"), spec.prompts, spec.remote_code, separate)
    return replace(proofs, reference=adapted, without_adapters=plain)


def _as_validated(options: BuildOptions) -> BuildOptions:
    """Without what is judged when the package is made, so that another bound runs nothing again."""
    return options.model_copy(update={"bounds": None, "proven_on": "any"})


def _assemble(
    resolved: ResolvedBuild, checkpoint: Step, survey: Step | None, parts: dict[str, Step], proofs: Proofs, draft: Build | None
) -> Build:
    """Join the parts of a build with the steps that validate and package it."""
    runtime = resolved.options.runtime
    backend = BACKENDS[runtime]
    pieces = (("checkpoint", checkpoint), *parts.items())
    validate = Step(
        kind="validate",
        maker=runtime,
        label=resolved.name,
        spec=ValidateSpec(task=resolved.task, golden=resolved.golden, options=_as_validated(resolved.options)),
        needs=(
            *pieces,
            *proofs.files.items(),
            ("reference", proofs.reference),
            *(((WITHOUT_ADAPTERS, proofs.without_adapters),) if proofs.without_adapters else ()),
            *((("numeric", proofs.numeric),) if proofs.numeric else ()),
        ),
        tools=backend.generate_tools(resolved.options),
        format=VALIDATE_FORMAT,
    )
    needs = (*pieces, ("validate", validate), *((("fidelity", proofs.fidelity),) if proofs.fidelity else ()))
    package = Step(
        kind="package",
        maker=runtime,
        label=resolved.name,
        spec=PackageSpec(build=resolved),
        needs=needs,
        format=PACKAGE_FORMATS.get(resolved.task, PACKAGE_FORMAT),
    )
    return Build(
        resolved.name,
        resolved,
        checkpoint,
        survey,
        parts,
        validate,
        package,
        sources.missing(checkpoint)
        or (merging.missing() if proofs.without_adapters else None)
        or backend.missing(resolved.options)
        or toolchains.missing(TOOLCHAINS[resolved.toolchain])
        or (draft.cannot if draft else None),
        draft=draft,
    )


def _bundle(name: str, short: str, members: list[Build], words: CardWords | None) -> Build:
    """One package of several builds."""
    first = members[0]
    package = Step(
        kind="package",
        maker=first.package.maker,
        label=name,
        spec=BundleSpec(repository=short, builds=tuple(member.resolved for member in members), card=words),
        needs=tuple((member.resolved.build, member.package) for member in members),
        format=PACKAGE_FORMAT,
    )
    cannot = next((member.cannot for member in members if member.cannot), None)
    resolved = first.resolved.model_copy(update={"name": name, "build": short, "card": words})
    return replace(first, name=name, resolved=resolved, parts={}, package=package, cannot=cannot, members=tuple(members))


def model_parts(package: Step) -> dict[str, Step]:
    """The steps whose files the model in a package consists of, by role."""
    return {role: step for role, step in package.needs if role not in _NO_PARTS}


def unique(steps: Iterable[Step]) -> tuple[Step, ...]:
    """These steps and all they need, each once by key, deepest first."""
    seen: dict[str, Step] = {}

    def take(step: Step) -> None:
        if step.key in seen:
            return
        for _, needed in step.needs:
            take(needed)
        seen.setdefault(step.key, step)

    for step in steps:
        take(step)
    return tuple(seen.values())
