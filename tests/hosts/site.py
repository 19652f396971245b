"""A site of seven hosts: what runs on which, and what each of them has."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bakehouse.cluster.connection import CERTIFICATES
from tests.hosts import network
from tests.hosts.network import Host
from tests.support import s3, standin
from tests.support.bench import ROOT, wait_for

_NO_COMPILERS = ("wine", "wineserver", "c++", "g++")
_PORTS = {"scheduler": 8786, "store": 9000}

SCHEDULER, STORE, HUB = Host("scheduler", "10.77.0.2"), Host("store", "10.77.0.3"), Host("hub", "10.77.0.4")
SMALL = Host("small", "10.77.0.11", memory_bytes=1_500_000_000, lacks=_NO_COMPILERS)  # and the hub does not answer it
MIDDLE = Host("middle", "10.77.0.12", memory_bytes=3_000_000_000, lacks=("c++", "g++"))
LARGE = Host("large", "10.77.0.13", memory_bytes=6_000_000_000, lacks=("wine", "wineserver"))
ASKER = Host("asker", "10.77.0.20")
WORKERS = (SMALL, MIDDLE, LARGE)
HOSTS = (SCHEDULER, STORE, HUB, *WORKERS, ASKER)
ADDRESS = f"tls://{SCHEDULER.address}:{_PORTS['scheduler']}"
_S3 = s3.Server(_PORTS["store"], STORE.address)


@dataclass
class Site:
    """The hosts of a run, each with a folder of its own.

    Attributes:
        folder: holds the folders of all hosts.
        model: the checkpoint that the hub serves.
        recipes: the folder of recipes.
        furnished: an artifacts folder with an environment that no host can fetch.
    """

    folder: Path
    model: Path
    recipes: Path
    furnished: Path
    endpoint: str = ""
    processes: dict[str, psutil.Popen] = field(default_factory=dict)

    def env(self, host: Host, *, cluster: bool = True) -> dict[str, str]:
        """The environment of a person on that host; the small one has not heard of the hub."""
        from tests.support import npu_making  # here, so that a test of this folder needs no backend

        own = {name: value for name, value in os.environ.items() if not name.startswith(("PIPELINE_", "BAKEHOUSE_", "HF_", "AWS_"))}
        home = self.folder / host.name
        mine = {
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "pipeline"))),
            "PIPELINE_RECIPES": str(self.recipes),
            "PIPELINE_ARTIFACTS": str(home / "artifacts"),
            "HF_HOME": str(home / "hf"),
            CERTIFICATES: str(self.folder / "certificates"),
            **npu_making.offline(),
        }
        reached = {"HF_ENDPOINT": self.endpoint} if self.endpoint and host != SMALL else {}
        return {**own, **mine, **reached, **(_S3.env() if cluster else {})}

    def start(self, host: Host, *argv: str) -> None:
        """Start a program on a host, one at a time."""
        self.processes[host.name] = host.start((sys.executable, "-m", *argv), self.folder / host.name, self.env(host))

    def said(self, host: Host) -> str:
        """What the programs of a host have printed."""
        return (self.folder / host.name / "out.txt").read_text(encoding="utf-8", errors="replace")

    def wait(self, host: Host, text: str) -> None:
        """Wait until the program of a host has printed it."""
        try:
            wait_for(lambda: text in self.said(host), self.processes[host.name])
        except AssertionError:
            raise RuntimeError(f"{host.name}: {self.said(host)[-2000:]}") from None

    def start_hub(self) -> None:
        self.start(HUB, "tests.support.hub", str(self.model), standin.PHI3_REPO, standin.PHI3_COMMIT, HUB.address)
        self.wait(HUB, "HF_ENDPOINT=")
        self.endpoint = self.said(HUB).rpartition("HF_ENDPOINT=")[2].strip()

    def start_servers(self) -> None:
        """The certificates of the cluster, its shared store and its scheduler."""
        argv = (sys.executable, "-m", "bakehouse.app.main", "cluster", "certificates", str(self.folder / "certificates"))
        subprocess.run(argv, check=True, env=self.env(SCHEDULER), stdout=subprocess.DEVNULL)
        self.start(STORE, "tests.support.s3", STORE.address, str(_PORTS["store"]))
        self.start(SCHEDULER, "bakehouse.app.main", "cluster", "scheduler", "--host", SCHEDULER.address)
        self.wait(STORE, "serving")
        self.wait(SCHEDULER, "scheduler at ")

    def start_workers(self, *hosts: Host) -> None:
        for host in hosts:
            if host == LARGE:
                self.furnish(host.name)
            self.start(host, "bakehouse.app.main", "worker", ADDRESS)
        for host in hosts:
            self.wait(host, "Ctrl-C stops them")

    def furnish(self, name: str) -> None:
        """Put an environment into the store in a folder: it would be fetched from PyPI, which no host reaches."""
        place = self.folder / name / "artifacts" / "store" / "setup"
        place.parent.mkdir(parents=True, exist_ok=True)
        setup = self.furnished / "store" / "setup"
        if subprocess.run(("cp", "-al", str(setup), str(place)), capture_output=True, check=False).returncode != 0:
            shutil.rmtree(place, ignore_errors=True)
            subprocess.run(("cp", "-a", str(setup), str(place)), check=True)

    def events(self) -> list[tuple[float, str, str, str]]:
        """What the workers said that they do: when, the key of the task, who, what."""
        argv = ASKER.argv((sys.executable, "-m", "tests.hosts.events", ADDRESS))
        done = subprocess.run(argv, check=True, env=self.env(ASKER), stdout=subprocess.PIPE)
        return [tuple(one) for one in json.loads(done.stdout)]


@contextmanager
def site(folder: Path, model: Path, recipes: Path, furnished: Path) -> Iterator[Site]:
    """The hosts with nothing but the hub on them, until the block ends."""
    with network.network(HOSTS):
        made = Site(folder, model, recipes, furnished)
        made.start_hub()
        yield made
