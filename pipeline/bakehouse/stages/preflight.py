"""Can it succeed? Checked before the work: tools, shapes, disk and memory, from headers alone; and refused with numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bakehouse.backends.table import BACKENDS
from bakehouse.errors import Failure
from bakehouse.executor import memory
from bakehouse.executor.session import Session
from bakehouse.formats import checkpoint as surveys
from bakehouse.formats import gguf_faults, gguf_header, quantized
from bakehouse.formats.checkpoint import Survey
from bakehouse.package import release_policy as gate
from bakehouse.package import signing
from bakehouse.plan.plan import Build, model_parts
from bakehouse.recipe.source import ADAPTER_ROLES
from bakehouse.sources import dequantize, local
from bakehouse.sources import table as sources
from bakehouse.sources.seams import LocalSpec
from bakehouse.stages import convert, estimates, prompt_room
from bakehouse.stages import remote_code as consent
from bakehouse.steps.step import Step
from bakehouse.store.store import Store
from bakehouse.tasks.table import TASKS
from bakehouse.tasks.text_generation import draft_tokens
from bakehouse.toolchains.table import misread

_GB = 1e9
_DOWNLOADS = ("download", "calibration", "recording", "picture")
_READ_NO_CHECKPOINT = (*_DOWNLOADS, "setup")


@dataclass(frozen=True)
class Forecast:
    """What the missing steps of some builds will take; None where nothing can be known before the download.

    Attributes:
        download_bytes: what is fetched over the network.
        disk_bytes: what all new directories hold, downloads among them, and the temporary files of the step that has the most.
        memory_bytes: what the hungriest step takes.
        copy_bytes: of `disk_bytes`, what the packages under their names take: files of their own, which a file system may let share
            the store's blocks.
        local_bytes: what is copied from local sources; the store may share their blocks.
    """

    download_bytes: int | None
    disk_bytes: int | None
    memory_bytes: int | None
    copy_bytes: int = 0
    local_bytes: int = 0


@dataclass(frozen=True)
class SingleStep:
    """A step that is requested by itself, and the builds that it leads to."""

    step: Step
    builds: tuple[Build, ...]


def missing(builds: Iterable[Build], store: Store, singles: Iterable[SingleStep] = ()) -> tuple[Step, ...]:
    """The steps that would run, in order: a step in the store hides what only it needs.

    Each is looked for once: an environment of 15,000 files takes a second, and several steps of several builds read it.
    """
    wanted: dict[str, Step] = {}
    seen: set[str] = set()

    def want(step: Step) -> None:
        if step.key in seen:
            return
        seen.add(step.key)
        if store.has(step):
            return
        for needed in step.reads:
            want(needed)
        wanted[step.key] = step

    for step in (*(build.package for build in builds), *(one.step for one in singles)):
        want(step)
    return tuple(wanted.values())


def survey_of(build: Build, session: Session, *, ask: bool) -> Survey | None:
    """What is known of a build's checkpoint: from the store, else (if `ask`) from the hub, else None."""
    if session.store.has(build.checkpoint):
        return surveys.read_checkpoint(session.store.files(build.checkpoint))
    source = _survey_of_source(build, session, ask=ask)
    return dequantize.survey(source) if source and _unmerged(build).maker == dequantize.MAKER else source


def _unmerged(build: Build) -> Step:
    """The step of a build's checkpoint before adapters are merged into it."""
    return sources.unmerged(build.checkpoint)


def _survey_of_source(build: Build, session: Session, *, ask: bool) -> Survey | None:
    """What is known of what a checkpoint is made from; adapters change no name, type or shape."""
    store, model = session.store, _unmerged(build)
    download = model.need("download") if model.maker == dequantize.MAKER else model
    if store.has(download):
        return surveys.read_checkpoint(store.files(download))
    if build.survey is None:
        return _next_to_the_recipe(download)
    if not store.has(build.survey):
        if not ask:
            return None
        convert.run(build.survey, sources.SOURCES[build.survey.maker], session)
    return Survey.model_validate_json((store.files(build.survey) / "survey.json").read_bytes())


def _next_to_the_recipe(checkpoint: Step) -> Survey | None:
    """What is known of a local checkpoint before it is copied; of a GGUF file nothing is before it is read."""
    folder = _local_folder(checkpoint)
    if folder is None:
        return None
    weights = sum(path.stat().st_size for path in local.files_of(folder).values())
    return surveys.read_checkpoint(folder).model_copy(update={"download_bytes": weights})


