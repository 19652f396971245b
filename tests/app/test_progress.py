"""What a person reads in a log and on a terminal, to the letter."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from inline_snapshot import snapshot
from rich.console import Console, Group
from rich.table import Table

from bakehouse.app import progress
from bakehouse.app.progress import Reporter
from bakehouse.executor.listen import Progress
from bakehouse.text import clock_text, count_text, size_text


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def task(name: str, actions: bool = True) -> Any:
    """As much of doit's task as a reporter looks at."""
    return SimpleNamespace(name=name, actions=["act"] if actions else [])


def failure(text: str, report: bool = True, name: str = "TaskFailed") -> Any:
    """As much of doit's failure as a reporter looks at."""
    return SimpleNamespace(report=report, get_msg=lambda: text, get_name=lambda: name)


def reporter(stream: io.StringIO, table: Group | None = None, selected: Sequence[str] = ()) -> Reporter:
    made = Reporter(stream, lambda selected, spans, total_s: table)
    made.initialize({}, list(selected))
    return made


def lines(stream: io.StringIO) -> list[str]:
    """Lines without their times, which must be there."""
    found = stream.getvalue().splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in found)
    return [re.sub(r"\d+\.\d s$", "T s", line[9:]) for line in found]


def test_in_a_log_a_step_says_when_it_starts_what_is_new_and_how_it_ended() -> None:
    stream = io.StringIO()
    reporting = reporter(stream)
    one = task("convert:tiny-int4")
    reporting.execute_task(one)
    reporting.tell(one.name, Progress("compressing weights"))
    reporting.tell(one.name, Progress("compressing weights", 10, 100, "%"))  # no news within half a minute
    reporting.tell(one.name, Progress("saving the model", 1_500_000, 3_000_000, "B"))
    reporting.add_success(one)
    assert lines(stream) == snapshot(
        [
            ".. convert:tiny-int4",
            "   convert:tiny-int4: compressing weights",
            "   convert:tiny-int4: saving the model  2 MB of 3 MB  50 %",
            "ok convert:tiny-int4  T s",
        ]
    )


def test_a_failure_is_shown_in_full_and_what_it_keeps_from_running_is_not_shown() -> None:
    stream = io.StringIO()
    reporting = reporter(stream)
    one = task("export:tiny")
    reporting.execute_task(one)
    reporting.add_failure(one, failure("export of tiny: it broke\n  what to do: fix it\n"))
    reporting.add_failure(task("convert:tiny-int4"), failure("TaskDependsOn...", report=False))
    text = stream.getvalue()
    assert re.fullmatch(
        r"\S+ \.\. export:tiny\n\S+ FAILED export:tiny\n\S+ export of tiny: it broke\n  what to do: fix it\n",
        text,
    )


def test_failures_that_other_lines_have_pushed_away_stand_again_at_the_end() -> None:
    stream = io.StringIO()
    reporting = reporter(stream, selected=["build:a"])
    reporting.add_failure(task("validate:a"), failure("the answer is wrong\n  what to do: look"))
    for name in ("package:a", "build:a"):
        reporting.add_failure(task(name), failure("not tried: validate:a failed", name="NotTried"))
    reporting.complete_run()
    assert stream.getvalue().splitlines()[3][9:] == snapshot("-- build:a  not tried: validate:a failed")
    assert stream.getvalue().splitlines()[4:] == ["FAILED validate:a", "the answer is wrong", "  what to do: look"]


@pytest.mark.parametrize(
    ("names", "code"),
    [(["TaskFailed", "NotTried"], 1), (["TaskFailed", "UnmetDependency"], 1), (["TaskFailed", "TaskError"], 2)],
    ids=["failed", "unmet", "broke"],
)
def test_only_what_broke_without_a_sentence_is_exit_code_2(names: list[str], code: int) -> None:
    reporting = reporter(io.StringIO())
    for name in names:
        reporting.add_failure(task(name), failure("it failed", name=name))
    assert reporting.code(2) == code


@pytest.mark.parametrize("quiet", [task("overview"), task("build", actions=False)], ids=lambda one: one.name)
def test_what_does_no_work_is_not_spoken_of(quiet: Any) -> None:
    stream = io.StringIO()
    reporting = reporter(stream)
    reporting.execute_task(quiet)
    reporting.add_success(quiet)
    reporting.skip_uptodate(task("download:tiny"))
    assert stream.getvalue() == ""


def test_words_of_a_step_that_does_not_run_any_more_are_dropped() -> None:
    stream = io.StringIO()
    reporter(stream).tell("convert:tiny-int4", Progress("saving"))
    assert stream.getvalue() == ""


def test_a_step_shorter_than_a_tick_of_the_clock_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: 7.0))
    stream = io.StringIO()
    reporting = reporter(stream)
    reporting.execute_task(task("download:tiny"))
    reporting.add_success(task("download:tiny"))
    assert "ok download:tiny  0.0 s" in stream.getvalue()


def test_a_terminal_shows_what_runs_now_and_keeps_only_what_ended() -> None:
    stream = Terminal()
    reporting = reporter(stream)
    done, runs = task("download:tiny"), task("export:tiny")
    reporting.execute_task(done)
    reporting.add_success(done)
    reporting.execute_task(runs)
    reporting.tell(runs.name, Progress("tracing", 3, 10, "layers"))
    reporting.complete_run()
    text = stream.getvalue()
    assert "ok download:tiny" in text
    assert "tracing  3 of 10 layers" in text
    assert "\x1b[2K" in text, "the view is wiped at the end"


