"""`bakehouse run` and `bakehouse chat`, as they are typed: the real command, worker and processes over a made-up runtime."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from bakehouse.app import running
from bakehouse.errors import Failure
from bakehouse.inference.runner import Declined
from bakehouse.tasks.text_generation.workers.jobs import Answered, Job
from tests.support.bench import has_ended, wait_for
from tests.support.running import CONTEXT, NAME, use

pytestmark = pytest.mark.needs_backend("openvino")
_PROGRAM = "import sys; from bakehouse.app.main import main; sys.argv[0] = 'bakehouse'; sys.exit(main())"


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return use(tmp_path, monkeypatch)


def bakehouse(*words: str, piped: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", _PROGRAM, *words], input=piped, capture_output=True, text=True, check=False)


@pytest.mark.whole
def test_an_answer_goes_to_stdout_and_its_numbers_to_stderr() -> None:
    done = bakehouse("run", NAME, "one two three", "--system", "Be brief.")
    assert (done.returncode, done.stdout) == (0, "one two three \n")
    assert re.fullmatch(
        r"7 tokens in and 3 out on CPU \(Made-up Processor\): the first after 20 ms, then 50\.0 tokens/s; "
        r"loaded in \d+ ms, \d+ MB of memory at most\.\n",
        done.stderr,
    ), done.stderr


@pytest.mark.whole
def test_a_prompt_comes_through_a_pipe_and_raw_leaves_the_template_out(package: Path) -> None:
    done = bakehouse("run", str(package), "--raw", piped="one two\n")
    assert done.stdout == "one two \n" and done.stderr.startswith("2 tokens in")
    assert bakehouse("run", NAME).stderr == (
        "ERROR: The prompt is missing.\n  what to do: Give it as the last argument, in quotes, or through a pipe.\n"
    )


@pytest.mark.whole
def test_a_model_gets_the_options_of_its_package_and_the_seed() -> None:
    done = bakehouse("run", NAME, "--temperature", "0.5", "--seed", "7", "options")
    assert done.stdout == "{'EXECUTION_MODE_HINT': 'ACCURACY'} sampled=True seed=7\n"
    assert "sampled=False" in bakehouse("run", NAME, "options").stdout


@pytest.mark.whole
def test_an_answer_that_is_cut_says_where_the_limit_is() -> None:
    assert "cut after 2 tokens; --max-tokens" in bakehouse("run", NAME, "forever", "--max-tokens", "2").stderr
    assert f"context of {CONTEXT} tokens is full" in bakehouse("run", NAME, "forever").stderr


@pytest.mark.whole
def test_what_cannot_be_run_is_refused_in_a_sentence(package: Path, tmp_path: Path) -> None:
    done = bakehouse("run", NAME, "--device", "gpu", "hi")
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "ERROR: OpenVINO finds no GPU on this machine, only CPU.")
    done = bakehouse("run", NAME, "word " * CONTEXT)
    assert done.returncode == 1 and f"the context holds {CONTEXT} with the answer" in done.stderr
    done = bakehouse("run", NAME, "crash")
    assert done.returncode == 1 and "ended with exit code 9" in done.stderr
    log = re.search(r"log: (.*)", done.stderr)
    assert log and Path(log[1]).is_file()  # it is kept, since the error names it
    assert bakehouse("run", NAME, "hi", "--max-tokens", "0").returncode == 2


@pytest.mark.whole
def test_nothing_is_left_behind(tmp_path: Path) -> None:
    assert bakehouse("run", NAME, "hi").returncode == 0
    assert not list(tmp_path.glob("bakehouse-*"))


@pytest.mark.whole
def test_a_chat_through_a_pipe_remembers_resets_and_ends() -> None:
    done = bakehouse("chat", NAME, piped="red\n\ngreen\n/reset\n/nope\nblue\n/quit\nnever\n")
    assert (done.returncode, done.stdout.splitlines()) == (0, ["<user> red ", "red <user> green ", "<user> blue "])
    assert "The conversation is forgotten." in done.stderr and "/nope is not a command." in done.stderr and "never" not in done.stdout


def test_a_chat_goes_on_after_a_message_that_is_too_long() -> None:
    done = bakehouse("chat", NAME, piped=f"{'word ' * CONTEXT}\nshort\n")
    assert done.stdout == "<user> short \n" and "the context holds" in done.stderr


@pytest.fixture
def loaded() -> Iterator[running.Runner]:
    with running.loaded(running.package(NAME, None), None) as runner:
        yield runner


def chat(text: str, **options: object) -> Job:
    return Job(**{"messages": ({"role": "user", "content": text},), "max_new_tokens": 40} | options)  # type: ignore[arg-type]


def texts(runner: running.Runner, job: Job) -> tuple[str, Answered]:
    *pieces, last = runner.stream(job)
    assert isinstance(last, Answered)
    return "".join(str(piece) for piece in pieces), last


def test_a_closed_stream_cancels_the_answer_and_the_next_job_is_answered(loaded: running.Runner) -> None:
    with closing(loaded.stream(chat("slowly"))) as stream:
        assert next(stream) == "step "
    assert texts(loaded, chat("hi"))[0] == "<user> hi "


def test_a_stop_text_ends_an_answer_and_a_declined_job_does_not_end_the_model(loaded: running.Runner) -> None:
    text, answered = texts(loaded, chat("abcdefg", stop=("de",)))
    assert (text, answered.finish) == ("abc", "stop")
    with pytest.raises(Declined, match="chat template does not take these messages: the user speaks last"):
        texts(loaded, Job(messages=({"role": "assistant", "content": "hi"},), max_new_tokens=1))
    assert texts(loaded, chat("hi"))[1].finish == "stop"


def test_after_the_worker_has_died_every_job_fails(loaded: running.Runner) -> None:
    for _ in range(2):
        with pytest.raises(Failure, match="ended with exit code 9"):
            texts(loaded, chat("crash"))


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_interrupt_ends_the_command_and_its_worker() -> None:
    argv = [sys.executable, "-c", _PROGRAM, "run", NAME, "slowly"]
    with psutil.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ) as running_now:
        wait_for(lambda: running_now.children(), running_now)
        (worker,) = running_now.children()
        running_now.send_signal(signal.SIGINT)
        _, err = running_now.communicate()
        assert running_now.returncode == 130 and "Traceback" not in err
        wait_for(lambda: has_ended(worker))
