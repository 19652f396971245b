"""Disturbs builds at random moments and in random places for as long as one likes, and says what came of it; the seed repeats the choices.

python -m tests.soak --kills 1000 --seed 1        of the kills 80 % are of runs, 10 % of publications, 10 % of a cluster's workers
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from tests.soak import damage, kills, work
from tests.soak.work import Tally


def main() -> int:
    """Soak; 1 if something was found that must not be."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--disks", type=int, default=100)
    parser.add_argument("--hubs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that its folders are removed
    tally, parts = Tally(), given.kills // 10
    rows = (
        (kills.of_runs, given.kills - 2 * parts),
        (kills.of_publications, parts),
        (kills.of_workers, parts),
        (damage.flips, given.flips),
        (damage.disks, given.disks),
        (damage.hubs, given.hubs),
    )
    for part, (carry_out, number) in enumerate(rows):
        began = time.monotonic()
        if number:
            with tempfile.TemporaryDirectory(prefix="soak-") as folder:
                carry_out(Path(folder).resolve(), number, Random(f"{given.seed} {part}"), tally)
            print(
                f"{carry_out.__module__.rpartition('.')[2]}.{carry_out.__name__}: {number} in {time.monotonic() - began:.0f} s", flush=True
            )
    work.SAID.unlink(missing_ok=True)
    _tell(tally, given.seed)
    return 1 if tally.faults else 0


def _tell(tally: Tally, seed: int) -> None:
    print(f"seed {seed}, {datetime.now(UTC):%Y-%m-%d}")
    for title, counts in (("done", tally.done), ("states found", tally.states)):
        print(f"{title}:")
        for what, number in sorted(counts.items()):
            print(f"    {number:6,}  {what}")
    print(f"faults: {len(tally.faults)}")


if __name__ == "__main__":
    sys.exit(main())
