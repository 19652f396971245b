from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from inline_snapshot import snapshot

from bakehouse.errors import Failure
from bakehouse.executor.listen import Progress
from bakehouse.executor.process import Children, Finished, run
from bakehouse.steps.maker import Command
from tests.support.fakes import LEAVES
from tests.support.systems import IS_WINDOWS, not_on_windows

_EVENTS = "from bakehouse.child import events\n"


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
    done = _run(LEAVES + f"result(a=1, b=[2]); bytearray(range(100)) * {taken // 100}", tmp_path)
    assert done.report.values == {"a": 1, "b": [2]}
    assert done.seconds > 0
    assert taken < done.peak_memory_bytes < taken + 500_000_000


def test_progress_is_heard_although_a_bar_left_the_cursor_in_the_line(tmp_path: Path) -> None:
    heard: list[Progress] = []
    _run(
        _EVENTS + "import sys\nsys.stderr.write('loading 10%|#'); sys.stderr.flush()\nevents.progress('saving', 1, 2, 'B')",
        tmp_path,
        on_progress=heard.append,
    )
    assert Progress("saving", 1, 2, "B") in heard


def test_the_percent_of_a_foreign_progress_bar_is_passed_on(tmp_path: Path) -> None:
    heard: list[Progress] = []
    pause = "import time; time.sleep(1)\n" if IS_WINDOWS else ""  # there text may overtake the event that came before it
    reports, prints = "events.progress('compressing')\n", r"print('work  30%|###\r\nwork  60%|######')"
    _run(_EVENTS + reports + pause + prints, tmp_path, on_progress=heard.append)
    assert heard == [Progress("compressing"), Progress("compressing", 30, 100, "%"), Progress("compressing", 60, 100, "%")]


def test_everything_that_the_child_prints_is_in_the_log(tmp_path: Path) -> None:
    _run("import os; print('out'); os.write(2, b'err\\xff')", tmp_path)
    log = (tmp_path / "log.txt").read_bytes()
    assert f"out{os.linesep}".encode() in log and b"err\xff" in log


def test_a_child_that_exits_shows_its_last_lines_and_its_log(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        _run("import sys\nfor n in range(40): print('line', n)\nsys.exit(7)", tmp_path)
    assert caught.value.what == snapshot("The child process ended with exit code 7.")
    assert caught.value.details[-2:] == ("line 39", f"log: {tmp_path / 'log.txt'}")
    assert "line 34" not in caught.value.details


@not_on_windows("it has no signals")
def test_a_crash_in_native_code_is_a_failure_that_names_the_signal(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="The child process died of SIGSEGV"):
        _run("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", tmp_path)


@not_on_windows("it has no signals")
def test_a_signal_without_a_name_is_reported_by_its_number(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="The child process died of signal 40"):
        _run("import os; os.kill(os.getpid(), 40)", tmp_path)


@pytest.mark.skipif(sys.platform != "win32", reason="Windows' own statuses")
def test_a_crash_in_native_code_on_windows_is_named_too(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"The child process died of an access violation \(0xc0000005\)"):
        _run("import faulthandler; faulthandler._read_null()", tmp_path)


@not_on_windows("it has no signals")
def test_a_child_that_is_killed_in_the_middle_of_an_event_leaves_it_as_text(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        _run('import os; os.write(1, b\'\\n@bakehouse {"event": "resu\'); os.kill(os.getpid(), 15)', tmp_path)
    assert caught.value.what == snapshot("The child process died of SIGTERM.")
    assert caught.value.details[0] == snapshot('@bakehouse {"event": "resu')


@not_on_windows("it has no signals")
@pytest.mark.parametrize(
    ("memory_bytes", "what"),
    [(1_000_000, "was killed by the system, most likely for want of memory"), (10**15, "was killed from outside")],
    ids=["larger than the machine", "small"],
)
def test_a_killed_child_counts_as_out_of_memory_only_if_it_held_much_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory_bytes: int, what: str
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=memory_bytes))
    with pytest.raises(Failure, match=rf"The child process {what} \(it held \d\.\d GB\)"):
        _run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", tmp_path)


