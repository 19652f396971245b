"""Reads tasks of lm-eval whose data are local files, has lm-eval carry them out, and takes the figures out of what it returns."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bakehouse.child import events
from bakehouse.tasks.text_generation.seams import EvaluateRequest, EvaluateResult, Score, TaskResult
from bakehouse.tasks.text_generation.workers import evaluating, jobs
from bakehouse.tasks.text_generation.workers.evaluating import Model
from bakehouse.tasks.text_generation.workers.jobs import Loaded

# What `datasets` reads from files, without pickles; any other name is a repository of the hub.
_FORMATS = frozenset({"json", "csv", "parquet", "text", "arrow", "xml"})
_REMEDY = "Write `dataset_path: json` and `dataset_kwargs: {data_files: FILE}` into it; FILE is relative to the task's file."


def begin() -> None:
    """Keep what `datasets` writes in this process's own temporary folder. Call it before any heavy import."""
    os.environ["HF_DATASETS_CACHE"] = tempfile.mkdtemp()


def carried_out(request: EvaluateRequest, model: Model, loaded: Loaded) -> EvaluateResult:
    """Every task, with the figures that lm-eval gives."""
    started = time.monotonic()
    events.progress("reading the tasks")
    from lm_eval import evaluator
    from lm_eval.tasks import TaskManager

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    manager = TaskManager(include_defaults=False)
    tasks = [read(path) for path in request.tasks]
    refuse_twice([str(config["task"]) for config, _ in tasks])
    for config, _ in tasks:
        refuse_idle(config, request.few_shot)
    built = [_built(manager, config) for config, _ in tasks]
    try:
        made = evaluator.simple_evaluate(
            model=evaluating.adapter(model),
            tasks=built,
            task_manager=manager,
            num_fewshot=request.few_shot,
            limit=request.limit,
            log_samples=False,
            torch_random_seed=None,  # else it imports torch to seed it, and nothing here draws with that
        )
    except jobs.Declined as why:
        events.refuse(str(why), "Change the task, or take a model that it fits.")
    results = tuple(result(str(config["task"]), made, sha256) for config, sha256 in tasks)
    return EvaluateResult(
        device=loaded.device, device_name=loaded.device_name, note=loaded.note, seconds=time.monotonic() - started, results=results
    )


def refuse_twice(names: Sequence[str]) -> None:
    """End here if two tasks have one name, under which lm-eval returns the figures of one of them."""
    if twice := sorted({name for name in names if names.count(name) > 1}):
        events.refuse(f"Two task files have the name {twice[0]}.", "Give each `task` a name of its own.")


def refuse_idle(config: Mapping[str, Any], few_shot: int | None) -> None:
    """End here if examples are requested for a task that says `num_fewshot: 0`, which lm-eval leaves as it is."""
    if few_shot and config.get("num_fewshot") == 0:
        events.refuse(f"The task {config['task']} is made for no examples (num_fewshot: 0).", "Leave out --few-shot, or change the task.")


def _built(manager: Any, config: Mapping[str, Any]) -> Any:
    """The task with its data, as lm-eval knows it."""
    try:
        (task,) = manager.load([dict(config)])["tasks"].values()
    except Exception as error:  # of any library that reads data or templates
        reasons = [line for line in f"{type(error).__name__}: {error}".splitlines() if line.strip()][:5]
        events.refuse(f"lm-eval cannot make the task {config['task']}.", "Correct the task's file, or its data.", reasons)
    return task


def read(path: Path) -> tuple[dict[str, Any], str]:
    """The task in a file with its data files by their absolute paths, and the sha256 of all of them."""
    from lm_eval.tasks._yaml_loader import load_yaml

    try:
        config = dict(load_yaml(path))
    except Exception as error:  # of the YAML, of an include, of the Python that it names
        events.refuse(f"{path} cannot be read as a task of lm-eval.", "Correct the file.", str(error).strip().splitlines()[:5])
    if not isinstance(config.get("task"), str):
        events.refuse(f"{path} is not a single task of lm-eval: it has no `task` with a name.", "Name the files of single tasks.")
    words = json.dumps(load_yaml(path, resolve_func=False), sort_keys=True, default=str)  # with what it includes
    if "custom_dataset" in config:  # a function of the user's own, which brings its data itself
        return config, _sha256(words, [])
    if config.get("dataset_path") not in _FORMATS:
        named = config.get("dataset_path")
        what = f"names the data set {named}, which is not a local file" if named else "names no data set"
        events.refuse(f"{path} {what}.", _REMEDY)
    options = dict(config.get("dataset_kwargs") or {})
    options["data_files"] = _resolved(options.get("data_files"), path)
    return {**config, "dataset_kwargs": options}, _sha256(words, _paths(options["data_files"]))


def _resolved(written: Any, task: Path) -> Any:
    """data_files with absolute paths; a name, a list of names, or either for each split."""
    match written:
        case str():
            found = task.parent / Path(written).expanduser()
            if not found.is_file():
                events.refuse(f"The data file {written} of {task.name} does not exist.", _REMEDY, [str(found)])
            return str(found.resolve())
        case list():
            return [_resolved(one, task) for one in written]
        case Mapping():
            return {split: _resolved(one, task) for split, one in written.items()}
    return events.refuse(f"{task} names no data files.", _REMEDY)


def _paths(resolved: Any) -> Iterator[Path]:
    match resolved:
        case str():
            yield Path(resolved)
        case list():
            for one in resolved:
                yield from _paths(one)
        case Mapping():
            for one in resolved.values():
                yield from _paths(one)


def _sha256(words: str, data: Iterable[Path]) -> str:
    digests = (hashlib.sha256(content).hexdigest() for content in (words.encode(), *(path.read_bytes() for path in data)))
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def result(task: str, made: Mapping[str, Any], sha256: str) -> TaskResult:
    """A task's figures in what lm-eval returns."""
    found, better = made["results"][task], made["higher_is_better"].get(task, {})
    scores = []
    for name, value in found.items():
        metric, _, filtered = name.partition(",")
        if not filtered or metric.endswith("_stderr") or isinstance(value, str):
            continue
        error = found.get(f"{metric}_stderr,{filtered}")
        known = float(error) if isinstance(error, int | float) else None
        scores.append(Score(metric=metric, filter=filtered, value=float(value), stderr=known, higher_is_better=better.get(metric)))
    samples = made["n-samples"][task]
    return TaskResult(
        task=task,
        version=str(made["versions"].get(task, "")),
        sha256=sha256,
        documents=int(samples["effective"]),
        of_documents=int(samples["original"]),
        few_shot=int(made["n-shot"].get(task) or 0),
        scores=tuple(scores),
    )
