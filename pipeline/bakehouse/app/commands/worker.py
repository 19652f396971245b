"""`bakehouse worker`: makes steps for who asks the scheduler of a cluster."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Iterable

from bakehouse.app import doctor
from bakehouse.app.screen import escape_what_cannot_be_shown
from bakehouse.app.workspace import artifacts_folder
from bakehouse.cluster import capacity, connection, nodes
from bakehouse.errors import Failure
from bakehouse.executor import memory
from bakehouse.executor.process import Children
from bakehouse.executor.shared_store import Remote
from bakehouse.stages import tags
from bakehouse.store.store import Store
from bakehouse.text import size_text


def parser() -> argparse.ArgumentParser:
    """The arguments of `worker`."""
    made = argparse.ArgumentParser(
        "bakehouse worker",
        description="Make steps for a cluster, until Ctrl-C, in this environment and with the store in PIPELINE_ARTIFACTS as a cache. "
        "What it makes goes to the shared store in PIPELINE_REMOTE.",
    )
    made.add_argument(
        "scheduler",
        nargs="?",
        default=os.environ.get(connection.CLUSTER),
        metavar="SCHEDULER",
        help="its address (default: PIPELINE_CLUSTER)",
    )
    made.add_argument(
        "--count", type=count, default=1, metavar="N", help="how many steps at once; they share the memory evenly (default: 1)"
    )
    tag(made)
    return made


def tag(made: argparse.ArgumentParser) -> None:
    """Add what names by hand what was not found."""
    made.add_argument(
        "--tag",
        action="append",
        metavar="TAG",
        help="this machine has it, although it is not found: network, where the hub does not answer",
    )


def count(text: str) -> int:
    """A number of workers."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("it must be 1 or more")
    return number


def run(given: argparse.Namespace) -> int:
    """Work until Ctrl-C or SIGTERM.

    Raises:
        Failure: there is no scheduler's address or shared store, or it is one that is refused. NotInstalled: the extra is missing.
    """
    escape_what_cannot_be_shown()
    connection.require()
    if not given.scheduler:
        raise Failure("it is not known whose worker this is", remedy=f"name the scheduler's address, or set {connection.CLUSTER}")
    wanted = workers(connection.address(given.scheduler), given.count, given.tag or ())
    connection.security(given.scheduler.partition(":")[0])
    nodes.workers(wanted, say)
    return 0


def workers(address: str, count: int, also: Iterable[str]) -> nodes.Workers:
    """Workers of this machine: what it has is measured, and shared among them.

    Raises:
        Failure: there is no shared store that they may write to.
    """
    store, children = Store(artifacts_folder()), Children()
    os.environ["PIPELINE_ARTIFACTS"] = str(store.root)  # the workers are processes of their own, which may have another folder
    need_store(Remote(store, children), writes=True)
    found = tags.here(network=doctor.reaches_hub(children))
    if unknown := [one for one in also if one not in found]:
        raise Failure(f"{unknown[0]} is not a tag that a step needs", where="--tag", remedy=f"name one of {', '.join(found)}")
    here = [tag for tag, has in found.items() if has or tag in also]
    each = memory.usable_bytes() // count
    say(f"each worker has {', '.join((f'{size_text(each)} of memory', *here))}")
    return nodes.Workers(address, count, f"{platform.node() or 'worker'}-{os.getpid()}", capacity.offered(each, here))


def need_store(remote: Remote, *, writes: bool) -> None:
    """See that there is a shared store: it is all that carries files between machines.

    Raises:
        Failure: there is none, or it may not be written to.
    """
    if not remote.shown:
        raise Failure(
            "the machines of a cluster exchange files through a shared store, and none is set",
            where="PIPELINE_REMOTE",
            remedy="set it on all of them, to s3://bucket/store or file:///a/folder/that/all/mount",
        )
    if writes and not remote.writes:
        raise Failure("a worker puts what it makes into the shared store", where="PIPELINE_REMOTE_MODE", remedy="set it to write")


def say(text: str) -> None:
    """A line of the log, at once."""
    print(text, file=sys.stdout, flush=True)
