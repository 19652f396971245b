"""`bakehouse serve` with the real client of OpenAI: the real command, worker and processes over a made-up runtime."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest

from bakehouse.app.commands import serve
from bakehouse.app.main import main
from bakehouse.errors import Failure
from tests.support.bench import wait_for
from tests.support.running import CONTEXT, NAME, use

pytestmark = [
    pytest.mark.needs_backend("openvino"),
    pytest.mark.skipif(sys.platform == "win32", reason="it is stopped by a signal of POSIX"),
]
_PROGRAM = "import sys; from bakehouse.app.main import main; sys.argv[0] = 'bakehouse'; sys.exit(main())"


@contextmanager
def serving(*words: str) -> Iterator[tuple[str, psutil.Popen]]:
    """Its URL and process; it must end with success at SIGTERM."""
    argv = [sys.executable, "-c", _PROGRAM, "serve", NAME, "--port", "0", *words]
    with psutil.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            said = process.stdout.readline()
            assert "http://" in said, process.stderr.read()
            yield said.split(": ")[1].split(";")[0].split(",")[0], process
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            assert process.stderr.read() == ""
        finally:
            if process.poll() is None:
                process.kill()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        use(tmp_path_factory.mktemp("artifacts"), patch)
        with serving() as (found, _):
            yield found


@pytest.fixture
def client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=url, api_key="unused", max_retries=0)


def ask(client: openai.OpenAI, text: str, **options: Any) -> Any:
    return client.chat.completions.create(model=NAME, messages=[{"role": "user", "content": text}], **options)


def test_the_client_lists_the_model_and_gets_an_answer(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [NAME]
    answer = ask(client, "one two three")
    assert answer.choices[0].message.content == "one two three "
    assert (answer.choices[0].finish_reason, answer.usage.prompt_tokens, answer.usage.completion_tokens) == ("stop", 4, 3)


def test_an_answer_is_streamed_with_its_usage(client: openai.OpenAI) -> None:
    chunks = list(ask(client, "one two", stream=True, stream_options={"include_usage": True}))
    assert [chunk.choices[0].delta.content for chunk in chunks[:-1]] == ["", "<user> ", "one ", "two ", None]
    assert chunks[-2].choices[0].finish_reason == "stop" and chunks[-1].usage.total_tokens == 6


def test_stop_and_max_tokens_and_seed_count(client: openai.OpenAI) -> None:
    assert ask(client, "abcdef", stop=["cd"]).choices[0].message.content == "ab"
    cut = ask(client, "forever", max_tokens=2)
    assert (cut.choices[0].message.content, cut.choices[0].finish_reason) == ("on and on and ", "length")
    assert "sampled=True seed=5" in ask(client, "options", temperature=0.5, seed=5).choices[0].message.content
    assert "sampled=False" in ask(client, "options").choices[0].message.content


def test_requests_at_once_are_answered_one_after_the_other(client: openai.OpenAI) -> None:
    found: dict[int, str] = {}

    def one(number: int) -> None:
        found[number] = ask(client, f"a {number} b{number}").choices[0].message.content

    threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: f"a {number} b{number} " for number in range(6)}


def test_a_client_that_goes_away_leaves_the_model_to_the_next(client: openai.OpenAI) -> None:
    stream = ask(client, "slowly", stream=True)
    next(iter(stream))
    stream.close()
    assert ask(client, "next").choices[0].message.content == "<user> next "


@pytest.mark.parametrize(
    ("options", "param", "what"),
    [
        ({"n": 2}, "n", "n is not supported by this server."),
        ({"temperature": 3}, "temperature", "less than or equal to 2"),
        ({"max_tokens": 0}, "max_tokens", "greater than or equal to 1"),
        ({"messages": []}, "messages", "at least 1 item"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools", "not supported"),
    ],
)
def test_what_it_does_not_know_is_refused_in_openais_shape(client: openai.OpenAI, options: dict[str, Any], param: str, what: str) -> None:
    with pytest.raises(openai.BadRequestError, match=what) as caught:
        client.chat.completions.create(**{"model": NAME, "messages": [{"role": "user", "content": "hi"}]} | options)
    assert (caught.value.param, caught.value.type) == (param, "invalid_request_error")


def test_another_model_and_a_prompt_that_is_too_long_are_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="has the model"):
        client.chat.completions.create(model="gpt", messages=[{"role": "user", "content": "hi"}])
    with pytest.raises(openai.BadRequestError, match="context") as caught:
        ask(client, "word " * CONTEXT, stream=True)
    assert caught.value.code == "context_length_exceeded"


@pytest.mark.parametrize(("path", "body", "status"), [("chat/completions", b"{", 400), ("nope", b"{}", 404), ("models", b"{}", 405)])
def test_every_error_has_openais_shape(url: str, path: str, body: bytes, status: int) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{url}/{path}", data=body)
    assert caught.value.code == status
    with caught.value as answer:
        assert json.load(answer)["error"]["type"] == "invalid_request_error"


@pytest.mark.whole
def test_a_key_is_required_where_one_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(tmp_path, monkeypatch)
    monkeypatch.setenv("BAKEHOUSE_API_KEY", "secret")
    with serving() as (url, process):
        for key in ("wrong", "sécret"):
            with pytest.raises(urllib.error.HTTPError, match="401") as caught:
                urllib.request.urlopen(urllib.request.Request(f"{url}/models", headers={"Authorization": f"Bearer {key}"}))
            caught.value.close()
        assert ask(openai.OpenAI(base_url=url, api_key="secret"), "hi").choices[0].message.content == "<user> hi "
        (worker,) = process.children()
    wait_for(lambda: not worker.is_running())


@pytest.mark.whole
def test_a_stop_ends_the_answer_that_is_being_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(tmp_path, monkeypatch)
    with serving() as (url, _):
        client = openai.OpenAI(base_url=url, api_key="unused", max_retries=0)
        stream = ask(client, "slowly", stream=True)
        next(iter(stream))
        stream.close()


def test_only_this_machine_is_served_without_a_key() -> None:
    assert serve.key_for("127.0.0.1", None, {}) is None and serve.key_for("::1", None, {}) is None
    assert serve.key_for("0.0.0.0", None, {"BAKEHOUSE_API_KEY": "k"}) == "k" and serve.key_for("0.0.0.0", "a", {}) == "a"
    for host in ("0.0.0.0", "::", "example.org"):
        with pytest.raises(Failure, match="and the key is missing"):
            serve.key_for(host, None, {})
    with pytest.raises(Failure, match="key is empty"):
        serve.key_for("127.0.0.1", " ", {})


def test_a_missing_extra_is_named_with_its_own_exit_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "path", [])
    for name in [name for name in sys.modules if name.partition(".")[0] in ("fastapi", "uvicorn")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path_importer_cache", {})
    assert main(["serve", NAME]) == 3
    assert "`pip install 'bakehouse[serve]'`" in capsys.readouterr().err
