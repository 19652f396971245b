"""Fuzzes every reader of what others wrote, each in a process of its own that may take 1 GB more than it has.

python -m tests.fuzz [TARGET ...] --inputs N --seed S     prints a line for each target, then its faults; exits 1 if there are any
python -m tests.fuzz TARGET --again NUMBER                gives a target one input again, whose number a fault names
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.fuzz import campaign
from tests.fuzz.targets import TARGETS


def _child(name: str, inputs: int, seed: int, seconds: float) -> campaign.Outcome:
    campaign.run(TARGETS[name], 20, seed)  # what is imported and prepared counts before the limit
    campaign.limit_memory()
    return campaign.run(TARGETS[name], inputs, seed, seconds)


def main() -> int:
    """Fuzz what is named, or everything."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="go on to the next target after so long")
    parser.add_argument("--again", type=int)
    given = parser.parse_args()
    if given.again is not None:
        print(campaign.again(TARGETS[given.targets[0]], given.again))
        return 0
    faults = 0
    for name in given.targets or TARGETS:
        began = time.monotonic()
        with ProcessPoolExecutor(1, get_context("fork")) as pool:
            found = pool.submit(_child, name, given.inputs, given.seed, given.seconds).result()
        faults += len(found.faults)
        print(
            f"{name:12} {found.inputs:7,} inputs, seed {given.seed}: {found.values:,} read, {found.refused:,} refused, "
            f"{len(found.faults)} kinds of fault, slowest {found.slowest_s:.2f} s, {time.monotonic() - began:.0f} s in all",
            flush=True,
        )
        for count, first in found.faults.values():
            print(f"    {count} times: {first}", flush=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