def _local_folder(checkpoint: Step) -> Path | None:
    if not isinstance(checkpoint.spec, LocalSpec) or checkpoint.spec.gguf or local.pickled(local.place(checkpoint)):
        return None
    return local.place(checkpoint)


def forecast(builds: Iterable[Build], session: Session, *, ask: bool, singles: Iterable[SingleStep] = ()) -> Forecast:
    """What the missing steps of these builds, and of what is requested besides them, will take, from shapes alone."""
    singles = tuple(singles)
    builds = tuple(build for build in builds if not session.store.is_exposed(build.package, build.name))  # others take nothing
    download = near = disk = memory = scratch = 0
    steps = missing(builds, session.store, singles)
    concerned = (*builds, *(build for one in singles if one.step.kind != "setup" for build in one.builds))
    known: dict[str, Survey | None] = {}
    for model in (one for build in concerned for one in (build, build.draft) if one and steps):
        found = survey_of(model, session, ask=ask)
        known |= dict.fromkeys((one.key for one in model.checkpoint.closure()), found)
        # Adapters that stay separate are small next to their model, and how small is known only when they are here.
        known |= dict.fromkeys(_separate_adapters(model), found and found.model_copy(update={"download_bytes": 0}))
    for step in steps:
        survey = next((known[needed.key] for needed in step.closure() if needed.key in known), None)
        if step.kind == "setup":  # it reads no checkpoint, and takes the same for all of them
            survey = next(iter(known.values()), None)
        if survey is None:
            return Forecast(None, None, None)
        estimate = estimates.of(step, survey)
        if step.kind == "download":
            disk += survey.download_bytes
            here = isinstance(step.spec, LocalSpec)
            download, near = (download, near + survey.download_bytes) if here else (download + survey.download_bytes, near)
        disk += estimate.disk_bytes
        scratch = max(scratch, estimate.scratch_bytes)
        memory = max(memory, estimates.resident_bytes(estimate))
    surveys_of = {key: survey for key, survey in known.items() if survey}
    # Packages under their names are files of their own, besides what they take in the store.
    to_copy = () if not builds or session.store.shares_blocks() else builds
    copies = sum(_package_bytes(build.package, session.store, surveys_of) for build in to_copy)
    return Forecast(download, disk + scratch + copies, memory, copies, near)


def _separate_adapters(build: Build) -> Iterator[str]:
    """The keys of the steps that bring adapters which are not merged into the checkpoint."""
    for role, step in build.parts.items():
        if role.startswith(ADAPTER_ROLES):
            yield step.need("adapter").key


def _package_bytes(step: Step, store: Store, known: Mapping[str, Survey]) -> int:
    """About what the files of a package take: as they are, or those of the parts that it will be joined from."""
    if (record := store.record(step)) and store.has(step):
        return sum(file.size for file in record.files)
    if step.kind == "package":
        parts = (needed for needed in model_parts(step).values() if needed.kind != "setup")
        return sum(_package_bytes(part, store, known) for part in parts)
    return estimates.of(step, next(known[needed.key] for needed in step.closure() if needed.key in known)).disk_bytes


def check(builds: Iterable[Build], session: Session, singles: Iterable[SingleStep] = (), *, elsewhere: bool = False) -> Forecast:
    """Refuse builds, and steps requested by themselves, that cannot succeed on this machine, all reasons at once, before any of the work.

    A step that several builds share is refused if it can lead to none of them. A download needs only room, if its size is known.
    What is made `elsewhere`, on a cluster, needs neither tools nor room of this machine.

    Raises:
        Failure: a tool is missing, code of a repository would run unasked, a shape does not fit the options, or disk or memory is short.
    """
    builds = tuple(builds)
    todo = [build for build in builds if not session.store.has(build.package)]
    singles = [one for one in singles if not session.store.has(one.step)]
    ways = [*((build,) for build in todo), *(one.builds for one in singles if one.step.kind not in _DOWNLOADS)]
    read = [*((build,) for build in todo), *(one.builds for one in singles if one.step.kind not in _READ_NO_CHECKPOINT)]
    if reasons := () if elsewhere else _against(ways, lambda build: [build.cannot] if build.cannot else []):
        raise Failure(
            "this machine cannot make every requested build", details=reasons, remedy="install what is named, or leave those builds out"
        )
    consent.refuse_code(missing(todo, session.store, singles))
    if reasons := _against(read, lambda build: misfits(build, session, ask=True)):
        raise Failure(
            "the recipe does not fit the model", details=reasons, remedy="change these options in the recipe, or take another source"
        )
    expected = forecast(builds, session, ask=False, singles=singles)
    if not elsewhere:
        check_room(expected, session.store)
    return expected


