"""Killed at any moment of any step: nothing of it counts, no child is left, and the next run ends with the same bytes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.support import gguf_files, lanes, standin
from tests.support.bench import Bench, recipe, wait_for
from tests.support.lanes import Lane

pytestmark = pytest.mark.model

STEPS = [(lane, kind) for lane in lanes.LANES for kind in lane.kinds]
# What kills and what goes on is the same code for all: these are in `make test`.
SAMPLED = {
    "openvino": ("download", "compress", "fidelity", "package"),
    "openvino-npu": ("validate",),
}
Interference = Callable[[Bench, str, str], None]  # with a task and the kind of step that it is at
EACH_STEP = pytest.mark.parametrize(
    ("lane", "kind"),
    [
        pytest.param(lane, kind, id=f"{lane.name}-{kind}", marks=() if kind in SAMPLED.get(lane.runtime, ()) else pytest.mark.conformance)
        for lane, kind in STEPS
    ],
)


@pytest.fixture
def unmade(lane: Lane, kind: str, tiny_checkpoint: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Everything is made but the steps of one kind and the package; the disk has no package of any name."""
    bench = lanes.baked(lane, tmp_path_factory, tiny_checkpoint).copy(tmp_path / "bench")
    for one in (kind, "package", "../packages"):
        bench.drop(one)
    return bench


@EACH_STEP
def test_a_step_killed_at_any_moment_is_made_by_the_next_run_with_the_same_bytes(
    lane: Lane, kind: str, unmade: Bench, tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path
) -> None:
    whole = lanes.baked(lane, tmp_path_factory, tiny_checkpoint)
    kept = {one: lanes.made(unmade, one) for one in lane.kinds}
    for interfere in moments(kind, hooked=lane.hooked):
        interfere(unmade, lane.task, kind)
        assert not unmade.records(kind), "something counts as made"
        assert not (unmade.artifacts / "packages" / lane.name).exists()
    unmade.build(lane.task)
    (record,) = [record for record in unmade.records(kind) if record.label in (lane.name, "tiny", "tiny-cpu")]
    assert lanes.made(whole, kind)[record.key] == lanes.bytes_of(record.files)
    assert lanes.bytes_of(unmade.manifest(lane.name).files) == lanes.bytes_of(whole.manifest(lane.name).files)
    assert "Paris" in unmade.manifest(lane.name).verdicts[0].answer
    for one in set(lane.kinds) - {kind, "package"}:
        assert lanes.made(unmade, one) == kept[one], f"{one} was touched"
    assert not list((unmade.artifacts / ".staging").iterdir())


