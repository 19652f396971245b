"""Tries every architecture in every runtime: `make conformance`, or by hand

    python -m tests.architectures [--runtime RUNTIME] [--toolchain NAME[=FOLDER]] [--upstream] [--write] [--keep FOLDER] [NAME ...]

A toolchain is one of those that a recipe can name, put first on the path of what converts and of the reference: from FOLDER, or
installed from its lock; without one it is the installed set. --upstream has what does not agree made once more by the upstream command
alone. --write puts the outcomes into the table, for a person to read the diff; without it they are compared with the table, and exit
code 1 says that they differ.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from pydantic import TypeAdapter

from bakehouse.toolchains.table import INSTALLED
from bakehouse.toolchains.table import Name as Toolchain
from tests.architectures import outcomes, trying
from tests.architectures.rows import ROWS


def main() -> int:
    """See above."""
    parser = argparse.ArgumentParser(prog="python -m tests.architectures")
    parser.add_argument("names", nargs="*", metavar="NAME", help="architectures; all without one")
    parser.add_argument("--runtime", action="append", choices=outcomes.RUNTIMES)
    parser.add_argument("--toolchain", default=INSTALLED, metavar="NAME[=FOLDER]")
    parser.add_argument("--upstream", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where artifacts and logs go, and stay")
    parser.add_argument("--at-once", type=int, default=2)
    given = parser.parse_args()
    name, _, folder = given.toolchain.partition("=")
    wanted = trying.Wanted(
        names=tuple(given.names or ROWS),
        runtimes=tuple(given.runtime or outcomes.RUNTIMES),
        toolchain=TypeAdapter(Toolchain).validate_python(name),
        first=Path(folder).resolve() if folder else trying.installed(TypeAdapter(Toolchain).validate_python(name)),
        upstream=given.upstream,
    )
    with tempfile.TemporaryDirectory() as temporary:
        found = trying.all_of(wanted, given.keep or Path(temporary), given.at_once)
    known = outcomes.read()
    different = outcomes.differences(known.get(name, {}), found)
    print("\n".join(different))
    print(outcomes.summary(found))
    if given.write:
        outcomes.write(outcomes.joined(known, name, found))
        return 0
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
