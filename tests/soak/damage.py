"""Random damage: bytes flipped in store, package and shared store; disks of random sizes that fill up; a hub that fails at random."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

from bakehouse.child import events
from bakehouse.errors import Failure
from bakehouse.executor.workers import remote_errors, remote_store
from bakehouse.package import inspect as inspection
from bakehouse.store import files
from bakehouse.store.store import Store, read_record
from tests.soak.kills import _published
from tests.soak.work import Tally, bake, contents, plan
from tests.support import hub_write, published, small_disk
from tests.support.bench import CHILDREN, ROOT
from tests.support.hub_write import WRITER, Fault
from tests.support.packed import pack


def flips(folder: Path, number: int, random: Random, tally: Tally) -> None:
    """One byte in one file at a time; whatever should name it has to, and with the byte put back nothing is named."""
    root, shared = folder / "store", folder / "shared"
    os.environ[events.CHANNEL] = str(os.open(os.devnull, os.O_WRONLY))  # where a worker's progress goes
    events.channel.cache_clear()
    events.channel()
    bake(root, f"file://{shared}")
    packed = pack(folder / "package")
    objects = [path for path in (shared / "objects").rglob("*") if path.is_file()]
    places: tuple[tuple[str, list[Path], Callable[[Path], bool]], ...] = (
        ("the store", [path for path in (root / "store").rglob("files/**/*") if path.is_file()], lambda path: _store_names(root)),
        ("a package", [path for path in packed.rglob("*") if path.is_file()], lambda path: bool(inspection.inspect(packed).faults)),
        ("the shared store", objects, lambda path: _remote_names(folder, shared)),
    )
    for at in range(number):
        where, paths, named = places[at % 10 % 4 % 3]
        path = random.choice(paths)
        body, seen = bytearray(path.read_bytes()), path.stat()
        place, bit = random.randrange(len(body)), random.randrange(8)
        body[place] ^= 1 << bit
        _write(path, bytes(body), seen)
        tally.done[f"bytes flipped in {where}"] += 1
        if not named(path):
            tally.wrong(f"byte {place} of {path.relative_to(folder)}, bit {bit}: not named")
        body[place] ^= 1 << bit
        _write(path, bytes(body), seen)
    if _store_names(root) or inspection.inspect(packed).faults or _remote_names(folder, shared):
        tally.wrong("with every byte put back something is named all the same")


def _write(path: Path, body: bytes, seen: os.stat_result) -> None:
    path.chmod(0o644)
    path.write_bytes(body)
    path.chmod(seen.st_mode)
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))


def _store_names(root: Path) -> bool:
    return any(Store(root).damage(one, thorough=True) for one in plan())


def _remote_names(folder: Path, shared: Path) -> bool:
    """Whether the damage is an error when everything is brought from the shared store."""
    brought = folder / "brought"
    try:
        for one in plan():
            remote_store.fetch(remote_store.opened(f"file://{shared}", 20), f"{one.kind}/{one.key}", brought)
    except remote_errors.Corrupt:
        return True
    finally:
        shutil.rmtree(brought, ignore_errors=True)
    return False


def disks(folder: Path, number: int, random: Random, tally: Tally) -> None:
    """Builds on disks of random sizes: what does not fit is said in words, what counts is whole, a larger disk ends with the same bytes."""
    bake(folder / "undisturbed")
    whole = contents(folder / "undisturbed")
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "pipeline")))}
    for at in range(number):
        size = random.uniform(0.05, 2.5)
        with small_disk.mounted(folder / f"disk-{at}" / "artifacts", size) as disk:
            argv = [*disk.prefix, sys.executable, "-m", "tests.soak.work", str(disk.at)]
            done = subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
            tally.done["disks that may fill up"] += 1
            tally.states["a full disk, said in words" if done.returncode == 3 else "a disk that was large enough"] += 1
            if done.returncode not in (0, 3) or "Traceback" in done.stderr:
                tally.wrong(f"a disk of {size:.3f} MB: {done.stderr[-600:]}")
            for step in (disk.seen / "store").glob("*/*"):
                record = read_record(step)
                if record is None or files.faults(step / "files", record.files, thorough=True):
                    tally.wrong(f"a disk of {size:.3f} MB: {step.name} is there and not whole")
            carried = folder / f"carried-{at}"
            shutil.copytree(disk.seen, carried, symlinks=True)
        bake(carried)
        if contents(carried) != whole:
            tally.wrong(f"a disk of {size:.3f} MB: other bytes on the larger disk")
        shutil.rmtree(carried)


_KINDS = ("403", "404", "429", "500", "break", "lost", "cut", "409", "412", "413", "echo")
_STEPS = ("create", "branch", "preupload", "batch", "put", "complete", "verify", "commit", "tag", "read", "report")


def hubs(folder: Path, number: int, random: Random, tally: Tally) -> None:
    """Publications to a hub with random faults: each ends well or in words, and without faults with the whole package."""
    hub, server = hub_write.start(folder / "hub")
    names = {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": WRITER, "HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "0"}
    names |= {"BAKEHOUSE_TEST_HURRY": "20", "PYTHONPATH": CHILDREN}
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        for at in range(number):
            bench = published.bench(folder / f"bench-{at}", {"repo": f"{hub_write.OWNER}/tiny-{at}"})
            published.package(bench)
            faults = [_fault(random) for _ in range(random.randint(1, 4))]
            hub.misbehave(*faults)
            _publish(bench, hub, at, faults, tally)
            shutil.rmtree(bench.folder)
    finally:
        server.shutdown()
        server.server_close()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


def _fault(random: Random) -> Fault:
    return Fault(random.choice(_KINDS), random.choice(_STEPS), after=random.randrange(2000), times=random.choice((1, 1, 2, 5)))  # type: ignore[arg-type]


def _publish(bench: published.Bench, hub: hub_write.Workshop, at: int, faults: list[Fault], tally: Tally) -> None:
    told = ", ".join(f"{one.kind} at {one.path} x{one.times}" for one in faults)
    tally.done["publications to a hub with faults"] += 1
    try:
        published.run(bench)
        tally.states["a publication complete in spite of the hub"] += 1
    except Failure as failure:
        tally.states["a publication refused in words"] += 1
        if "Traceback" in str(failure) or "ended with exit code" in str(failure):
            tally.wrong(f"hub, publication {at} ({told}): {failure}")
    except Exception as error:
        tally.wrong(f"hub, publication {at} ({told}): {error!r}")
    if _published(hub, at) == "IN PARTS":
        tally.wrong(f"hub, publication {at} ({told}): a part of the package is published")
    hub.misbehave()
    try:
        published.run(bench)
    except Exception as error:
        tally.wrong(f"hub, publication {at} ({told}): without faults {error!r}")
    if _published(hub, at) != "complete":
        tally.wrong(f"hub, publication {at} ({told}): not complete without faults")
