"""What a user reads of an exception, an exit or a signal in a worker; the traceback is in the log and nowhere else."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.errors import Failure
from bakehouse.executor import process
from bakehouse.executor.process import Children
from bakehouse.steps.maker import Command
from tests.support.fakes import LEAVES
from tests.support.systems import not_on_windows

ROOT = Path(__file__).resolve().parents[2]
HOLD = "from bakehouse.child import events, leash\nleash.hold()\n"
LOOK = "The log has the traceback: look there for the reason, or report it with the log."


def fails(program: str, folder: Path, *words: str) -> Failure:
    """The failure of a child that runs a program."""
    with pytest.raises(Failure) as caught:
        process.run(
            Command((sys.executable, "-c", program, *words)),
            children=Children(),
            log=folder / "log.txt",
            scratch=folder / "scratch",
            on_progress=lambda progress: None,
        )
    return caught.value


def test_an_exception_is_shown_by_its_last_line_with_the_work_the_input_and_the_log(tmp_path: Path) -> None:
    model, staging = tmp_path / "model", tmp_path / "staging"
    model.mkdir()
    staging.mkdir()
    found = fails(HOLD + "events.progress('tracing the model')\nraise ValueError('no such layer')", staging, str(model), str(staging))
    assert str(found) == (
        "The worker failed while tracing the model: ValueError: no such layer.\n"
        f"    read from: {model}\n"
        f"    log: {staging / 'log.txt'}\n"
        f"  what to do: {LOOK}"
    )
    assert "Traceback (most recent call last)" in (staging / "log.txt").read_text()


MESSAGES = {
    "several lines": (
        "raise RuntimeError('Exception from core.cpp:107:\\n\\nCheck failed\\nunknown opset\\n')",
        "The worker failed at its start: RuntimeError: unknown opset.",
        ("RuntimeError: Exception from core.cpp:107:", "Check failed", "unknown opset"),
        LOOK,
    ),
    "no message": ("raise KeyError", "The worker failed at its start: KeyError.", (), LOOK),
    "a cause": (
        "try: 1 / 0\nexcept ZeroDivisionError as error: raise ValueError('odd') from error",
        "The worker failed at its start: ValueError: odd.",
        (),
        LOOK,
    ),
    "a thread": (
        "import threading\nlate = threading.Thread(target=lambda: {}['x'])\nlate.start()\nlate.join()\nraise SystemExit(4)",
        "The worker failed at its start: KeyError: 'x'.",
        (),
        LOOK,
    ),
    "memory": (
        "raise MemoryError",
        "The worker failed at its start: MemoryError.",
        (),
        "Close other programs, use a machine with more memory, or run without -n.",
    ),
    "memory of a library": (
        "raise RuntimeError('DefaultCPUAllocator: can\\'t allocate memory: you tried to allocate 9 bytes')",
        "The worker failed at its start: RuntimeError: DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.",
        (),
        "Close other programs, use a machine with more memory, or run without -n.",
    ),
    "a quota": (
        "import errno\nraise OSError(errno.EDQUOT, 'Disk quota exceeded', 'model.bin')",
        f"The worker failed at its start: OSError: [Errno {errno.EDQUOT}] Disk quota exceeded: 'model.bin'.",
        (),
        "Free space (`bakehouse prune` drops what no recipe uses) or point PIPELINE_ARTIFACTS at a larger disk, and run it again.",
    ),
    "a package": (
        "import sentencepiece_of_nobody",
        "The worker failed at its start: ModuleNotFoundError: No module named 'sentencepiece_of_nobody'.",
        (),
        "`pip install sentencepiece_of_nobody` in the environment that bakehouse runs in.",
    ),
    "a version": (
        "from json import nothing_of_that_name",
        "The worker failed at its start: ImportError: cannot import name 'nothing_of_that_name' from 'json'",
        (),
        "Install what it names in the environment that bakehouse runs in; `pip install 'bakehouse[build]'` brings the converters.",
    ),
    "a file": (
        "open('/nowhere/tokenizer.json')",
        "The worker failed at its start: FileNotFoundError: [Errno 2] No such file or directory: '/nowhere/tokenizer.json'.",
        (),
        "See that /nowhere/tokenizer.json exists, is complete, and may be read and written.",
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_an_exception_of_any_kind_has_a_sentence_and_what_to_do(name: str, tmp_path: Path) -> None:
    program, what, details, remedy = MESSAGES[name]
    found = fails(HOLD + LEAVES + program, tmp_path)
    assert found.what.partition(" (")[0] == what
    assert found.details == (*details, f"log: {tmp_path / 'log.txt'}")
    assert found.remedy == remedy


@pytest.mark.parametrize("hold", [HOLD, "from bakehouse.child import events\n"], ids=["held", "not yet held"])
def test_a_traceback_of_hundreds_of_frames_is_one_sentence(hold: str, tmp_path: Path) -> None:
    found = fails(hold + "def deeper(n):\n    return deeper(n + 1)\ndeeper(0)", tmp_path)
    assert found.what == snapshot("The worker failed at its start: RecursionError: maximum recursion depth exceeded.")
    assert "File " not in str(found)


def test_a_secret_in_an_exception_is_in_neither_the_failure_nor_the_traceback(tmp_path: Path) -> None:
    found = fails(
        HOLD + "from bakehouse.child import redact as discreet\ndiscreet.keep('hf_very_secret')\nraise ValueError('hf_very_secret')",
        tmp_path,
    )
    assert found.what == snapshot("The worker failed at its start: ValueError: ***.")
    assert "\nValueError: ***\n" in (tmp_path / "log.txt").read_text()


@not_on_windows("it has no signals")
def test_a_crash_in_native_code_names_the_signal_and_the_work(tmp_path: Path) -> None:
    found = fails(
        HOLD + "import os, signal\nevents.progress('compiling')\nprint('the last words', flush=True)\nos.kill(os.getpid(), 11)", tmp_path
    )
    assert found.what == snapshot("The child process died of SIGSEGV while compiling.")
    assert found.details == ("the last words", f"log: {tmp_path / 'log.txt'}")


def test_a_library_that_exits_is_shown_with_its_last_words(tmp_path: Path) -> None:
    found = fails(HOLD + "import sys\nevents.progress('building')\nsys.exit('unsupported architecture')", tmp_path)
    assert found.what == snapshot("The child process ended with exit code 1 while building.")
    assert found.details[0] == "unsupported architecture"


def test_an_exception_of_a_thread_does_not_fail_a_worker_that_went_on(tmp_path: Path) -> None:
    program = "import threading\nlate = threading.Thread(target=lambda: {}['x'])\nlate.start()\nlate.join()\nresult(done=1)"
    done = process.run(
        Command((sys.executable, "-c", HOLD + LEAVES + program)),
        children=Children(),
        log=tmp_path / "log.txt",
        scratch=tmp_path / "scratch",
        on_progress=lambda progress: None,
    )
    assert done.report.values == {"done": 1}


def test_every_worker_reports_what_nothing_catches() -> None:
    workers = {str(path): path.read_text(encoding="utf-8") for path in (ROOT / "pipeline" / "bakehouse").rglob("workers/*.py")}
    programs = {name: text for name, text in workers.items() if '\nif __name__ == "__main__":' in text}
    begins = ("start.run(", "start.run_plain(", "leash.hold()", "crash.install()")
    assert [name for name, text in programs.items() if not any(begin in text for begin in begins)] == []
    assert len(programs) > 5
