"""Kills a run right before every file operation of making a step and publishing it as a package, and looks at what is left each time.

python -m tests.support.kill_everywhere DIR     prints how many kills there were
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from bakehouse.executor.making import Made, make
from bakehouse.executor.session import Session
from bakehouse.steps.maker import Verification
from bakehouse.steps.step import Step
from bakehouse.store import files
from bakehouse.store.package_files import MANIFEST
from bakehouse.store.store import Staging, Store, read_record
from tests.support.fakes import step

NAME = "fake-int4"
EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.utime", "os.link", "fcntl.ioctl", "shutil.rmtree"}


def bake(one: Step, store: Store) -> None:
    """Make the step and publish it."""

    def fill(staging: Staging) -> Made:
        (staging.files / "below").mkdir()
        (staging.files / "below" / "model.bin").write_text(one.options["text"], encoding="utf-8")
        files.write(staging.files / MANIFEST, one.options["text"])
        files.link(staging.files / "below" / "model.bin", staging.files / "same.bin")
        return Made(Verification())

    make(one, Session(store), fill)
    store.expose(one, NAME, lambda: None)


def killed(at: int, one: Step, store: Store) -> bool:
    """Bake in a process that is killed at its `at`-th file operation below the store; whether it came to that."""
    pid = os.fork()
    if pid == 0:
        left = at

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            if event in EVENTS and arguments and isinstance(arguments[0], str | os.PathLike):
                left -= os.fspath(arguments[0]).startswith(str(store.root))
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        bake(one, store)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or status == 0
    return os.WIFSIGNALED(status)


def look(store: Store, old: Step, new: Step) -> None:
    """Nothing that counts is half, and the package is the old one or the new one."""
    for folder in (store.root / "store").glob("*/*"):
        record = read_record(folder)
        assert record, f"{folder} is there without its record"
        assert not files.faults(folder / "files", record.files, thorough=True)
    assert any(store.is_exposed(one, NAME) for one in (old, new)), "there is no whole package"


def main() -> None:
    """Kill, look, go on; until no operation is left to kill at."""
    root, kills = Path(sys.argv[1]), 0
    while True:
        store = Store(root / str(kills))
        old, new = step("package", text="old"), step("package", text="new")
        bake(old, store)
        if not killed(kills + 1, new, store):
            break
        kills += 1
        look(store, old, new)
        bake(new, store)
        assert store.is_exposed(new, NAME)
        assert {path.name for path in store.folder(new).iterdir()} == {"files", "manifest.json"}
        assert not list((store.root / ".staging").iterdir()), "a finished run leaves something behind"
    print(kills)


if __name__ == "__main__":
    main()
