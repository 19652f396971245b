"""From an empty folder to a served package that somebody else downloads, runs and checks: the command of the installed wheel."""

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

from tests.app.test_init import model
from tests.support import wheel
from tests.support.bench import ROOT
from tests.support.hub_write import OWNER, Workshop
from tests.support.keys import key_pair

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("openvino")]
QUESTION, ANSWER = "What is the capital of France?", "The capital of France is Paris."
NAME = "tiny-int8-openvino"


class Person:
    """Somebody with an empty folder, the command of an installed wheel, and an environment that knows nothing of a checkout."""

    def __init__(self, folder: Path, bakehouse: Path) -> None:
        folder.mkdir()
        self.folder, self.bakehouse = folder, str(bakehouse)
        self.environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("PIPELINE_") and name not in ("GITHUB_EVENT_NAME", "PYTHONPATH")
        }

    def tries(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """`bakehouse WORDS`, which may fail, but not with a traceback."""
        done = subprocess.run(
            [self.bakehouse, *words], cwd=self.folder, env=self.environ, input=stdin, capture_output=True, text=True, check=False
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        return done

    def types(self, *words: str, stdin: str = "") -> str:
        """What `bakehouse WORDS` prints; it must end with success."""
        done = self.tries(*words, stdin=stdin)
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def serves(self, name: str) -> psutil.Popen:
        """`bakehouse serve`, until it is stopped."""
        argv = [self.bakehouse, "serve", name, "--port", "0"]
        return psutil.Popen(argv, cwd=self.folder, env=self.environ, stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree."""
    return wheel.built(tmp_path_factory.mktemp("wheel"))


def test_from_an_empty_folder_to_what_somebody_else_runs(
    tmp_path: Path, tiny_checkpoint: Path, workshop: Workshop, distribution: Path
) -> None:
    bakehouse = wheel.installed(distribution, tmp_path / "environment", wheel.everything())
    model = tmp_path / "models" / "tiny"
    shutil.copytree(tiny_checkpoint, model)
    (model / "README.md").write_text("---\nlicense: mit\n---\n", encoding="utf-8")
    author = Person(tmp_path / "author", bakehouse)

    said = author.types("init", str(model), "--runtime", "openvino", "--prompt", QUESTION, "--contains", "Paris", "--yes")
    assert "next: bakehouse build tiny-" in said
    assert "1 recipe with 2 builds is well formed" in author.types("lint")
    assert f"package:{NAME}" in author.types("plan")
    made = author.types("build", NAME)
    assert f"build:{NAME}" in author.types("list")
    assert f"next: bakehouse run {NAME}" in made and ANSWER in made

    assert author.types("run", NAME, QUESTION).strip() == ANSWER
    assert ANSWER in author.types("chat", NAME, stdin=f"{QUESTION}\n")
    (compared,) = json.loads(author.types("compare", NAME, "--json"))["packages"]
    assert compared["name"] == NAME
    author.types("compare", NAME, "--html", "page.html")
    assert NAME in author.types("bench", NAME, "--runs", "1", "--prompt-tokens", "16", "--new-tokens", "4")
    assert (author.folder / "artifacts" / "bench" / f"{NAME}.json").exists()
    if sys.platform != "win32":
        _asks_what_is_served(author)

    (recipe,) = (author.folder / "recipes").glob("*.yaml")
    recipe.write_text(recipe.read_text(encoding="utf-8") + f"publish:\n  repo: {OWNER}/Tiny-{{build}}\n", encoding="utf-8")
    author.types("build", NAME)  # the card is another where its destination is known
    assert f"{OWNER}/Tiny-int8-openvino" in author.types("publish", NAME, "--dry-run")
    author.types("publish", NAME)

    reader = Person(tmp_path / "reader", bakehouse)
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


def test_the_base_install_does_all_that_needs_no_converter_and_names_the_extra_of_the_rest(tmp_path: Path, distribution: Path) -> None:
    base = wheel.base(distribution, tmp_path / "base")
    person = Person(tmp_path / "person", wheel.installed(distribution, tmp_path / "environment", [base]))
    assert not {"torch", "transformers", "openvino", "onnxruntime", "fastapi", "model_signing", "s3fs"} & {
        path.name for path in base.iterdir()
    }
    shutil.copytree(ROOT / "tests/data/package-v1", tmp_path / "package")
    shutil.copytree(tmp_path / "package", tmp_path / "signed")
    (tmp_path / "signed" / "model.sig").touch()
    _, public = key_pair(tmp_path, "public")

    person.types("init", str(model(tmp_path / "model", license="mit")), "--name", "tiny", "--runtime", "openvino", "--yes")
    (recipe,) = (person.folder / "recipes").glob("*.yaml")
    recipe.write_text(recipe.read_text(encoding="utf-8") + f"publish:\n  repo: {OWNER}/Tiny-{{build}}\n", encoding="utf-8")
    assert "well formed" in person.types("lint")
    assert f"package:{NAME}" in person.types("plan")
    assert f"build:{NAME}" in person.types("list")
    assert json.loads(person.types("matrix")) == {"include": []}
    assert "none damaged" in person.types("check")
    assert "nothing wrong" in person.types("check", "../package")
    assert "nothing to compare" in person.tries("compare").stderr
    assert f"`bakehouse build {NAME}`" in person.tries("publish", NAME, "--dry-run").stderr

    for words, extra in {
        ("build", NAME): "build",
        ("run", "../package", "Hello"): "build",
        ("chat", "../package"): "build",
        ("bench", "../package"): "build",
        ("serve", "../package"): "serve",
        ("check", "../signed", "--key", str(public)): "sign",
    }.items():
        done = person.tries(*words)
        assert done.returncode == 3, (words, done)
        assert f"'bakehouse[{extra}]'" in done.stdout + done.stderr or f"its extra `{extra}`" in done.stderr, (words, done)
