"""The build that the soak makes again and again: made-up steps with real children, a store, a package, a shared store."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psutil

from bakehouse.errors import Failure
from bakehouse.executor.process import Children
from bakehouse.executor.session import Session
from bakehouse.executor.shared_store import Remote
from bakehouse.stages import convert
from bakehouse.steps.step import Step
from bakehouse.store import files
from bakehouse.store.store import Store, read_record
from tests.support.bench import has_ended
from tests.support.fakes import FakeMaker, step

NAME = "fake-int4"
SAID = Path(tempfile.gettempdir()) / f"soak-{os.getpid()}.txt"  # why the last run that did not end well did not
PROGRAM = (
    "(files / 'below').mkdir(exist_ok=True); (files / 'below' / 'model.bin').write_bytes(OPTIONS['of'].encode() * 40_000)\n"
    "for number in range(3): (files / f'{number}.txt').write_text(f'{number} of ' + OPTIONS['of'])\n"
    "(files / 'bakehouse.json').write_text(OPTIONS['of'])\n"
)


@dataclass
class Tally:
    """What the soak did and found; `faults` are what must not be."""

    done: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def wrong(self, what: str) -> None:
        """Note a fault, and say it at once."""
        self.faults.append(what)
        print(f"FAULT    {what}", flush=True)


def plan() -> tuple[Step, ...]:
    """A download, two conversions of it, a check of one, and their package."""
    source = step("download", "source", of="source")
    one, two = (step("compress", f"{name}", (("model", source),), of=name) for name in ("one", "two"))
    checked = step("validate", "one", (("model", one),), of="checked")
    return (source, one, two, checked, step("package", NAME, (("model", one), ("validate", checked), ("second", two)), of="package"))


def bake(root: Path, shared: str = "", steps: Sequence[Step] = ()) -> None:
    """Make all steps in this order, share them, and give the package its name."""
    store, wanted = Store(root), steps or plan()
    remote = Remote(store, Children(), {"PIPELINE_REMOTE": shared} if shared else {}, lambda line: None)
    remote.supply(wanted[-1:], lambda line: None)
    for one in wanted:
        convert.run(one, FakeMaker(f"OPTIONS = {one.options!r}\n{PROGRAM}"), Session(store))
        remote.keep(one)
    store.expose(plan()[-1], NAME, lambda: None)


def started(work: Callable[[], None]) -> int:
    """Carry it out in a process of its own; its exit code is 3 for a failure in words, 1 for any other."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        work()
        code = 0
    except Failure as failure:
        code = 3
        SAID.write_text(str(failure), encoding="utf-8", errors="replace")
    except Exception:
        SAID.write_text(traceback.format_exc(), encoding="utf-8", errors="replace")
    finally:
        os._exit(code)


def ended(pid: int) -> str:
    """How such a process ended."""
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return "killed" if os.WTERMSIG(status) == signal.SIGKILL else f"signal {os.WTERMSIG(status)}"
    return {0: "finished", 3: "refused"}.get(os.WEXITSTATUS(status), "broke")


def why() -> str:
    """What the last run that did not end well said."""
    return SAID.read_text(encoding="utf-8") if SAID.exists() else "it said nothing"


def left_alive(root: Path) -> list[psutil.Process]:
    """The processes that know this folder and do not end within seconds."""
    known = [one for one in psutil.process_iter(["cmdline"]) if str(root) in " ".join(one.info["cmdline"] or ())]
    alive = [one for one in known if one.pid != os.getpid()]
    _, alive = psutil.wait_procs(alive, timeout=15)
    return [one for one in alive if not has_ended(one)]


def look(root: Path, tally: Tally, after: str) -> None:
    """Whatever counts is whole: each step in the store byte for byte, and the package if there is one."""
    if alive := left_alive(root):
        tally.wrong(f"{after}: {len(alive)} processes are left")
    made = 0
    for folder in (root / "store").glob("*/*"):
        record = read_record(folder)
        if record is None or files.faults(folder / "files", record.files, thorough=True):
            tally.wrong(f"{after}: {folder} is there and not whole")
        made += 1
    packed = (root / "packages" / NAME).exists()
    record = read_record(Store(root).folder(plan()[-1])) if packed else None
    if packed and (record is None or files.faults(root / "packages" / NAME, record.files, thorough=True)):
        tally.wrong(f"{after}: the package is not whole")
    staged = any((root / ".staging").glob("*"))
    tally.states[f"{made} of {len(plan())} steps{', a package' if packed else ''}{', one half made' if staged else ''}"] += 1


def contents(root: Path) -> dict[str, str]:
    """Path -> sha256 of every file of every step and of the package, without what has times in it."""
    found = [path for place in ("store", "packages") for path in (root / place).rglob("*") if path.is_file()]
    named = {path.relative_to(root).as_posix(): path for path in found}
    return {name: files.sha256(path) for name, path in named.items() if "/files/" in name or name.startswith("packages/")}


def finish(root: Path, shared: str, whole: dict[str, str], tally: Tally, after: str) -> None:
    """An undisturbed run ends with the bytes of a run that was never disturbed, and leaves nothing behind."""
    how = ended(started(lambda: bake(root, shared)))
    if how != "finished":
        tally.wrong(f"{after}: the next run {how}: {why()}")
    elif contents(root) != whole:
        tally.wrong(f"{after}: other bytes than those of an undisturbed run")
    elif left := [path.name for path in (root / ".staging").iterdir()]:
        tally.wrong(f"{after}: a finished run leaves {left} behind")
    tally.done["runs to the end, with the same bytes"] += 1


def shuffled(random: Random) -> tuple[Step, ...]:
    """The steps in another order that their needs allow."""
    source, one, two, checked, package = plan()
    return (source, *random.choice(((one, two, checked), (two, one, checked), (one, checked, two))), package)


def main() -> int:
    """Bake into the folder of the command line."""
    try:
        bake(Path(sys.argv[1]))
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
