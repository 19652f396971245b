"""The command `bakehouse`, for whoever has a package and no recipes: it works in any folder and needs no store and no doit."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bakehouse.app import check_package
from bakehouse.errors import Failure


def main(words: Sequence[str] | None = None) -> int:
    """Carry out `bakehouse check DIR`.

    Returns:
        The exit code: 0 well, 1 something is wrong, 2 wrong usage, 3 the signature could not be checked, 130 interrupted.
    """
    given = list(sys.argv[1:] if words is None else words)
    if given[:1] == ["verify"]:
        print("ERROR: The command is now called `bakehouse check DIR`.", file=sys.stderr)
        return 2
    asked = _parser().parse_args(given)
    try:
        return check_package.check(asked.package, check_package.signer(vars(asked)), print)
    except Failure as failure:
        print(f"ERROR: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("bakehouse", description="Check packages that Bakehouse made; making them is doit's, see README.md.")
    check = parser.add_subparsers(required=True, metavar="check").add_parser(
        "check",
        help="check a package: every file against every list in it",
        description="Hash every file of a package and compare it with every list in it; name what is changed, added or missing.",
    )
    check.add_argument("package", type=Path, metavar="DIR", help="the folder of the package")
    for name, text in check_package.OPTIONS.items():
        check.add_argument(f"--{name}", help=text)
    return parser


if __name__ == "__main__":
    sys.exit(main())
