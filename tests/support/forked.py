"""doit and `bakehouse` in processes of their own without a new interpreter for each: a server that has imported them forks.

Hundreds of tests run one of the commands to its end; most of that time would be the import of the same modules. Each run still has a
process, an environment, a folder and standard streams of its own. What tests the start of an interpreter itself does not come here.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
_MODULES = ("rich.live", "rich.progress", "bakehouse.app.tasks", "bakehouse.stages.preflight", "bakehouse.package.card")
_one_at_a_time = threading.Lock()


def _of_python(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith("PYTHON")}


@cache
def at_start() -> dict[str, str]:
    """What the interpreter of the server is started with: the variables of the first call, which conftest.py makes."""
    return _of_python(os.environ)


def can_run(env: Mapping[str, str]) -> bool:
    """Whether a fork is the same as a start: not for what changes the interpreter, nor for what kills it at its start."""
    return hasattr(os, "fork") and _of_python(env) == at_start() and "BAKEHOUSE_TEST_KILL_AT" not in env


def run(program: str, words: Sequence[str], cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `doit` or `bakehouse` with these words to its end, as `subprocess.run` would; by it where there is no fork."""
    if not hasattr(os, "fork"):
        argv = [sys.executable, "-m", "doit" if program == "doit" else "bakehouse.app.main", *words]
        return subprocess.run(
            argv, cwd=cwd, env=env, text=True, encoding="utf-8", capture_output=True, check=False, stdin=subprocess.DEVNULL
        )
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        asked = {"program": program, "words": list(words), "cwd": str(cwd), "env": dict(env), "out": str(out), "err": str(err)}
        with _one_at_a_time:
            server = _server(os.getpid())
            assert server.stdin and server.stdout
            server.stdin.write(json.dumps(asked) + "\n")
            server.stdin.flush()
            code = int(server.stdout.readline())
        return subprocess.CompletedProcess([program, *words], code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))


@cache
def _server(_: int) -> subprocess.Popen[str]:
    """The server of this process; it ends when its standard input does."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "BAKEHOUSE_TEST_"))} | at_start()
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.forked"], cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(server.communicate)
    return server


def _programs() -> dict[str, Callable[[list[str]], int]]:
    """What can be run, with all its modules imported."""
    from doit.doit_cmd import DoitMain

    from bakehouse.app import main
    from bakehouse.app.verbs import OF_DOIT, OF_TASKS

    for module in (*_MODULES, *(place.partition(":")[0] for place in {**OF_DOIT, **OF_TASKS}.values())):
        import_module(module)
    return {"doit": lambda words: int(DoitMain().run(words) or 0), "bakehouse": main.main}


def _serve(programs: Mapping[str, Callable[[list[str]], int]], answers: IO[str]) -> None:
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _be(programs, **json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file=answers, flush=True)


def _be(
    programs: Mapping[str, Callable[[list[str]], int]], program: str, words: list[str], cwd: str, env: dict[str, str], out: str, err: str
) -> None:
    """Be the process that was requested, and end."""
    for stream, path, mode in ((0, os.devnull, os.O_RDONLY), (1, out, os.O_WRONLY | os.O_CREAT), (2, err, os.O_WRONLY | os.O_CREAT)):
        os.dup2(os.open(path, mode, 0o600), stream)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    tempfile.tempdir = None
    import_module("sitecustomize").hurry()
    sys.argv = [program, *words]
    code = 1
    try:
        code = programs[program](words)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    threading._shutdown()  # type: ignore[attr-defined]
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what an import prints is not an answer
    _serve(_programs(), answers)
