"""Which parts of a recipe fit each other: each function says what is wrong with some of them; places are from the recipe's top."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from bakehouse.recipe import agreement
from bakehouse.recipe import drafts as drafting
from bakehouse.recipe.build import RuntimeBuild
from bakehouse.recipe.candidates import candidates
from bakehouse.recipe.kinds import DEFAULT_TASK, AnyGolden, BuildOptions, TaskName, longest_answer, runtimes
from bakehouse.recipe.model import Fault
from bakehouse.recipe.search import Search
from bakehouse.recipe.types import LONGEST_NAME, quoted


def full_name(recipe: str, build: str) -> str:
    """The name of a build everywhere: `phi3` and `int4-openvino` give `phi3-int4-openvino`."""
    return f"{recipe}-{build}"


def long_names(recipe: str, part: str, kind: str, names: Collection[str]) -> Iterator[Fault]:
    """Names of a part, each of a `kind` such as build, that are too long after the recipe's."""
    for name in names:
        full = full_name(recipe, name)
        if len(full) > LONGEST_NAME:
            yield Fault(
                (part, name, "[key]"),
                f"The {kind}'s full name, {quoted(full, 90)}, has {len(full)} characters.",
                f"Shorten it to {LONGEST_NAME} or fewer.",
            )


def golden_faults(task: TaskName, inputs: Sequence[AnyGolden]) -> Iterator[Fault]:
    """Golden inputs of another task than the recipe's."""
    for position, golden in enumerate(inputs):
        if golden.task != task:
            yield Fault(
                ("golden", position),
                f"This is a golden input of {golden.task}, and the recipe's task is {task}.",
                f"Write `task: {golden.task}`, or another input.",
            )


def task_faults(task: TaskName, builds: Mapping[str, BuildOptions]) -> Iterator[Fault]:
    """Runtimes that make no models for the recipe's task, and options without an effect on it."""
    able = [name for name, kind in runtimes().items() if task in kind.tasks]
    for name, options in builds.items():
        at = ("builds", name, options.runtime)
        if task not in options.tasks:
            yield Fault((*at, "runtime"), f"{options.runtime} makes no models for {task} here.", f"Write {' or '.join(able)}.")
        for field in options.without_effect(task):
            yield Fault((*at, field), f"It would have no effect on {task}.", "Leave it out.")


def build_faults(name: str, options: BuildOptions, inputs: Sequence[AnyGolden]) -> Iterator[Fault]:
    """Options of a build that do not agree with each other or with the golden inputs."""
    at = ("builds", name, options.runtime)
    yield from _room_faults(name, options, inputs)
    yield from (fault._replace(loc=(*at, *fault.loc)) for fault in agreement.faults(options))
    if only := options.only_searched():
        yield Fault(
            (*at, "quantization", options.quantization.weights, only),
            f"The runtime's tool has no {only}: only a search with `rank_layers` has.",
            "Leave it out, or have a search write the layers by their names.",
        )


def _room_faults(name: str, options: RuntimeBuild, inputs: Sequence[AnyGolden]) -> Iterator[Fault]:
    """An NPU's graphs have room for a fixed number of tokens, and a longer answer would be cut off silently."""
    room = options.room()
    if room is not None and (most := longest_answer(inputs)) > room:
        yield Fault(
            ("builds", name, "[key]"),
            f"Its graphs have room for {room} tokens of prompt and answer together, and a golden prompt requests {most} new ones.",
            "Lower max_new_tokens, or raise min_response_len.",
        )


def bundle_faults(name: str, members: Sequence[str], builds: Mapping[str, BuildOptions]) -> Iterator[Fault]:
    """A bundle does not have a build's name, and holds builds of this recipe whose models are in different folders."""
    at = ("repositories", name)
    if name in builds:
        yield Fault((*at, "[key]"), f"A build is called {quoted(name)} already.", "Choose another name.")
    if not members:
        yield Fault(at, "A bundle without builds would be empty.", "Name the builds that it holds.")
    taken: dict[str, str] = {}
    for position, member in enumerate(members):
        build = builds.get(member)
        if build is None:
            yield Fault((*at, position), f"No build is called {quoted(member)}.", f"The builds are {', '.join(builds)}.")
        elif (folder := build.folder()) is None:
            yield Fault(
                (*at, position),
                f"A model of {build.runtime} cannot be part of a bundle.",
                f"Name builds whose models are in their own folders{_such(builds)}.",
            )
        elif member in taken.values():
            yield Fault((*at, position), f"{quoted(member)} is named twice.", "Name it once.")
        elif folder in taken:
            yield Fault(
                (*at, position),
                f"{quoted(member)} and {quoted(taken[folder])} would both be in the folder {folder}.",
                "Leave one of them out.",
            )
        else:
            taken[folder] = member


def _such(builds: Mapping[str, RuntimeBuild]) -> str:
    """The builds that a bundle can hold, as the end of a sentence."""
    names = [name for name, build in builds.items() if build.folder()]
    return f": {', '.join(names)}" if names else "; this recipe has none"


def search_faults(recipe: str, searches: Mapping[str, Search], bundles: Collection[str]) -> Iterator[Fault]:
    """Searches whose names or runtimes do not go, and options that no candidate can have."""
    for name, search in searches.items():
        yield from (fault._replace(loc=("searches", name, *fault.loc)) for fault in _of_search(recipe, name, search, bundles))


def _of_search(recipe: str, name: str, search: Search, bundles: Collection[str]) -> Iterator[Fault]:
    longest = LONGEST_NAME - len("-000")
    if len(full_name(recipe, name)) > longest:
        yield Fault(
            ("[key]",), "The names of its candidates would be too long.", f"Shorten the full name to {longest} or fewer characters."
        )
    if name in bundles:
        yield Fault(("[key]",), f"A bundle is called {quoted(name)} already.", "Choose another name.")
    if search.runtime not in runtimes():
        yield Fault(("runtime",), f"{quoted(search.runtime)} is not a runtime.", f"Write {' or '.join(runtimes())}.")
    elif DEFAULT_TASK not in runtimes()[search.runtime].tasks:
        yield Fault(("runtime",), f"{search.runtime} makes no models for {DEFAULT_TASK} here.", "Write another runtime.")
    else:
        yield from candidates(search).faults


def adapter_faults(adapters: Collection[object], builds: Mapping[str, RuntimeBuild], searches: Mapping[str, Search]) -> Iterator[Fault]:
    """Builds that keep adapters separate of a source that has none, and searches that would."""
    for name, options in builds.items():
        if options.adapters_are_separate() and not adapters:
            at = ("builds", name, options.runtime_name(), "adapters")
            yield Fault(at, "The source has no adapters, so this would have no effect.", "Leave it out, or name adapters in the source.")
    for name, search in searches.items():
        if "adapters" in {*search.base, *search.over}:
            yield Fault(
                ("searches", name), "Separate adapters change no figure of a search.", "Name them in the build that the search has found."
            )


def draft_faults(
    recipe: str, drafts: Mapping[str, RuntimeBuild], builds: Mapping[str, RuntimeBuild], searches: Mapping[str, Search]
) -> Iterator[Fault]:
    """Drafts, given by their options, that no build or search can have."""
    yield from drafting.misfits(drafts, builds)
    for name in drafts:
        if len(full_name(full_name(recipe, name), drafting.BUILD)) > LONGEST_NAME:
            yield Fault(("drafts", name, "[key]"), "The names of its steps would be too long.", "Shorten it.")
    for name, search in searches.items():
        if "draft" in {*search.base, *search.over}:
            yield Fault(("searches", name), "A draft changes no figure of a search.", "Name it in the build that the search has found.")
