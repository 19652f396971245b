"""`bakehouse evaluate`: what a package reaches in tasks of lm-eval."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

from rich.table import Table

from bakehouse.app import running
from bakehouse.app.screen import escape_what_cannot_be_shown, for_tables, in_place
from bakehouse.app.workspace import artifacts_folder
from bakehouse.errors import Failure, NotInstalled
from bakehouse.executor.listen import Progress
from bakehouse.inference import evaluations
from bakehouse.inference.evaluations import Evaluated, Evaluation
from bakehouse.tasks.text_generation.seams import EvaluateRequest
from bakehouse.text import count_text

_NEEDS = ("lm_eval", "datasets")


def parser() -> argparse.ArgumentParser:
    """The arguments of `evaluate`."""
    made = running.parser(
        "evaluate",
        "Have a package carry out tasks of lm-eval, in its own runtime. A task is a YAML file as lm-eval has them, and its data are local "
        "files; nothing is downloaded. Python that a task's file names is run. Results are kept in artifacts/evaluations.",
    )
    made.add_argument("--tasks", type=_files, required=True, metavar="FILE,FILE", help="the files of the tasks")
    made.add_argument("--few-shot", type=_count, metavar="N", help="examples before each question; by default what the task says")
    made.add_argument(
        "--limit",
        type=running.positive,
        metavar="N",
        help="only the first N questions of each task, for a first look; its results are not kept",
    )
    made.add_argument("--json", action="store_true", help="print the results as JSON")
    return made


def _files(text: str) -> tuple[Path, ...]:
    if not (named := [one for one in text.split(",") if one]):
        raise argparse.ArgumentTypeError("it names no file")
    return tuple(Path(one).expanduser() for one in named)


def _count(text: str) -> int:
    if (number := int(text)) < 0:
        raise argparse.ArgumentTypeError("it must be at least 0")
    return number


def run(given: argparse.Namespace) -> int:
    """Carry out the tasks and print a table.

    Raises:
        Failure: a file does not exist, or the package cannot be evaluated. NotInstalled: the extra is missing.
    """
    escape_what_cannot_be_shown()
    if absent := [name for name in _NEEDS if find_spec(name) is None]:
        raise NotInstalled(f"{' and '.join(absent)} not installed", remedy="`pip install 'bakehouse[evaluate]'` brings lm-eval")
    wanted = EvaluateRequest(tasks=tuple(map(_existing, given.tasks)), few_shot=given.few_shot, limit=given.limit)
    found = running.package(given.package, given.device)
    try:
        result = evaluations.measure(found, given.device, wanted, _show)
    finally:
        in_place("")
    if given.json:
        print(result.model_dump_json(indent=2))
    else:
        _print(result)
    if any(one.result.documents < one.result.of_documents for one in result.tasks):
        print("A part of the questions is a first look, and not the task's result: nothing is kept.", file=sys.stderr)
    else:
        print(f"Kept in {evaluations.keep(result, artifacts_folder())}.", file=sys.stderr)
    return 0


def _existing(path: Path) -> Path:
    if path.is_file():
        return path.absolute()
    remedy = "copy the task's file out of lm-eval and give it local data" if path.suffix != ".yaml" else "correct the path"
    raise Failure(f"there is no file {path}", where="--tasks", remedy=f"name the YAML file of a task; {remedy}")


def _show(progress: Progress) -> None:
    share = f" {progress.done:g} of {progress.total:g}" if progress.done is not None and progress.total else ""
    in_place(f"{progress.doing}{share}")


def _print(found: Evaluation) -> None:
    first = found.tasks[0]
    print(f"{found.name} on {first.device} ({first.device_name}), lm-eval {first.tools.get('lm-eval', '')}")
    if first.note:
        print(first.note)
    table = Table(box=None, pad_edge=False)
    for name in ("task", "questions", "examples", "figure", "value", ""):
        table.add_column(name, justify="right" if name in ("questions", "examples", "value") else "left")
    for one in found.tasks:
        _add(table, one)
    for_tables().print(table)


def _add(table: Table, one: Evaluated) -> None:
    result = one.result
    asked = str(result.documents) if result.documents == result.of_documents else f"{result.documents} of {result.of_documents}"
    for number, score in enumerate(result.scores):
        head = ("", "", "") if number else (result.task, asked, str(result.few_shot))
        figure = score.metric if score.filter == "none" else f"{score.metric} ({score.filter})"
        error = f"± {score.stderr:.4f}" if score.stderr is not None else ""
        table.add_row(*head, figure, f"{score.value:.4f}", error)
    if not result.scores:
        table.add_row(result.task, asked, str(result.few_shot), count_text(0, "figure"), "", "")
