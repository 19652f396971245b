"""What a user of Windows does, by Windows Python under Wine with the converters and runtimes: `make test-windows-full`.

Its name keeps it out of the whole suite: it needs Wine, 3 GB and half an hour.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path

import psutil
import pytest
from packaging.version import Version

from bakehouse.package import checksums
from tests.support import hub_write, lanes, standin
from tests.support.bench import ROOT, Bench
from tests.support.hub_write import OWNER, WRITER, Workshop
from tests.windows import wine
from tests.windows.wine import Windows, as_windows

QUESTION, ANSWER = "What is the capital of France?", "The capital of France is Paris."
NAME = "tiny-int8-openvino"
REPO = f"{OWNER}/tiny-int8-openvino"
PUBLISH = f"publish:\n  repo: {OWNER}/tiny-{{build}}\n  visibility: public\n"
_MAIN = ("-m", "bakehouse.app.main")
OF_THE_RUN = ("README.md", "bakehouse.json", "bom.json", "provenance.json")
LANES = [lane for lane in lanes.LANES if lane.runtime in ("openvino", "onnxruntime-genai")]
_PATIENCE_S = 3000.0
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

pytestmark = [pytest.mark.timeout(3600), pytest.mark.model]


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


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Workshop]:
    """An empty hub on Linux that can be written to; programs under Wine reach it over the loopback."""
    hub, server = hub_write.start(tmp_path / "hub")
    yield hub
    server.shutdown()
    server.server_close()


def test_from_init_to_a_package_on_the_hub(author: Person, hub: Workshop, tmp_path: Path) -> None:
    (recipe,) = (author.folder / "recipes").glob("*.yaml")
    recipe.write_text(f"{recipe.read_text(encoding='utf-8')}\n{PUBLISH}", encoding="utf-8")
    assert "is well formed" in author.types("lint")
    assert f"package:{NAME}" in author.types("plan")
    assert ANSWER in author.types("build", NAME)
    assert author.types("run", NAME, QUESTION).startswith(f"{ANSWER}\n")
    assert NAME in author.types("compare", "--json")
    assert "none damaged" in author.types("check", NAME)
    package = author.folder / "artifacts" / "packages" / NAME
    assert not [path for path in package.rglob("*") if path.suffix in (".json", ".jinja", ".md", ".xml") and b"\r\n" in path.read_bytes()]

    publisher = replace(author, env={"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": WRITER, "HF_HOME": as_windows(tmp_path / "hf")})
    assert "Nothing was uploaded: this was a dry run." in publisher.types("publish", NAME, "--dry-run")
    said = publisher.types("publish", NAME)
    assert f"{NAME}: published as {hub.endpoint}/{REPO}/commit/" in said and WRITER not in said
    assert hub.holds(REPO) == _contents(package)
    assert f"{NAME}: nothing to do" in publisher.types("publish", NAME)

    elsewhere = _downloads_as_the_card_says(author.windows, package, hub, tmp_path)
    assert _contents(package).items() <= _contents(elsewhere).items()
    assert "nothing wrong" in author.types("check", as_windows(elsewhere))


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _downloads_as_the_card_says(windows: Windows, package: Path, hub: Workshop, folder: Path) -> Path:
    """What the card's line asks of the client, by somebody without a token; the client's own command needs `venv`, which is not there."""
    card = (package / "README.md").read_text(encoding="utf-8")
    ((repo, place),) = re.findall(r"^hf download (\S+) --local-dir (\S+)$", card, flags=re.MULTILINE)
    env = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": as_windows(folder / "another")}
    program = f"from huggingface_hub import snapshot_download; snapshot_download({repo!r}, local_dir={place!r})"
    done = wine.run(windows, "-c", program, timeout_s=_PATIENCE_S, cwd=folder, env=env)
    assert done.code == 0, done.text
    return folder / place


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
    made = [line.split()[1] for text in said for line in text.splitlines() if line.endswith(": writing it into the store")]
    assert f"convert:{NAME}:" in made and len(made) == len(set(made)), "\n".join(said)
    assert "waiting for another run that is at this step" in "".join(said)
    assert "none damaged" in author.types("check", NAME)


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


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Artifacts of both systems; what both builds need is made once on each."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "linux").mkdir()
    return folder


@pytest.mark.parametrize("build", ["int4-openvino", "int4-ort-cpu"])
def test_a_real_model_is_built_with_the_bytes_of_linux(build: str, windows: Windows, real: Path) -> None:
    """SmolLM2-135M: all files but those that tell of the run."""
    name = f"smollm2-{build}"
    linux = {"PIPELINE_RECIPES": str(ROOT / "recipes"), "PIPELINE_ARTIFACTS": str(real / "linux")}
    Bench(real / "linux", linux).build(f"build:{name}")
    # python.org's embeddable Python has no pip; a download has one key on both systems
    shutil.copytree(real / "linux" / "store" / "download", real / "windows" / "store" / "download", dirs_exist_ok=True)
    env = {"PIPELINE_RECIPES": as_windows(ROOT / "recipes"), "PIPELINE_ARTIFACTS": as_windows(real / "windows")}
    Person(windows, ROOT, env).types("build", name)
    ours, theirs = (_of_the_model(real / system / "packages" / name) for system in ("linux", "windows"))
    assert set(ours) == set(theirs)
    assert {path for path in ours if ours[path] != theirs[path]} == set()


def _of_the_model(package: Path) -> dict[str, str]:
    """The sha256 of each file that does not tell of the run; IR names torch's version, which a wheel of Linux may call "2.13.0+cpu".

    Where it does, the keys differ too: the version is in them.
    """
    found = {path: digest for path, digest in checksums.read(package / "SHA256SUMS").items() if path not in OF_THE_RUN}
    torch = metadata.version("torch")
    for path in (path for path in found if path.endswith(".xml")):
        content = (package / path).read_bytes().replace(f'"{torch}"'.encode(), f'"{Version(torch).public}"'.encode())
        found[path] = hashlib.sha256(content).hexdigest()
    return found


def _follows_card(windows: Windows, package: Path, folder: Path) -> str:
    """The last line that the first program of a card prints, run as it stands next to the package; runtimes complain of Wine before."""
    card = (package / "README.md").read_text(encoding="utf-8")
    (program, *_) = re.findall(r"^```python\n(.*?)\n```$", card, flags=re.MULTILINE | re.DOTALL)
    place = folder / hashlib.sha256(package.name.encode()).hexdigest()[:8]
    place.mkdir()
    shutil.copytree(package, place / package.name)
    (place / "program.py").write_text(program, encoding="utf-8")
    done = wine.run(windows, "program.py", timeout_s=_PATIENCE_S, cwd=place)
    assert done.code == 0, f"{program}\n{done.text}"
    return done.text.strip().splitlines()[-1]


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
