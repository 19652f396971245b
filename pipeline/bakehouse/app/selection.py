"""Names on the command line: what the tasks of a plan are called, and which builds and steps some names stand for."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Collection, Iterable, Sequence

from bakehouse.errors import Failure
from bakehouse.plan.plan import Build, Plan
from bakehouse.steps.step import Kind, Step

# kind: its task group, and what is added to the label so that no two names in a group are the same
_NAMES: dict[Kind, tuple[str, str]] = {
    "setup": ("setup", ""),
    "download": ("download", ""),
    "calibration": ("download", "-calibration"),
    "recording": ("download", "-recording"),
    "picture": ("download", "-picture"),
    "checkpoint": ("export", "-checkpoint"),
    "export": ("export", ""),
    "tokenizer": ("export", "-tokenizer"),
    "compress": ("convert", ""),
    "adapter": ("convert", "-adapter"),
    "compile": ("convert", ""),
    "reference": ("validate", "-reference"),
    "reference_logits": ("validate", "-logits"),
    "numeric_check": ("validate", "-numeric"),
    "fidelity_reference": ("validate", "-fidelity-reference"),
    "fidelity": ("validate", "-fidelity"),
    "validate": ("validate", ""),
    "package": ("package", ""),
}
STEP_GROUPS = tuple(dict.fromkeys(group for group, _ in _NAMES.values()))
BUILD_GROUPS = ("build", "sign", "publish")


def names(plan: Plan) -> dict[str, str]:
    """key -> task name of every step; a step that two recipes share has the name that it was given first."""
    named: dict[str, str] = {}
    taken: set[str] = set()
    for step in plan.steps:
        group, suffix = _NAMES[step.kind]
        name = f"{group}:{step.label}{suffix}"
        named[step.key] = f"{name}-{step.key[:8]}" if name in taken else name
        taken.add(named[step.key])
    return named


def group_of(step: Step) -> str:
    """The task group of a step."""
    return _NAMES[step.kind][0]


def builds_named(args: Sequence[str], plan: Plan) -> list[Build]:
    """Builds by name, with or without `build:`; all of them if none is named.

    Raises:
        Failure: there is no such build.
    """
    chosen = [(arg, plan.build(arg.removeprefix("build:"))) for arg in args]
    if unknown := [arg for arg, build in chosen if build is None]:
        raise Failure(f"No build is called {', '.join(unknown)}", remedy="`bakehouse list` shows the names")
    return [build for _, build in chosen if build] or list(plan.builds)


def builds_of(selected: Iterable[str], plan: Plan, *groups: str) -> list[Build]:
    """The builds whose task in one of the groups is among the selected names or patterns."""
    wanted = list(selected)
    return [build for build in plan.builds if _matches((f"{group}:{build.name}" for group in groups), wanted)]


def steps_of(selected: Iterable[str], plan: Plan) -> list[Step]:
    """The steps whose tasks are among the selected names or patterns."""
    wanted, known = list(selected), names(plan)
    return [step for step in plan.steps if _matches([known[step.key]], wanted)]


def _matches(tasks: Iterable[str], wanted: list[str]) -> bool:
    return any(fnmatch.fnmatch(task, name) for task in tasks for name in wanted)


def builds_after(step: Step, plan: Plan) -> tuple[Build, ...]:
    """The builds whose packages a step may become part of."""
    return plan.builds_after.get(step.key, ())


def expanded(selected: Sequence[str], known: Collection[str], plan: Plan) -> list[str]:
    """The selected task names with `build`, or a verb such as `convert`, standing for all of it that this machine can make,
    `download` for all sources, and `publish` for all that go to the hub.

    Raises:
        Failure: a name is no task's (`known` are those); with the nearest ones.
    """
    recipes = list(dict.fromkeys(build.resolved.recipe for build in plan.builds))
    homes = {f"publish:{build.resolved.recipe}": build.destination for build in plan.builds}
    homes |= {f"publish:{build.resolved.recipe}": build.destination for build in plan.builds if build.destination}
    homes |= {f"publish:{build.name}": build.destination for build in plan.builds}
    for place, name in enumerate(selected):
        if (name == "publish" and not any(homes.values())) or (name in homes and homes[name] is None):
            raise Failure(
                "no recipe says where its builds are published"
                if name == "publish"
                else f"its recipe does not say where {name[8:]} is published",
                remedy="add `publish` to the recipe; `bakehouse schema` writes FIELDS.md, which has its fields",
            )
        if "*" in name and not fnmatch.filter(known, name):
            raise Failure("no {} matches {}".format(*_named(name)), remedy="`bakehouse list` shows the builds")
        if "*" not in name and name not in known and not _builds_of_recipe(name, plan):
            raise Failure("there is no {} called {}".format(*_named(name)), remedy=_hint(name, selected[:place], known, recipes))
    return [one for name in selected for one in _builds_of_recipe(name, plan) or _all_of(name, plan)]


def _named(task: str) -> tuple[str, str]:
    """What a name is of, in words, and the name as `bakehouse build` takes it."""
    group, _, name = task.partition(":")
    return ("build", name) if name and group in BUILD_GROUPS else ("task", task)


def _builds_of_recipe(name: str, plan: Plan) -> list[str]:
    """The tasks that `build:RECIPE` stands for: its builds that this machine can make; likewise of `sign` and `publish`."""
    group, colon, recipe = name.partition(":")
    if not colon or group not in BUILD_GROUPS or plan.build(recipe):
        return []
    builds = [build for build in plan.builds if build.resolved.recipe == recipe]
    if group == "publish":
        return [f"publish:{build.name}" for build in builds if build.destination is not None]
    able = [build for build in builds if build.cannot is None]
    return [f"{group}:{build.name}" for build in able or builds]


def _hint(name: str, before: Sequence[str], known: Collection[str], recipes: list[str]) -> str:
    """What may be meant by a name that no task has: one of its own group, else a build, else any."""
    last = before[-1] if before else ""
    if f"{last}:{name}" in known or (last in BUILD_GROUPS and name in recipes):
        return f"`bakehouse {last} {name}`, or `doit {last}:{name}` with a colon: `doit {last}` alone is all of it"
    group, colon, wanted = name.rpartition(":")
    meant = difflib.get_close_matches(group, [task for task in known if ":" not in task], 1, 0.6) if colon else []
    for one in (*meant, *([last] if last in known and ":" not in last else []), "build"):
        ends = [task[len(one) + 1 :] for task in known if task.startswith(f"{one}:")] + (recipes if one in BUILD_GROUPS else [])
        if near := [end for end in ends if wanted and end.startswith(wanted)][:3] or difflib.get_close_matches(wanted, ends, 3, 0.6):
            return _perhaps(one, near)
    near = [] if colon and group in BUILD_GROUPS else difflib.get_close_matches(name, known, 3, 0.5)
    return f"perhaps {' or '.join(near)}" if near else "`bakehouse list` shows the builds"


def _perhaps(group: str, names: Sequence[str]) -> str:
    """The command that may be meant; of a group of steps, which no command has for its name, the tasks."""
    if group not in BUILD_GROUPS:
        return f"perhaps {' or '.join(f'{group}:{name}' for name in names)}"
    first, *others = names
    return f"perhaps `bakehouse {group} {first}`" + (f", or {' or '.join(others)}" if others else "")


def _all_of(name: str, plan: Plan) -> list[str]:
    """The tasks that a bare group name stands for; any other name stands for itself."""
    if name in ("build", "sign"):
        return [f"{name}:{build.name}" for build in plan.builds if build.cannot is None]
    if name == "publish":
        return [f"publish:{build.name}" for build in plan.builds if build.destination is not None]
    return _group(name, plan) if name in STEP_GROUPS else [name]


def _group(group: str, plan: Plan) -> list[str]:
    """The tasks of a group's steps that lead to a build that this machine can make; of downloads, and if it can make none, all."""
    known = names(plan)
    steps = [step for step in plan.steps if group_of(step) == group]
    able = [step for step in steps if group == "download" or any(build.cannot is None for build in builds_after(step, plan))]
    return [known[step.key] for step in able or steps]