def refusals(
    builds: Iterable[Build], session: Session, singles: Iterable[SingleStep] = (), *, elsewhere: bool = False
) -> list[tuple[Step, Failure]]:
    """What `check` would refuse of each of these by itself, by package or step: for a run in which the others go on.

    A source that does not answer gets one request for all of its builds.
    """
    silent: dict[str, Failure] = {}
    found: list[tuple[Step, Failure]] = []
    wanted = [*((one.package, (one,), ()) for one in builds), *((one.step, one.builds, (one,)) for one in singles)]
    for step, ways, by_itself in wanted:
        try:
            if step.kind not in _READ_NO_CHECKPOINT and not session.store.has(step):
                _hear_of(ways[0], session, silent)
            check(() if by_itself else ways, session, by_itself, elsewhere=elsewhere)
        except Failure as failure:
            found.append((step, failure))
    return found


def _hear_of(build: Build, session: Session, silent: dict[str, Failure]) -> None:
    """Ask what a build's checkpoint is; a source that is `silent` already is not asked again."""
    key = build.checkpoint.key
    if key not in silent:
        try:
            survey_of(build, session, ask=True)
        except Failure as failure:
            silent[key] = failure
    if key in silent:
        raise silent[key]


def _against(ways: Iterable[tuple[Build, ...]], reasons: Callable[[Build], Iterable[str]]) -> tuple[str, ...]:
    """Why none of the builds of a way can be made: of every way for which that is so, each reason once."""
    found: dict[str, None] = {}
    for builds in ways:
        by_build = [[f"{one.name}: {reason}" for one in build.members or (build,) for reason in reasons(one)] for build in builds]
        if all(by_build):
            found |= dict.fromkeys(reason for those in by_build for reason in those)
    return tuple(found)


def misfits(build: Build, session: Session, *, ask: bool) -> tuple[str, ...]:
    """Why a build's options do not fit its checkpoint, as far as that is known: a source elsewhere is asked only if `ask`.

    Raises:
        Failure: the source does not answer, or is not a complete checkpoint.
    """
    if build.draft:
        return (*misfits(replace(build, draft=None), session, ask=ask), *_of_draft(build, build.draft, session, ask=ask))
    survey = survey_of(build, session, ask=ask)
    options = build.resolved.options
    task = TASKS[build.resolved.task]
    if survey is None:
        return _unreadable_gguf(build)
    if reasons := _nothing_to_dequantize(build, session):
        return reasons
    # The options need no word where no runtime could make the checkpoint.
    toolchain = build.resolved.toolchain
    backend = BACKENDS[options.runtime]
    fit = task.unfit(survey) or (*misread(survey.config, toolchain), *backend.preflight(options, survey, toolchain, build.resolved.task))
    here = _folder(build, session)
    of_files = task.misfits_of_files(build.resolved, here, survey, sources.brings_code(build.checkpoint)) if here else ()
    reasons = (*fit, *task.misfits(build.resolved, survey), *_of_inputs(build), *_other_licence(build, survey), *of_files)
    return reasons or tuple(prompt_room.beyond(build, here, survey.config, session.children) if here else ())


def _of_inputs(build: Build) -> Iterator[str]:
    """What golden inputs ask for that the build's runtime does not do."""
    for number, golden in enumerate(build.resolved.golden):
        files = {name: build.contents["golden", number, name].path for name in golden.named_files()}
        yield from (f"golden input {number + 1}: {reason}" for reason in build.resolved.options.misfits(golden, files))


def _of_draft(build: Build, draft: Build, session: Session, *, ask: bool) -> Iterator[str]:
    """Why the draft of a build cannot be made, or proposes other tokens than the model has."""
    own, small = _folder(build, session), _folder(draft, session)
    reasons = (*misfits(draft, session, ask=ask), *(draft_tokens.misfits(own, small) if own and small else ()))
    yield from (f"the draft {build.resolved.options.drafted_by()}: {reason}" for reason in reasons)


