"""Builds recipes/phi3.yaml with a stand-in model on one host, on a cluster of several, and on one that is disturbed; compares all bytes.

python -m tests.hosts                     as root, on Linux; README.md says what it makes
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from tests.hosts import disturb, recipes, runs
from tests.hosts.runs import Done
from tests.hosts.site import HOSTS, LARGE, MIDDLE, SMALL, STORE, WORKERS, Site, site
from tests.support import npulib_making, standin
from tests.support.bench import CHILDREN

_ALL = tuple(host.name for host in WORKERS)
# What needs something that not every host has, and who has it.
_CAN = {"network": (MIDDLE.name, LARGE.name), "openvino-npu": (MIDDLE.name,), npulib_making.RUNTIME: (LARGE.name,)}


def main() -> int:
    """Run all of it; 1 if something is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.hosts", description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument(
        "builds", nargs="*", metavar="BUILD", default=recipes.BUILDS, help="builds of the recipe (default: one or two of each runtime)"
    )
    parser.add_argument("--large", action="store_true", help="a model of 0.2 billion weights, not of 0.4 million: an hour and more")
    parser.add_argument("--only", nargs="*", choices=("refusals", "cluster", "disturbed"), help="of what follows the build on one host")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that hosts and folders are removed
    os.environ["PYTHONPATH"] = CHILDREN  # as conftest.py has it: the environment below is made by a real command
    model, furnished = standin.phi3_checkpoint() if given.large else npulib_making.tiny_phi3(), npulib_making.furnished()
    began, wrong = time.monotonic(), list[str]()
    with tempfile.TemporaryDirectory(prefix="hosts-") as name:
        folder = Path(name).resolve()
        recipes.write(folder / "recipes", given.builds, tiny=not given.large)
        say(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores: {', '.join(given.builds)}")
        parts = given.only if given.only is not None else ["refusals", "cluster", "disturbed"]
        alone = _alone(folder, model, furnished)
        for part in parts:
            with site(folder / part, model, folder / "recipes", furnished) as hosts:
                wrong += {"refusals": _refusals, "cluster": _cluster, "disturbed": _disturbed}[part](hosts, alone)
    for line in wrong:
        say(f"WRONG: {line}")
    say(f"{time.monotonic() - began:.0f} s in all; {'all as it should be' if not wrong else f'{len(wrong)} wrong'}")
    return 1 if wrong else 0


def say(text: str) -> None:
    """A line, at once."""
    print(text, flush=True)


def _alone(folder: Path, model: Path, furnished: Path) -> Path:
    """All packages, made by one host without a cluster; where."""
    with site(folder / "alone", model, folder / "recipes", furnished) as hosts:
        place = folder / "alone" / "made"
        hosts.furnish("made")
        done = runs.build(hosts, "made", cluster=False)
        _report("on one host", done)
        if done.code != 0:
            raise SystemExit(f"the build on one host failed:\n{done.said[-3000:]}")
        return place


def _refusals(hosts: Site, alone: Path) -> list[str]:
    """What no worker can take is refused before anything starts."""
    wrong = []
    hosts.start_servers()
    hosts.start_workers(SMALL)
    for name, build, lacks in (
        ("refused-1", "phi3-int4cw-npu", ("no network", "no wine")),
        ("refused-2", "phi3-int4-openvino", ("no network", "of memory where")),
    ):
        done = runs.build(hosts, name, build)
        _report(f"{build} where there is only {SMALL.name}", done)
        say("  " + "\n  ".join(done.said.strip().splitlines()[-12:]))
        begun = hosts.events()
        if done.code == 0 or begun or not all(text in done.said for text in lacks):
            wrong.append(
                f"{name}: exit code {done.code}, {len(begun)} events, {[text for text in lacks if text not in done.said]} not said"
            )
    return wrong


def _cluster(hosts: Site, alone: Path) -> list[str]:
    """All packages, made by the cluster."""
    hosts.start_servers()
    hosts.start_workers(*WORKERS)
    done = runs.build(hosts, "asked")
    return _judge(hosts, "on the cluster", done, alone, once=True)


def _disturbed(hosts: Site, alone: Path) -> list[str]:
    """The same, disturbed."""
    hosts.start_servers()
    hosts.start_workers(*WORKERS)
    done = runs.build(hosts, "asked", meanwhile=partial(disturb.all_of_it, hosts, say))
    return _judge(hosts, "on the cluster, disturbed", done, alone, once=False)


def _judge(hosts: Site, what: str, done: Done, alone: Path, *, once: bool) -> list[str]:
    """Print where each step was made and whether all is as on one host; what is wrong."""
    _report(what, done)
    if done.code != 0:
        return [f"{what}: exit code {done.code}\n{done.said[-3000:]}"]
    made = runs.steps(hosts, hosts.events())
    for step in made:
        say(f"  {step.seconds:6.1f} s  {' -> '.join(step.by):8}  {step.name}")
    again = [step for step in made if len(step.by) > 1]
    carried, packages = done.moved[STORE.name], len(list((hosts.folder / "asked" / "artifacts" / "packages").iterdir()))
    say(f"  {len(made)} steps of {packages} packages; {sum(step.brought for step in made)} times one was only brought")
    say(f"  begun again: {', '.join(step.name for step in again) or 'none'}")
    say(f"  the store received {carried.received / 1e6 / packages:.0f} MB a package and sent {carried.sent / 1e6 / packages:.0f} MB")
    wrong = [f"{what}: {step.name} was begun by {', '.join(step.by)}" for step in again if once]
    wrong += [f"{what}: {step.name} was made by {step.by}" for step in made if not set(step.by) & set(_CAN.get(step.needs, _ALL))]
    compared = runs.compare(alone, hosts.folder / "asked", *(hosts.folder / one.name for one in WORKERS))
    say(f"  {compared.same} files of packages and the files of {compared.steps} steps have the bytes of one host")
    for line in compared.exempt:
        say(f"  {line}")
    return wrong + [f"{what}: {line}" for line in compared.differs]


def _report(what: str, done: Done) -> None:
    say(f"{what}: {done.seconds:.0f} s, exit code {done.code}")
    for host in HOSTS:
        moved = done.moved[host.name]
        say(f"  {host.name:9} sent {moved.sent / 1e6:9.1f} MB, received {moved.received / 1e6:9.1f} MB")


if __name__ == "__main__":
    sys.exit(main())
