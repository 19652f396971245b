"""A workbench for tests that run the real doit: a recipes folder, an artifacts folder, and what a run printed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import chdir
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import yaml

from bakehouse.package.manifest import PackageManifest
from bakehouse.records import StepRecord
from bakehouse.store.store import read_record
from tests.support import forked

ROOT = Path(__file__).resolve().parents[2]
CHILDREN = str(ROOT / "tests" / "support" / "children")  # what children of tests have on their PYTHONPATH
GOLDEN = [{"prompt": "What is the capital of France?", "contains": ["Paris"], "max_new_tokens": 32}]
INT4 = {"weights": "int4", "symmetric": True, "group_size": 128, "ratio": 0.6}


def recipe(name: str = "tiny", **changes: Any) -> dict[str, Any]:
    """A recipe over a local checkpoint in the folder `model`; `changes` replace whole fields."""
    return {
        "schema_version": 1,
        "name": name,
        "description": "A tiny model that knows one capital.",
        "source": {"type": "local", "path": "model", "license": "MIT"},
        "golden": GOLDEN,
        "builds": {"int4": {"runtime": "openvino", "quantization": INT4}},
    } | changes


@dataclass(frozen=True)
class Bench:
    """Folders of one test, and doit run on them."""

    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()  # what runs doit, if it must run in a place of its own
    seen: Path | None = None  # where the artifacts of such a place are seen from here

    @property
    def recipes(self) -> Path:
        return self.folder / "recipes"

    @property
    def artifacts(self) -> Path:
        return self.seen or self.folder / "artifacts"

    def write(self, *recipes: dict[str, Any]) -> None:
        """Make these the recipes."""
        self.recipes.mkdir(parents=True, exist_ok=True)
        for path in self.recipes.glob("*.yaml"):
            path.unlink()
        for one in recipes:
            (self.recipes / f"{one['name']}.yaml").write_text(yaml.safe_dump(one, sort_keys=False), encoding="utf-8")

    def add_model(self, checkpoint: Path) -> None:
        """Put a checkpoint next to the recipes, as `model`."""
        shutil.copytree(checkpoint, self.recipes / "model")

    def start(self, *args: str) -> psutil.Popen:
        """Start doit and do not wait for it; what it prints goes to `out.txt`."""
        with (self.folder / "out.txt").open("ab") as out:
            return psutil.Popen(
                self._argv(args),
                cwd=ROOT,
                env=self._environ(),
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # a process group of its own, as a shell gives it
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # also where the tests run in the background
            )

    @property
    def said(self) -> str:
        """What all runs by `start` have printed by now."""
        return (self.folder / "out.txt").read_text(encoding="utf-8")

    def doit(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run doit to its end."""
        argv, environ = self._argv(args), self._environ()
        if not self.prefix and forked.can_run(environ):
            return forked.run("doit", args, ROOT, environ)
        return subprocess.run(argv, cwd=ROOT, env=environ, text=True, capture_output=True, check=False, stdin=subprocess.DEVNULL)

    def build(self, *args: str) -> str:
        """Run doit to its end, which must be good; what it printed."""
        done = self.doit(*args)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    def copy(self, folder: Path) -> Bench:
        """The same, elsewhere: a copy in which files of one content are still one, but for environments of 1 GB, which are hard links."""
        apart = self.folder / "artifacts" / "store" / "setup"
        around = [one for one in (self.folder, self.folder / "artifacts", apart.parent) if one.is_dir()]
        parts = [path for one in around for path in one.iterdir() if path not in (*around, apart)]
        folder.mkdir(parents=True)
        subprocess.run(["cp", "-a", "--parents", *(path.relative_to(self.folder) for path in parts), folder], cwd=self.folder, check=True)
        if apart.is_dir():
            subprocess.run(["cp", "-al", apart, folder / apart.parent.relative_to(self.folder)], check=True)
        shutil.rmtree(folder / "artifacts" / "reach", ignore_errors=True)  # the recipes of before use the store of before
        return Bench(folder, self.env)

    def with_env(self, **env: str) -> Bench:
        """The same folders with more in the environment."""
        return replace(self, env={**self.env, **env})

    def killed_at(self, moment: str) -> Bench:
        """The same folders, with doit or its child killed or stopped at a moment: see children/sitecustomize.py."""
        return self.with_env(BAKEHOUSE_TEST_KILL_AT=moment)

    def drop(self, kind: str) -> None:
        """Forget all steps of a kind."""
        shutil.rmtree(self.artifacts / "store" / kind, ignore_errors=True)

    def records(self, kind: str) -> list[StepRecord]:
        """What the store has of a kind."""
        found = (read_record(path) for path in sorted((self.artifacts / "store" / kind).glob("*")))
        return [record for record in found if record]

    def manifest(self, name: str) -> PackageManifest:
        """The manifest of a package."""
        return PackageManifest.model_validate_json((self.artifacts / "packages" / name / "bakehouse.json").read_bytes())

    def _argv(self, args: tuple[str, ...]) -> list[str]:
        return [*self.prefix, sys.executable, "-m", "doit", *args]

    def _environ(self) -> dict[str, str]:
        mine = {"PIPELINE_RECIPES": str(self.recipes), "PIPELINE_ARTIFACTS": str(self.folder / "artifacts")}
        return {**os.environ, **mine, **self.env}


def command(*words: str) -> int:
    """Run a command of doit that needs no tasks, in this process; its exit code."""
    from doit.doit_cmd import DoitMain

    with chdir(ROOT):  # where doit finds which commands there are
        return int(DoitMain().run(list(words)))


def ran(output: str) -> list[str]:
    """The tasks that a run's output says it ran, in order."""
    return [line.split()[2] for line in output.splitlines() if line[9:12] == "ok "]


def has_ended(process: psutil.Process) -> bool:
    """Whether a process is gone, or only its parent has yet to take note."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it ended between the two questions
        return True


def wait_for(condition: Callable[[], object], process: psutil.Popen | None = None, timeout_s: float = 120) -> None:
    """Wait until `condition` holds; fail if `process` ends before, or the time is up."""
    until = time.monotonic() + timeout_s
    while not condition():
        assert process is None or process.poll() is None, "it ended before the test could interfere"
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.01)