def _nothing_to_dequantize(build: Build, session: Session) -> tuple[str, ...]:
    """Whether a recipe wants a checkpoint dequantized whose weights are plain."""
    source = _survey_of_source(build, session, ask=False) if _unmerged(build).maker == dequantize.MAKER else None
    if source is None or quantized.method(source.config):
        return ()
    return ("its source is not quantized, so `dequantize` would have no effect: leave it out",)


def _other_licence(build: Build, survey: Survey) -> Iterator[str]:
    """A licence in the recipe that is not the one on the source's card; one that is in no list of SPDX's is taken at its word.

    The hub's names are SPDX's in small letters, or families of them: "gpl-3.0" stands for GPL-3.0-only, "bsd" for BSD-2-Clause.
    """
    source = build.resolved.source
    listed, given = survey.license.lower(), (source.license_name or source.license).lower()
    if listed not in ("", "other", "unknown") and not given.startswith("licenseref-") and not f"{given}-".startswith(f"{listed}-"):
        yield f"its source's licence is {source.license_name or source.license} in the recipe and {survey.license} on the repository's card"


def _folder(build: Build, session: Session) -> Path | None:
    """Where a build's checkpoint lies, in the store or next to the recipe; None before it is downloaded."""
    return session.store.files(build.checkpoint) if session.store.has(build.checkpoint) else _local_folder(_unmerged(build))


def _unreadable_gguf(build: Build) -> tuple[str, ...]:
    """Why a local GGUF file cannot be read exactly, or does not fit the prompts, from its header."""
    downloads = [needed for needed in build.checkpoint.closure() if needed.kind == "download" and needed.maker == "local"]
    if build.checkpoint.maker != "gguf" or not downloads:
        return ()
    try:
        metadata = gguf_header.read(local.place(downloads[0]))
    except gguf_header.NotGGUF as error:
        return (f"the source is not a complete GGUF file: {error}",)
    reasons = [
        f"{what[0].lower()}{what[1:].rstrip('.')}{': ' + ', '.join(details) if details else ''}; take its safetensors checkpoint"
        for what, details in gguf_faults.faults(metadata)
    ]
    return (*reasons, *TASKS[build.resolved.task].misfits_of_gguf(build.resolved, metadata))


def check_room(expected: Forecast, store: Store) -> None:
    """Refuse what would not find room.

    Raises:
        Failure: disk or memory would not do; with the numbers.
    """
    if expected.disk_bytes is not None and (free := store.free_bytes()) < expected.disk_bytes:
        raise Failure(
            f"about {expected.disk_bytes / _GB:.1f} GB of disk are needed and {free / _GB:.1f} GB are free",
            where=str(store.root),
            remedy="free space (`bakehouse prune` drops what no recipe uses) or point PIPELINE_ARTIFACTS at a larger disk",
        )
    if expected.memory_bytes and (total := memory.usable_bytes()) < expected.memory_bytes:
        raise Failure(
            f"about {expected.memory_bytes / _GB:.1f} GB of memory are needed and this machine has {total / _GB:.1f} GB",
            remedy="make it on a machine with more memory, and carry the artifacts folder over",
        )


def check_leaving(publications: Iterable[Build], signatures: Iterable[Build], session: Session) -> None:
    """Refuse before any work what would be refused after it: builds to publish that may not go, and a signer that is missing.

    Raises:
        Failure: PIPELINE_SIGN is wrong or missing, or a build has pickles that its recipe does not let go.
    """
    publications = tuple(publications)
    if refused := [build.name for build in publications if kept_by_pickles(build)]:
        raise Failure(f"{', '.join(refused)} would have {gate.PICKLES}", remedy=gate.ALLOW_PICKLES)
    to_sign = [*signatures, *(one for one in publications if signing.wanted() or (one.destination and one.destination.sign))]
    if not all(signing.is_signed(build.package, build.name, session) for build in to_sign):
        signing.method()


def kept_by_pickles(build: Build) -> bool:
    """Whether a build will be one that may not leave, for the pickles in it: known before it is made."""
    pickled = any(BACKENDS[one.resolved.options.runtime].has_pickles(one.resolved.options) for one in build.members or (build,))
    return pickled and not (build.destination and build.destination.allow_pickle)
