"""What a user of Windows does, by Windows Python under Wine with the converters and runtimes: `make test-windows-full`.

Its name keeps it out of the whole suite: it needs Wine, 3 GB and half an hour.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from bakehouse.package import checksums
from tests.support import lanes, standin
from tests.support.bench import ROOT, Bench
from tests.windows import wine
from tests.windows.wine import Windows, as_windows

QUESTION, ANSWER = "What is the capital of France?", "The capital of France is Paris."
NAME = "tiny-int8-openvino"
_MAIN = ("-m", "bakehouse.app.main")
LANES = [lane for lane in lanes.LANES if lane.runtime in ("openvino", "onnxruntime-genai")]
_PATIENCE_S = 900.0
# A console sends Ctrl-C as an event from which Python makes SIGINT; Wine without a screen has no console, so the signal is raised inside.
_INTERRUPTED = """
import signal, sys, threading, time
from pathlib import Path
def interrupt():
    while not any(Path("artifacts/.staging").glob("*-*/scratch/request.json")):
        time.sleep(0.05)
    time.sleep(3)
    signal.raise_signal(signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
from bakehouse.app import main
sys.exit(main.main(sys.argv[1:]))
"""

pytestmark = pytest.mark.timeout(2400)


@pytest.fixture(scope="module")
def windows() -> Iterator[Windows]:
    with wine.started(whole=True) as running:
        yield running


@dataclass(frozen=True)
class Person:
    """Somebody with a folder of their own on Windows."""

    windows: Windows
    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def tries(self, *words: str) -> wine.Done:
        """`bakehouse WORDS`, which may fail, but not with a traceback."""
        done = wine.run(self.windows, *_MAIN, *words, timeout_s=_PATIENCE_S, cwd=self.folder, env=self.env)
        assert done.code is not None, f"{words} came to no end:\n{done.text}"
        assert "Traceback" not in done.text, done.text
        return done

    def types(self, *words: str) -> str:
        """What `bakehouse WORDS` prints; it must end with success."""
        done = self.tries(*words)
        assert done.code == 0, f"{words}\n{done.text}"
        return done.text


@pytest.fixture
def author(windows: Windows, tmp_path: Path) -> Person:
    """Somebody with a recipe for the tiny model, which `bakehouse init` has written."""
    model, folder = tmp_path / "models" / "tiny", tmp_path / "author"
    shutil.copytree(standin.tiny_checkpoint(), model)
    (model / "README.md").write_text("---\nlicense: mit\n---\n", encoding="utf-8")
    folder.mkdir()
    person = Person(windows, folder)
    said = person.types("init", as_windows(model), "--runtime", "openvino", "--prompt", QUESTION, "--contains", "Paris", "--yes")
    assert "next: bakehouse build tiny-" in said
    return person


def test_from_init_to_check(author: Person) -> None:
    assert "is well formed" in author.types("lint")
    assert f"package:{NAME}" in author.types("plan")
    assert ANSWER in author.types("build", NAME)
    assert author.types("run", NAME, QUESTION).startswith(f"{ANSWER}\n")
    assert NAME in author.types("compare", "--json")
    assert "nothing wrong" in author.types("check", NAME)
    package = author.folder / "artifacts" / "packages" / NAME
    assert not [path for path in package.rglob("*") if path.suffix in (".json", ".jinja", ".md") and b"\r\n" in path.read_bytes()]


def test_an_interrupted_and_a_killed_build_go_on(author: Person) -> None:
    script = author.folder / "interrupted.py"
    script.write_text(_INTERRUPTED, encoding="utf-8")
    stopped = wine.run(author.windows, "interrupted.py", "build", NAME, timeout_s=_PATIENCE_S, cwd=author.folder)
    assert stopped.code not in (0, None), stopped.text
    assert "Traceback" not in stopped.text and "interrupted" in stopped.text.lower(), stopped.text

    with wine.running(author.windows, (*_MAIN, "build", NAME), {}, author.folder):
        _wait(lambda: _workers(author.folder))
        for one in _running(lambda words: "bakehouse.app.main" in words and f" {NAME}" in words):
            one.kill()
        _wait(lambda: not _workers(author.folder))
    assert ANSWER in author.types("build", NAME)


def test_two_runs_at_once_make_each_step_once(author: Person) -> None:
    with (
        wine.running(author.windows, (*_MAIN, "build", NAME), {}, author.folder) as one,
        wine.running(author.windows, (*_MAIN, "build", NAME), {}, author.folder) as two,
    ):
        said = [process.communicate(timeout=_PATIENCE_S)[0].decode() for process in (one, two)]
        assert (one.returncode, two.returncode) == (0, 0), "\n".join(said)
    made = [line.split()[2] for text in said for line in text.splitlines() if line[9:12] == "ok "]
    assert len(made) == len(set(made)), "\n".join(said)
    assert "nothing wrong" in author.types("check", NAME)


@pytest.mark.parametrize("lane", LANES, ids=lambda lane: lane.runtime)
def test_a_package_made_on_linux_answers_with_the_code_of_its_card(
    lane: lanes.Lane, windows: Windows, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bench = lanes.baked(lane, tmp_path_factory, standin.tiny_checkpoint())
    packages = sorted(folder for folder in (bench.artifacts / "packages").iterdir() if folder.is_dir())
    assert packages
    for package in packages:
        assert _follows_card(windows, package, tmp_path) == ANSWER
        assert "nothing wrong" in Person(windows, tmp_path).types("check", as_windows(package))


@pytest.mark.parametrize("build", ["int4-openvino", "int4-ort-cpu"])
def test_a_real_model_is_built_with_the_bytes_of_linux(build: str, windows: Windows, tmp_path: Path) -> None:
    """SmolLM2-135M: weights, configuration, tokenizer, template and licence are the same; see README.md for what may differ."""
    name = f"smollm2-{build}"
    linux = Bench(tmp_path / "linux", {"PIPELINE_RECIPES": str(ROOT / "recipes"), "PIPELINE_ARTIFACTS": str(tmp_path / "linux")})
    linux.folder.mkdir()
    linux.build(f"build:{name}")
    env = {"PIPELINE_RECIPES": as_windows(ROOT / "recipes"), "PIPELINE_ARTIFACTS": as_windows(tmp_path / "windows")}
    Person(windows, ROOT, env).types("build", name)
    ours, theirs = (checksums.read(tmp_path / system / "packages" / name / "SHA256SUMS") for system in ("linux", "windows"))
    assert set(ours) == set(theirs)
    assert {path for path in ours if ours[path] != theirs[path] and not _may_differ(path)} == set()


def _may_differ(path: str) -> bool:
    """What tells of the run, and IR whose edges OpenVINO writes in an order of its own."""
    return path in ("README.md", "bakehouse.json", "bom.json", "provenance.json") or path.endswith(".xml")


def _follows_card(windows: Windows, package: Path, folder: Path) -> str:
    """What the first program of a card prints, run as it stands next to the package."""
    card = (package / "README.md").read_text(encoding="utf-8")
    (program, *_) = re.findall(r"^```python\n(.*?)\n```$", card, flags=re.MULTILINE | re.DOTALL)
    place = folder / hashlib.sha256(package.name.encode()).hexdigest()[:8]
    place.mkdir()
    shutil.copytree(package, place / package.name)
    (place / "program.py").write_text(program, encoding="utf-8")
    done = wine.run(windows, "program.py", timeout_s=_PATIENCE_S, cwd=place)
    assert done.code == 0, f"{program}\n{done.text}"
    return done.text.strip()


def _workers(folder: Path) -> list[psutil.Process]:
    """Workers of Windows Python whose request lies below a folder."""
    here = as_windows(folder)
    return _running(lambda words: "workers" in words and here.lower() in words.lower())


def _running(wanted: Callable[[str], bool]) -> list[psutil.Process]:
    found = []
    for one in psutil.process_iter():
        try:
            words = " ".join(one.cmdline())
            if "python.exe" in words and wanted(words) and one.status() != psutil.STATUS_ZOMBIE:
                found.append(one)
        except psutil.Error:
            continue
    return found


def _wait(condition: Callable[[], object], timeout_s: float = 120) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.05)
