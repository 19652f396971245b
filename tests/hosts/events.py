"""Prints what the workers of a cluster have reported, as JSON: (when, key of the task, worker, what it did). Runs on one of the hosts."""

from __future__ import annotations

import json
import sys

from bakehouse.cluster.connection import security
from bakehouse.cluster.watching import TOPIC


def main() -> None:
    """Ask the scheduler of the command line."""
    from distributed import Client

    with Client(sys.argv[1], security=security("tls"), set_as_default=False) as client:
        found = client.get_events(TOPIC)
    print(json.dumps([(when, one["key"], one["by"], one["doing"]) for when, one in found]))


if __name__ == "__main__":
    main()
