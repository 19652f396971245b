"""What a person sees while doit works: a live view on a terminal, plain lines with times in a log; and the table at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bakehouse.executor.listen import Progress
from bakehouse.text import clock_text, size_text

# A running task that says nothing new still shows that it lives: every so often in a log.
_STILL_EVERY_S = 30.0
_NOT_TRIED = ("NotTried", "UnmetDependency")  # names of failures: doit itself is not known here


@dataclass
class _Running:
    name: str
    started: float
    place: str = ""  # "3 of 9": which step of the run it is
    expected: float | None = None  # seconds
    progress: Progress = field(default_factory=lambda: Progress("starting"))
    said_at: float = 0.0


class Reporter:
    """doit's reporter: doit calls it about tasks and the stages about progress, from any thread.

    `summary` is asked for the closing table once all is done: rows of text for the builds that were selected; `tries` tells whether
    a task that doit starts is really tried; `expects` how many seconds it may take, if anything is known of that; `left` how many
    seconds the rest of the run may take, given the tasks that run and for how long.
    """

    desc = "live view on a terminal, plain lines elsewhere"

    def __init__(
        self,
        stream: TextIO,
        summary: Callable[[list[str], dict[str, tuple[float, float]], float], Group | None],
        tries: Callable[[Any], bool] = lambda task: True,
        expects: Callable[[Any], float | None] = lambda task: None,
        left: Callable[[Mapping[str, float]], float | None] = lambda running: None,
    ) -> None:
        # In a log nothing knows how wide a reader's window is: lines are as long as what they say.
        self._console = Console(file=stream, soft_wrap=True, highlight=False, width=None if stream.isatty() else 160)
        self._summary = summary
        self._tries = tries
        self._expects = expects
        self._left = left
        self._end: float | None = None  # when all may be done, as far as that is known
        self._steps, self._step = 0, 0  # how many steps this run makes, and how many it has begun
        self._running: dict[str, _Running] = {}
        self._spans: dict[str, tuple[float, float]] = {}
        self._failed: list[tuple[str, str]] = []
        self._since_failure = 0  # lines that came after the first failure
        self._broke = False
        self._selected: list[str] = []
        self._begun = time.monotonic()
        self._lock = threading.RLock()
        self._live: Live | None = None
        self._errors: list[str] = []

    def expect(self, steps: int) -> None:
        """Called before the first task, with the number of steps that are to be made."""
        self._steps = steps

    # --- called by the stages ---

    def tell(self, name: str, progress: Progress) -> None:
        """A running task says what it does now."""
        with self._lock:
            running = self._running.get(name)
            if running is None:
                return
            news = progress.doing != running.progress.doing
            running.progress = progress
            quiet = time.monotonic() - running.said_at
            if self._live is None and (news or quiet > _STILL_EVERY_S):
                running.said_at = time.monotonic()
                self._line(f"   {name}: {_what(progress)}")

    def note(self, text: str) -> None:
        """Something to know that is not a failure."""
        self._line(text, style="yellow")

    # --- called by doit ---

    def initialize(self, tasks: dict[str, object], selected_tasks: list[str]) -> None:
        """Called once, before the first task."""
        self._begun = time.monotonic()
        self._selected = list(selected_tasks)
        if self._console.is_terminal:
            self._live = Live(get_renderable=self._view, console=self._console, refresh_per_second=4, transient=True)
            self._live.start()

    def get_status(self, task: Any) -> None:
        """Called when doit looks at a task."""

    def execute_task(self, task: Any) -> None:
        """Called when a task starts."""
        if not task.actions or task.name.startswith("_") or task.name == "overview" or not self._tries(task):
            return
        expected = self._expects(task)
        with self._lock:
            running = _Running(task.name, time.monotonic(), self._place(task), expected)
            self._running[task.name] = running
            if running.place:
                self._look_ahead()
            if self._live is None:
                about = f"about {clock_text(expected)}" if expected else ""
                step = f"step {running.place}" if running.place else ""
                words = "; ".join(filter(None, (", ".join(filter(None, (step, about))), self._rest() if running.place else "")))
                self._line(f".. {task.name}  {words}".rstrip())

    def add_success(self, task: Any) -> None:
        """Called when a task ended well."""
        if (seconds := self._ended(task.name)) is not None:  # 0.0 of a short one, by a clock of 16 ms as Windows has it
            self._line(f"ok {task.name}  {clock_text(seconds)}", style="green")

    def add_failure(self, task: Any, fail: Any) -> None:
        """Called when a task failed or could not be tried."""
        self._ended(task.name)
        if not fail.report:
            return
        text = str(fail.get_msg()).strip()
        if fail.get_name() in _NOT_TRIED:
            if task.name in self._selected:  # what lies between it and the failure goes without saying
                self._line(f"-- {task.name}  {text}", style="yellow")
            return
        self._broke |= fail.get_name() != "TaskFailed"
        self._line(f"FAILED {task.name}", style="bold red")
        self._line(text)
        self._failed.append((task.name, text))
        self._end = None

    def code(self, code: int) -> int:
        """doit's exit code, but 1 and not 2 if all that failed did so in a sentence, and the rest was only not tried."""
        return 1 if code == 2 and self._failed and not self._broke else code

    def skip_uptodate(self, task: Any) -> None:
        """Called for what is there already: nothing to say, the table at the end says it."""

    def skip_ignore(self, task: Any) -> None:
        """No task of ours can be ignored."""

    def cleanup_error(self, exception: Any) -> None:
        """Called when doit's own cleaning up failed."""
        self._line(str(exception.get_msg()))

    def runtime_error(self, msg: str) -> None:
        """Called for an error of doit's own; shown at the end."""
        self._errors.append(msg)

    def teardown_task(self, task: Any) -> None:
        """No task of ours has a teardown."""

    def complete_run(self) -> None:
        """Called once, at the end, also after an interrupt."""
        if self._live:
            self._live.stop()
            self._live = None
        for message in self._errors:
            self._line(message)
        table = self._summary(self._selected, self._spans, time.monotonic() - self._begun)
        if table is not None:
            self._console.print(table)
        if self._since_failure or len(self._failed) > 1:  # else the failure stands right above
            for name, text in self._failed:
                self._console.print(Text(f"FAILED {name}", style="bold red"))
                self._console.print(Text(text))

    # --- painting ---

    def _place(self, task: Any) -> str:
        """Which step of the run a task is; "" for what makes no step. What turns out to be needed after all raises their number."""
        if not self._steps or not (getattr(task, "meta", None) or {}).get("step"):
            return ""
        self._step += 1
        self._steps = max(self._steps, self._step)
        return f"{self._step} of {self._steps}"

    def _look_ahead(self) -> None:
        """Estimate anew when all may be done, as a step begins or ends; after a failure nobody knows what is still to come."""
        now = time.monotonic()
        left = None if self._failed else self._left({running.name: now - running.started for running in self._running.values()})
        self._end = None if left is None else now + left

    def _rest(self) -> str:
        """What is left of the run, while more than its last step is; "" where that is not known."""
        left = (self._end or 0.0) - time.monotonic()
        return f"about {clock_text(left)} left" if left > 0 and (self._step < self._steps or len(self._running) > 1) else ""

    def _ended(self, name: str) -> float | None:
        with self._lock:
            running = self._running.pop(name, None)
            if running is None:
                return None
            self._spans[name] = running.started, time.monotonic()
            self._look_ahead()
            return self._spans[name][1] - running.started

    def _line(self, text: str, style: str = "") -> None:
        """One line, above the live view if there is one, with the time in a log."""
        self._since_failure += bool(self._failed)
        stamp = "" if self._console.is_terminal else f"{datetime.now():%H:%M:%S} "
        self._console.print(Text(stamp + text, style=style))

    def _view(self) -> Group:
        table = Table.grid(padding=(0, 2))
        for _ in range(3):  # what is done, in the last column, is cut with an ellipsis; these are not
            table.add_column(no_wrap=True, overflow="ellipsis")
        with self._lock:
            for running in self._running.values():
                table.add_row(
                    Text(running.place, style="dim"),
                    Text(running.name, style="bold"),
                    Text(_clock(running), style="cyan"),
                    Text(_what(running.progress), overflow="ellipsis", no_wrap=True),
                )
            rest = self._rest() if self._running else ""
        return Group(table, *([Text(f"step {self._step} of {self._steps}, {rest}", style="dim")] if rest else []))


def _clock(running: _Running) -> str:
    """How long it runs, of how long it may take; past that, nothing is known any more."""
    elapsed = time.monotonic() - running.started
    about = f" of about {clock_text(running.expected)}" if running.expected and elapsed < running.expected else ""
    return f"{clock_text(elapsed)}{about}"


def _what(progress: Progress) -> str:
    """What is done, and how far it is."""
    if progress.done is None:
        return progress.doing
    if progress.unit == "%":
        return f"{progress.doing}  {progress.done:.0f} %"
    total = progress.total
    if progress.unit == "B":
        of = f" of {size_text(total)}" if total else ""
        return f"{progress.doing}  {size_text(progress.done)}{of}{_share(progress)}"
    return f"{progress.doing}  {progress.done:g}" + (f" of {total:g} {progress.unit}".rstrip() if total else "")


def _share(progress: Progress) -> str:
    return f"  {100 * (progress.done or 0) / progress.total:.0f} %" if progress.total else ""
