"""Where the candidates of a search are made: here, one after the other, or on a cluster, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType

from bakehouse.app import running
from bakehouse.app.screen import in_place
from bakehouse.app.tasks import Harness
from bakehouse.app.workspace import artifacts_folder
from bakehouse.errors import Failure
from bakehouse.executor import session
from bakehouse.inference import bench
from bakehouse.inference.found import find
from bakehouse.plan.plan import Build
from bakehouse.recipe.search import Aim
from bakehouse.search import loop
from bakehouse.search.loop import Means, StepFailure
from bakehouse.search.making import Prepared, Trial
from bakehouse.steps.step import Step

_SPEEDS: Mapping[Aim, str] = MappingProxyType({"first_token": "first_token_s", "tokens_per_s": "tokens_per_s"})
_PROMPT_TOKENS, _NEW_TOKENS, _RUNS = 256, 64, 5  # of a candidate whose speed is measured, as `bench` has them


@dataclass(frozen=True)
class _Task:
    """A step as the reporter of tasks takes it."""

    name: str
    step: Step
    actions: tuple[object, ...] = (True,)
    setup_tasks: tuple[str, ...] = ()
    meta: dict[str, object] = field(default_factory=dict)


def here(harness: Harness, aim: Aim) -> Means:
    """On this machine."""
    have = partial(_have, harness)
    size, speed = partial(loop.size_here, store=harness.session.store), partial(_speed, harness, aim)
    return Means(have, size, speed, lambda: harness.session.children.stopping)


def there(harness: Harness, address: str, aim: Aim) -> Means:
    """On the workers of a cluster; what is measured is brought here, and no model.

    Raises:
        Failure: the search is for the fastest build, or the cluster could not be worked with.
    """
    from bakehouse.app.on_cluster import OnCluster  # here, because it imports all that makes steps

    if aim in _SPEEDS:
        raise Failure(
            f"`minimize: {aim}` is measured on this machine, and a cluster is others",
            remedy="search without --cluster, or minimize size or kl_mean",
        )
    harness.refuse_cluster(address)
    harness.cluster = cluster = OnCluster(harness.workspace.plan, harness.session, harness.remote, harness.names)
    cluster.connect(address)
    shown, sizes = set[str](), dict[str, int | None]()

    def have(step: Step, build: Build) -> None:
        _name(step, harness)
        for one in cluster.ask(address, step, build, lambda line: None):
            first = one.key not in shown
            shown.add(one.key)
            _shown(one, harness, cluster.make, silent=not first)

    def size(step: Step) -> int | None:
        if step.key not in sizes:
            sizes[step.key] = loop.size_here(step, harness.session.store) or harness.remote.size(step)
        return sizes[step.key]

    return Means(have, size, _no_speed, lambda: cluster.given_up or bool(harness.remote.silent), max(1, cluster.workers))


def bring_source(build: Build, harness: Harness) -> None:
    """Have the checkpoint here, unless its shapes can be known without it."""
    from bakehouse.stages import preflight

    if build.cannot and not harness.cluster:
        raise Failure("this machine cannot make the candidates", details=(build.cannot,))
    if preflight.survey_of(build, harness.session, ask=True) is None:
        _have(harness, build.checkpoint, build)


def foresee(prepared: Prepared, harness: Harness, *, elsewhere: bool) -> None:
    """Refuse before any work what this machine has no disk or memory for, by the largest candidate; and what does not fit the model.

    Raises:
        Failure: with the numbers.
    """
    from bakehouse.stages import preflight

    largest = prepared.trials[-1]
    preflight.check((), harness.session, [preflight.SingleStep(largest.confirm, (largest.build,))], elsewhere=elsewhere)


def _have(harness: Harness, step: Step, build: Build) -> None:
    """Make a step of a build here, with all that is missing of what it needs."""
    from bakehouse.stages import dispatch, preflight

    def make(one: Step) -> None:
        dispatch.run(one, harness.session)
        harness.session.made(one)

    single = preflight.SingleStep(step, (build,))
    if missing := preflight.missing((), harness.session.store, [single]):
        preflight.check((), harness.session, [single])
    _name(step, harness)
    for needed in missing:
        _shown(needed, harness, make)


def _name(step: Step, harness: Harness) -> None:
    """Have what no package needs a name on the screen, too."""
    for one in step.closure():
        harness.names.setdefault(one.key, f"{'rank' if one.kind == 'sensitivity' else 'screen'}:{one.label}")


def _shown(step: Step, harness: Harness, make: Callable[[Step], None], *, silent: bool = False) -> None:
    """Make one step, with what a person sees of a task.

    Raises:
        StepFailure: it failed.
    """
    task = _Task(harness.names[step.key], step, meta={"step": step})
    if not silent:
        harness.reporter.execute_task(task)
    try:
        make(step)
    except Failure as failure:
        raise StepFailure(failure, step) from failure
    if not silent:
        harness.reporter.add_success(task)


def _speed(harness: Harness, aim: Aim, trial: Trial) -> float:
    """The speed of a candidate's package, which is built for it; measured once, as `bench` keeps what it measures."""
    package, artifacts = trial.build.package, artifacts_folder()
    _have(harness, package, trial.build)
    known = bench.kept(trial.build.name, artifacts)
    if known is None or known.key != package.key or known.machine != session.machine():
        found = find(str(harness.session.store.files(package)), artifacts / "packages")
        with running.loaded(found, None) as runner:
            known = bench.measure(found, runner, (_PROMPT_TOKENS,), _NEW_TOKENS, _RUNS, in_place)
        in_place("")
        bench.keep(known, artifacts)
    speed = getattr(known.lengths[-1], _SPEEDS[aim])
    if speed is None:
        raise StepFailure(Failure("it answers with one token, so that it has no speed"), package)
    return float(speed)


def _no_speed(trial: Trial) -> float:
    raise AssertionError("no speed is measured on a cluster")
