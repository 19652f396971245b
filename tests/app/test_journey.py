"""From an empty folder to a served package that somebody else downloads, runs and checks: the real command at each step."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import openai
import psutil
import pytest

from tests.support.hub_write import OWNER, Workshop

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("openvino")]
ARGV = [sys.executable, "-m", "bakehouse.app.main"]
QUESTION, ANSWER = "What is the capital of France?", "The capital of France is Paris."
NAME = "tiny-int8-openvino"


class Person:
    """Somebody with an empty folder and an environment that knows nothing of a checkout."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.environ = {
            name: value for name, value in os.environ.items() if not name.startswith("PIPELINE_") and name != "GITHUB_EVENT_NAME"
        }

    def types(self, *words: str, stdin: str = "") -> str:
        """What `bakehouse WORDS` prints; it must end with success."""
        done = subprocess.run(
            [*ARGV, *words], cwd=self.folder, env=self.environ, input=stdin, capture_output=True, text=True, check=False
        )  # fmt: skip
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout

    def serves(self, name: str) -> psutil.Popen:
        """`bakehouse serve`, until it is stopped."""
        argv = [*ARGV, "serve", name, "--port", "0"]
        return psutil.Popen(argv, cwd=self.folder, env=self.environ, stdout=subprocess.PIPE, text=True)


def test_from_an_empty_folder_to_what_somebody_else_runs(tmp_path: Path, tiny_checkpoint: Path, workshop: Workshop) -> None:
    model = tmp_path / "models" / "tiny"
    shutil.copytree(tiny_checkpoint, model)
    (model / "README.md").write_text("---\nlicense: mit\n---\n", encoding="utf-8")
    author = Person(tmp_path / "author")

    said = author.types("init", str(model), "--runtime", "openvino", "--prompt", QUESTION, "--contains", "Paris", "--yes")
    assert "next: bakehouse build tiny-" in said
    made = author.types("build", NAME)
    assert f"next: bakehouse run {NAME}" in made and ANSWER in made

    assert author.types("run", NAME, QUESTION).strip() == ANSWER
    assert ANSWER in author.types("chat", NAME, stdin=f"{QUESTION}\n")
    (compared,) = json.loads(author.types("compare", NAME, "--json"))["packages"]
    assert compared["name"] == NAME
    assert NAME in author.types("bench", NAME, "--runs", "1", "--prompt-tokens", "16", "--new-tokens", "4")
    assert (author.folder / "artifacts" / "bench" / f"{NAME}.json").exists()
    if sys.platform != "win32":
        _asks_what_is_served(author)

    (recipe,) = (author.folder / "recipes").glob("*.yaml")
    recipe.write_text(recipe.read_text(encoding="utf-8") + f"publish:\n  repo: {OWNER}/Tiny-{{build}}\n", encoding="utf-8")
    author.types("publish", NAME)

    reader = Person(tmp_path / "reader")
    download = [str(Path(sys.executable).parent / "hf"), "download", f"{OWNER}/Tiny-int8-openvino", "--local-dir", "Tiny"]
    subprocess.run(download, cwd=reader.folder, env=reader.environ, capture_output=True, check=True)
    assert "nothing wrong" in reader.types("check", "./Tiny")
    assert reader.types("run", "./Tiny", QUESTION).strip() == ANSWER
    assert ANSWER in (reader.folder / "Tiny" / "README.md").read_text(encoding="utf-8")


def _asks_what_is_served(author: Person) -> None:
    with author.serves(NAME) as server:
        try:
            url = server.stdout.readline().split(": ")[1].split(";")[0].split(",")[0]
            client = openai.OpenAI(base_url=url, api_key="unused", max_retries=0)
            chat = [{"role": "user", "content": QUESTION}]
            answer = client.chat.completions.create(model=NAME, messages=chat, max_tokens=32, temperature=0)  # type: ignore[arg-type]
            assert answer.choices[0].message.content == ANSWER
            server.send_signal(signal.SIGINT)
            assert server.wait(30) == 0
        finally:
            if server.is_running():
                server.kill()
