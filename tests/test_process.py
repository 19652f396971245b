from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from pipeline.errors import Failure
from pipeline.maker import Command
from pipeline.process import Children, Finished, Progress, run

_EVENTS = "from pipeline.workers import events\n"


def _run(
    program: str,
    folder: Path,
    *,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    children: Children | None = None,
    network: bool = False,
    hub: bool = False,
) -> Finished:
    return run(
        Command((sys.executable, "-c", program), needs_network=network, hub_token=hub),
        children=children or Children(),
        log=folder / "log.txt",
        scratch=folder / "scratch",
        on_progress=on_progress,
    )


def test_facts_time_and_memory_come_back(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="Windows does not tell the peak of a child")
    here = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # a child's peak is never below its parent's at its birth
    taken = here + 300_000_000
    done = _run(_EVENTS + f"events.result(a=1, b=[2]); events.result(b=3); bytearray(range(100)) * {taken // 100}", tmp_path)
    assert done.facts == {"a": 1, "b": 3}
    assert done.seconds > 0
    assert taken < done.peak_memory_bytes < taken + 500_000_000


def test_progress_is_heard_although_a_bar_left_the_cursor_in_the_line(tmp_path: Path) -> None:
    heard: list[Progress] = []
    _run(
        _EVENTS + "import sys\nsys.stderr.write('loading 10%|#'); sys.stderr.flush()\nevents.progress('saving', 1, 2, 'B')",
        tmp_path,
        on_progress=heard.append,
    )
    assert heard == [Progress("saving", 1, 2, "B")]


def test_the_percent_of_a_foreign_progress_bar_is_passed_on(tmp_path: Path) -> None:
    heard: list[Progress] = []
    _run(_EVENTS + r"events.progress('compressing'); print('work  30%|###\r\nwork  60%|######')", tmp_path, on_progress=heard.append)
    assert heard == [Progress("compressing"), Progress("compressing", 30, 100, "%"), Progress("compressing", 60, 100, "%")]


def test_everything_that_the_child_prints_is_in_the_log(tmp_path: Path) -> None:
    _run("import os; print('out'); os.write(2, b'err\\xff')", tmp_path)
    log = (tmp_path / "log.txt").read_bytes()
    assert b"out\n" in log and b"err\xff" in log


def test_a_failed_child_shows_its_command_its_last_lines_and_its_log(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        _run("import sys\nfor n in range(40): print('line', n)\nsys.exit(7)", tmp_path)
    assert caught.value.what == "the child process ended with exit code 7"
    assert caught.value.details[0].startswith(f"command: {sys.executable} -c ")
    assert caught.value.details[-2:] == ("line 39", f"log: {tmp_path / 'log.txt'}")
    assert "line 24" not in caught.value.details


def test_a_crash_in_native_code_is_a_failure_that_names_the_signal(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="the child process died of SIGSEGV"):
        _run("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", tmp_path)


def test_a_child_killed_by_the_system_is_said_to_lack_memory(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="killed by the system, most likely for want of memory"):
        _run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", tmp_path)


def test_a_refusal_is_passed_on_in_the_workers_own_words(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        _run(_EVENTS + "events.refuse('the moon is full', 'wait a day', ['it shines'])", tmp_path)
    assert str(caught.value) == "the moon is full\n    it shines\n  what to do: wait a day"


@pytest.mark.parametrize(("network", "hub"), [(False, False), (True, False), (True, True)])
def test_only_a_child_that_needs_them_is_online_and_gets_the_hubs_token_and_none_gets_another_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: bool, hub: bool
) -> None:
    secrets = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN")
    for name in secrets:
        monkeypatch.setenv(name, "secret")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    seen = f"[name for name in {secrets} if name in os.environ]"
    program = f"{_EVENTS}import os\nevents.result(seen={seen}, offline=os.environ.get('HF_HUB_OFFLINE'))"
    facts = _run(program, tmp_path, network=network, hub=hub).facts
    assert facts == {"seen": list(secrets[:3]) if hub else [], "offline": None if network else "1"}


def test_temporary_files_go_where_they_are_thrown_away(tmp_path: Path) -> None:
    facts = _run(_EVENTS + "import os, tempfile\nevents.result(where=tempfile.gettempdir(), cwd=os.getcwd())", tmp_path).facts
    assert facts == {"where": str(tmp_path / "scratch"), "cwd": str(tmp_path / "scratch")}


def test_stopping_ends_a_child_with_all_its_descendants(tmp_path: Path) -> None:
    grandchild = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"
    program = f"import subprocess, sys, time\n{grandchild}\nopen('up', 'w').close()\ntime.sleep(600)"
    children, failures = Children(), []

    def wait() -> None:
        try:
            _run(program, tmp_path, children=children)
        except Failure as failure:
            failures.append(failure.what)

    thread = threading.Thread(target=wait)
    thread.start()
    while not (tmp_path / "scratch" / "up").exists():
        time.sleep(0.01)
    family = psutil.Process().children(recursive=True)
    children.stop()
    thread.join(10)
    assert failures == ["interrupted"]
    assert len(family) >= 2
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]


def test_a_child_that_starts_after_the_stop_is_ended_too(tmp_path: Path) -> None:
    children = Children()
    children.stop()
    with pytest.raises(Failure, match="interrupted"):
        _run("import time; time.sleep(600)", tmp_path, children=children)


def test_a_worker_does_not_outlive_a_parent_that_was_killed(tmp_path: Path) -> None:
    worker = "from pipeline.workers import leash; leash.hold(); import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    parent = (
        "import sys\nfrom pathlib import Path\nfrom pipeline.maker import Command\nfrom pipeline.process import Children, run\n"
        f"run(Command((sys.executable, '-c', {worker!r})), children=Children(), log=Path({str(tmp_path / 'log.txt')!r}), "
        f"scratch=Path({str(tmp_path / 'scratch')!r}), on_progress=print)"
    )
    process = psutil.Popen([sys.executable, "-c", parent], env=dict(os.environ))
    while not (lines := (tmp_path / "log.txt").read_text().split("\n")[-2:] if (tmp_path / "log.txt").exists() else [""])[0].isdigit():
        time.sleep(0.01)
    worker_process = psutil.Process(int(lines[0]))
    process.kill()
    process.wait(10)
    worker_process.wait(10)
    assert not psutil.pid_exists(worker_process.pid)