@pytest.mark.conformance
def test_a_killed_import_of_a_gguf_file_is_made_by_the_next_run_with_the_same_bytes(tiny_checkpoint: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    bench, task = Bench(tmp_path), "export:tiny-checkpoint"
    bench.write(recipe(source={"type": "local", "path": "model/tiny.gguf", "license": "MIT"}))
    (bench.recipes / "model").mkdir()
    model = AutoModelForCausalLM.from_pretrained(tiny_checkpoint, dtype="float32")
    gguf_files.write(bench.recipes / "model" / "tiny.gguf", model, standin.byte_level_metadata())
    bench.build(task)
    whole = lanes.made(bench, "checkpoint")
    bench.drop("checkpoint")
    for interfere in moments("checkpoint"):
        interfere(bench, task, "checkpoint")
        assert not bench.records("checkpoint")
    bench.build(task)
    assert lanes.made(bench, "checkpoint") == whole


def moments(kind: str, *, hooked: bool = True) -> Iterator[Interference]:
    """When a step of the kind is killed, and what of it; only a hooked child can be configured when to kill."""
    yield killed_when("os.mkdir .staging/{kind}-")
    if kind == "package":
        yield killed_when("os.link .staging/{kind}-")
        return
    if hooked:
        yield killed_when("parent")
    yield child_killed if hooked else child_killed_from_here
    if kind != "download":  # a local checkpoint is copied in an instant; sources/test_hub_faults.py kills long downloads
        yield doit_killed_while_a_file_is_written
    if kind == "compress":  # the same code for every kind; store/test_store.py kills it at every file operation
        yield killed_when("os.rename .staging/{kind}-")


def killed_when(at: str) -> Interference:
    """Kills doit right before it does a certain thing, see children/sitecustomize.py; its child must end by itself."""

    def interfere(bench: Bench, task: str, kind: str) -> None:
        done = bench.killed_at(at.format(kind=kind)).doit(task)
        assert done.returncode == -signal.SIGKILL, f"{done.stdout}\n{done.stderr}"
        assert gone(at_work_in(bench))

    return interfere


def child_killed(bench: Bench, task: str, kind: str) -> None:
    done = bench.killed_at("child").doit(task)
    assert done.returncode == 1
    assert "The child process was killed from outside (it held " in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def child_killed_from_here(bench: Bench, task: str, kind: str) -> None:
    doit = bench.start(task)
    wait_for(lambda: doit.children(), doit)
    doit.children()[0].kill()
    assert doit.wait(60) == 1
    assert "The child process was killed from outside (it held " in bench.said
    assert "Traceback" not in bench.said


def doit_killed_while_a_file_is_written(bench: Bench, task: str, kind: str) -> None:
    doit = bench.start(task)
    wait_for(lambda: doit.poll() is not None or any(path.is_file() for path in bench.artifacts.glob(f".staging/{kind}-*/files/**/*")))
    doit.kill()
    doit.wait(10)
    assert gone(at_work_in(bench))
    for late in (kind, "package", "../packages"):  # on a busy machine it may have got further
        bench.drop(late)


def at_work_in(bench: Bench) -> list[psutil.Process]:
    """The processes that know the bench's folder."""
    return [one for one in psutil.process_iter(["cmdline"]) if str(bench.artifacts) in " ".join(one.info["cmdline"] or ())]


def gone(processes: list[psutil.Process]) -> bool:
    """Whether these processes end within seconds."""
    _, alive = psutil.wait_procs(processes, timeout=10)
    return not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]


# --- requested to stop ------------------------------------------------------------------------------------------------

SAID = "interrupted; run it again: it goes on from the last complete step"


@lanes.sampled("openvino", "onnxruntime-genai")
@pytest.mark.parametrize("args", [(), ("-n", "2")], ids=["alone", "side by side"])
@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "Ctrl-C", "Ctrl-C twice"])
def test_an_interrupt_ends_with_one_line_exit_code_130_and_no_child(
    baked: Bench, lane: Lane, tmp_path: Path, how: str, args: tuple[str]
) -> None:
    bench = baked.copy(tmp_path / "bench")
    for kind in (lane.compresses, "package"):
        bench.drop(kind)
    doit = bench.start("build", *args)
    wait_for(lambda: len(doit.children()) == (2 if args else 1), doit)
    family = doit.children(recursive=True)
    interrupt(doit, how)
    assert doit.wait(30) == 130
    assert gone(family)
    assert bench.said.count(SAID) == 1
    assert "Traceback" not in bench.said
    assert "Error" not in bench.said
    # On a busy machine a quick step may have ended by itself in the meantime: what is recorded is whole.
    whole = {record.key: lanes.bytes_of(record.files) for record in baked.records(lane.compresses)}
    assert [record.label for record in bench.records(lane.compresses) if lanes.bytes_of(record.files) != whole[record.key]] == []
    if how == "Ctrl-C" and not args:
        bench.build(lane.task)
        assert lanes.bytes_of(bench.manifest(lane.name).files) == lanes.bytes_of(baked.manifest(lane.name).files)


def interrupt(doit: psutil.Popen, how: str) -> None:
    """What a person or a service manager does to end it."""
    if how == "SIGTERM":
        doit.terminate()
    elif how == "SIGINT":
        doit.send_signal(signal.SIGINT)
    else:
        for _ in range(2 if "twice" in how else 1):
            os.killpg(doit.pid, signal.SIGINT)