def test_a_refusal_is_passed_on_in_the_workers_own_words(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        _run(_EVENTS + "events.refuse('the moon is full', 'wait a day', ['it shines'])", tmp_path)
    assert str(caught.value) == snapshot("""\
The moon is full.
    it shines
  what to do: Wait a day.\
""")


OF_THE_HUB = {"HF_TOKEN": "secret-1", "HUGGING_FACE_HUB_TOKEN": "secret-2"}
OF_A_JOB = {"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "secret-3", "ACTIONS_ID_TOKEN_REQUEST_URL": "https://secret-4"}
OF_OTHERS = {
    "PIPELINE_REMOTE": "s3://me:secret-5@elsewhere/store",
    "PIPELINE_SIGN_PASSWORD": "secret-6",
    "AWS_ACCESS_KEY_ID": "secret-7",
    "AWS_SECRET_ACCESS_KEY": "secret-8",
    "AWS_SESSION_TOKEN": "secret-9",
    "AZURE_STORAGE_KEY": "secret-10",
    "AZURE_STORAGE_CONNECTION_STRING": "AccountKey=secret-11",
    "STORE_SAS": "sig=secret-12",
    "FSSPEC_S3": '{"secret": "secret-13"}',
    "GOOGLE_APPLICATION_CREDENTIALS": "secret-14",
    "GITHUB_TOKEN": "secret-15",
    "SOME_API_KEY": "secret-16",
    "SSH_AUTH_SOCK": "secret-17",
}
HARMLESS = {
    "HF_ENDPOINT": "https://hub",
    "HF_HOME": "/home/hf",
    "HTTPS_PROXY": "http://proxy:3128",
    "MONKEY": "business",
    "GIT_AUTHOR_NAME": "a",
}


def _environment_of_child(folder: Path, **options: bool) -> dict[str, str]:
    """What a child has in its environment."""
    seen: dict[str, str] = _run(LEAVES + "import os; result(seen=dict(os.environ))", folder, **options).report.values["seen"]
    return seen


def _set(monkeypatch: pytest.MonkeyPatch, *environs: dict[str, str]) -> None:
    monkeypatch.delenv("HF_OIDC_RESOURCE", raising=False)
    for environ in environs:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)


@pytest.mark.parametrize(("network", "hub"), [(False, False), (True, False), (True, True)])
def test_a_child_gets_no_credential_but_the_hubs_token_where_it_needs_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: bool, hub: bool
) -> None:
    _set(monkeypatch, OF_THE_HUB, OF_A_JOB, OF_OTHERS, HARMLESS)
    seen = _environment_of_child(tmp_path, network=network, hub=hub)
    secret = {name: value for name, value in seen.items() if "secret-" in value}
    assert secret == (OF_THE_HUB if hub else {})
    assert {name: seen.get(name) for name in HARMLESS} == HARMLESS


def test_a_child_is_online_only_if_it_needs_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert _environment_of_child(tmp_path)["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in _environment_of_child(tmp_path, network=True)


def test_only_a_child_that_talks_to_the_hub_and_only_a_ci_job_that_wants_it_may_ask_for_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(monkeypatch, OF_A_JOB, {"HF_OIDC_RESOURCE": "bakers/tiny"})
    seen = _environment_of_child(tmp_path, network=True, hub=True)
    assert {name: seen.get(name) for name in OF_A_JOB} == OF_A_JOB
    assert not {*OF_A_JOB, "HF_OIDC_RESOURCE"} & set(_environment_of_child(tmp_path))


def test_a_login_at_a_proxy_or_an_index_is_for_a_child_that_is_online(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_login = {"HTTPS_PROXY": "http://me:secret@proxy:3128", "PIP_INDEX_URL": "https://me:secret@index/simple"}
    _set(monkeypatch, with_login)
    assert not set(with_login) & set(_environment_of_child(tmp_path))
    assert set(with_login) <= set(_environment_of_child(tmp_path, network=True))


def test_temporary_files_go_where_they_are_thrown_away(tmp_path: Path) -> None:
    facts = _run(LEAVES + "import os, tempfile\nresult(where=tempfile.gettempdir(), cwd=os.getcwd())", tmp_path).report.values
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

    others = psutil.Process().children(recursive=True)  # of other tests
    thread = threading.Thread(target=wait)
    thread.start()
    while not (tmp_path / "scratch" / "up").exists():
        time.sleep(0.01)
    family = [one for one in psutil.Process().children(recursive=True) if one not in others]
    children.stop()
    thread.join(10)
    assert failures == ["Interrupted."]
    assert len(family) >= 2
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]


def test_a_child_that_starts_after_the_stop_is_ended_too(tmp_path: Path) -> None:
    children = Children()
    children.stop()
    with pytest.raises(Failure, match="Interrupted"):
        _run("import time; time.sleep(600)", tmp_path, children=children)


@pytest.mark.whole
def test_a_worker_does_not_outlive_a_parent_that_was_killed(tmp_path: Path) -> None:
    worker = "from bakehouse.child import leash; leash.hold(); import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    parent = (
        "import sys\nfrom pathlib import Path\nfrom bakehouse.steps.maker import Command\n"
        "from bakehouse.executor.process import Children, run\n"
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