def test_the_table_and_errors_of_doits_own_stand_at_the_end() -> None:
    stream = io.StringIO()
    table = Table(box=None, padding=(0, 2), pad_edge=False)
    table.add_column("build")
    table.add_row("tiny-int4")
    reporting = reporter(stream, Group(table))
    reporting.runtime_error("doit says no")
    reporting.complete_run()
    assert stream.getvalue()[9:].split() == ["doit", "says", "no", "build", "tiny-int4"]


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (999, "999 B"), (6_400, "6 kB"), (45_000_000, "45 MB"), (7_642_159_104, "7.64 GB")])
def test_sizes_are_read_at_a_glance(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(("seconds", "text"), [(4.23, "4.2 s"), (59.9, "59.9 s"), (65, "1:05"), (7384, "2:03:04")])
def test_times_are_read_at_a_glance(seconds: float, text: str) -> None:
    assert clock_text(seconds) == text


@pytest.mark.parametrize(("number", "text"), [(0, "0 builds"), (1, "1 build"), (2, "2 builds")])
def test_one_thing_has_another_ending_than_many(number: int, text: str) -> None:
    assert count_text(number, "build") == text


def step(name: str) -> Any:
    """A task that makes a step."""
    return SimpleNamespace(name=name, actions=["act"], meta={"step": "step"})


def test_a_step_says_which_of_how_many_it_is_and_how_long_it_may_take() -> None:
    stream = io.StringIO()
    reporting = Reporter(stream, lambda selected, spans, total_s: None, expects=lambda task: 130.0 if task.name == "convert:tiny" else None)
    reporting.expect(2)
    for name in ("export:tiny", "convert:tiny", "build:tiny"):
        one = step(name) if name != "build:tiny" else task(name)
        reporting.execute_task(one)
        reporting.add_success(one)
    assert [line for line in lines(stream) if line.startswith("..")] == snapshot(
        [
            ".. export:tiny  step 1 of 2",
            ".. convert:tiny  step 2 of 2, about 2:10",
            ".. build:tiny",
        ]
    )


def test_the_rest_of_a_run_stands_behind_the_step_as_long_as_it_is_known() -> None:
    stream, left = io.StringIO(), iter([300.0, 200.0, None, 170.0, 60.0, 60.0])
    reporting = Reporter(stream, lambda selected, spans, total_s: None, left=lambda running: next(left))
    reporting.expect(3)
    for name in ("export:tiny", "convert:tiny", "validate:tiny"):
        reporting.execute_task(step(name))
        reporting.add_success(step(name))
    begun = [re.sub(r"4:59|5:00", "5:00", line) for line in lines(stream) if line.startswith("..")]
    assert begun == [
        ".. export:tiny  step 1 of 3; about 5:00 left",
        ".. convert:tiny  step 2 of 3",
        ".. validate:tiny  step 3 of 3",
    ], "of the last step its own time is enough"


def test_after_a_failure_nothing_is_known_of_the_rest() -> None:
    stream = io.StringIO()
    reporting = Reporter(stream, lambda selected, spans, total_s: None, left=lambda running: 300.0)
    reporting.expect(3)
    reporting.execute_task(step("export:tiny"))
    reporting.add_failure(step("export:tiny"), failure("it broke"))
    reporting.execute_task(step("convert:other"))
    assert ".. convert:other  step 2 of 3" in lines(stream)


def test_the_view_says_what_is_left_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    reporting = Reporter(Terminal(), lambda selected, spans, total_s: None, left=lambda running: 300.0)
    reporting.expect(9)
    reporting.execute_task(step("convert:tiny"))
    console = Console(file=io.StringIO(), width=80)
    console.print(reporting._view())
    assert isinstance(console.file, io.StringIO)
    *_, last = console.file.getvalue().splitlines()
    assert re.fullmatch(r"step 1 of 9, about (5:00|4:59) left", last.rstrip())


def test_a_step_that_was_not_counted_raises_the_number_of_steps() -> None:
    stream = io.StringIO()
    reporting = reporter(stream)
    reporting.expect(1)
    for name in ("export:tiny", "convert:tiny"):
        reporting.execute_task(step(name))
    assert lines(stream) == [".. export:tiny  step 1 of 1", ".. convert:tiny  step 2 of 2"]


@pytest.mark.parametrize("width", [80, 120])
def test_the_view_is_one_line_a_step_at_any_width(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    reporting = reporter(Terminal())
    reporting.expect(9)
    for name in ("convert:a-model-with-a-long-name-int4-openvino", "export:a-model"):
        reporting.execute_task(step(name))
        reporting.tell(name, Progress("compressing weights, which is said in so many words that no terminal is wide enough for them " * 2))
    shown = io.StringIO()
    Console(file=shown, width=width).print(reporting._view())
    reporting.complete_run()
    first, second = shown.getvalue().splitlines()
    assert first.startswith("1 of 9") and second.startswith("2 of 9")
    assert all(len(line.rstrip()) <= width and line.rstrip().endswith("…") for line in (first, second))
