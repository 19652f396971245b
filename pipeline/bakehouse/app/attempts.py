"""How the tasks of one run end: a failure in a sentence; and what needs a failed task is not tried, to which doit does not see (setup)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from doit.exceptions import TaskFailed

from bakehouse.errors import Failure
from bakehouse.plan.plan import Build
from bakehouse.steps.step import Step


class NotTried(TaskFailed):  # type: ignore[misc]
    """What a task needs has failed."""


class Attempts:
    """The failures of one run: of tasks, and of builds that were refused before it while others go on."""

    def __init__(self) -> None:
        self._roots: dict[str, tuple[str, ...]] = {}  # failed task -> the tasks whose failure was the reason
        self._refused: dict[str, Failure] = {}  # key of a step that leads to refused builds only -> why
        self._whats: dict[str, str] = {}  # failed task -> what failed, in a sentence
        self._shown: dict[int, str] = {}  # a refusal -> the task that has shown it

    def refuse(self, refused: Iterable[tuple[Step, Failure]], wanted: Iterable[Step]) -> None:
        """Have the tasks of all that leads to refused steps fail, but for what is also needed for `wanted`."""
        kept = {step.key for one in wanted for step in one.closure()}
        for target, failure in refused:
            for step in target.closure():
                if step.key not in kept:
                    self._refused.setdefault(step.key, failure)

    def is_refused(self, step: Step) -> bool:
        """Whether a step leads to refused builds only."""
        return step.key in self._refused

    def tries(self, task: Any) -> bool:
        """Whether a task of doit is not refused, and nothing that it needs has failed."""
        step = (task.meta or {}).get("step")
        return not self._why_not(task) and not (step and step.key in self._refused)

    def step(self, step: Step, task: Any, work: Callable[[], object]) -> TaskFailed | None:
        """Carry out the task of a step."""
        refusal = self._refused.get(step.key)
        if refusal is None:
            return self.task(task, work)
        shown = self._shown.setdefault(id(refusal), task.name)
        if shown != task.name:
            self._roots[task.name] = (shown,)
            return NotTried(_not_tried((shown,)))
        return self.task(task, lambda: _raise(refusal))

    def task(self, task: Any, work: Callable[[], object]) -> TaskFailed | None:
        """Carry out a task of doit, unless a task that it needs has failed."""
        if roots := self._why_not(task):
            self._roots[task.name] = roots
            return NotTried(_not_tried(roots))
        try:
            work()
        except Failure as failure:
            self._roots[task.name] = (task.name,)
            self._whats[task.name] = failure.what.partition("\n")[0]
            return TaskFailed(str(failure))
        except Exception:
            self._roots[task.name] = (task.name,)
            raise
        return None

    def _why_not(self, task: Any) -> tuple[str, ...]:
        return tuple(dict.fromkeys(root for needed in task.setup_tasks for root in self._roots.get(needed, ())))

    def roots(self, build: Build, names: dict[str, str]) -> tuple[str, ...]:
        """The tasks whose failure has kept a build from being made."""
        tasks = (*(names[step.key] for step in build.package.closure()), f"build:{build.name}")
        return tuple(dict.fromkeys(root for task in tasks for root in self._roots.get(task, ())))

    def why(self, build: Build, names: dict[str, str]) -> tuple[str, ...]:
        """What has kept a build from being made: tasks, each with its failure in a sentence."""
        return tuple(
            f"{root} failed: {self._whats[root]}" if root in self._whats else f"{root} failed" for root in self.roots(build, names)
        )


def _not_tried(roots: Iterable[str]) -> str:
    return f"not tried: {' and '.join(roots)} failed"


def _raise(failure: Failure) -> None:
    raise failure
