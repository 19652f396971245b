"""The command `bakehouse`, in any folder. doit is the engine under most verbs; `init` and `check DIR` do without it."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bakehouse.app import usage
from bakehouse.app.verbs import OF_DOIT, OF_TASKS, VERBS
from bakehouse.errors import Failure

_WRONG_USAGE = 2


def main(words: Sequence[str] | None = None) -> int:
    """Carry out `bakehouse VERB ...`.

    Returns:
        The exit code: 0 success, 1 something is wrong, 2 wrong usage, 3 it could not begin, or a signature could not be checked,
        130 interrupted.
    """
    given = list(sys.argv[1:] if words is None else words)
    if "--untrusted" in given:
        os.environ["PIPELINE_UNTRUSTED"] = "1"  # what a checkout's doit reads too
    verb, *rest = [word for word in given if word != "--untrusted"] or ["--help"]
    if verb in ("-h", "--help", "help"):
        print(usage.of_all())
        return 0
    if verb in ("--version", "version"):
        print(_version())
        return 0
    if verb == "init":
        return _guarded(lambda: _init(rest))
    if verb == "check" and _names_a_folder(rest):
        return _guarded(lambda: _check(rest))
    if known := next((one for one in VERBS if one.name == verb), None):
        if {"-h", "--help"} & set(rest):
            print(usage.of_verb(known))
            return 0
        return _of_doit([verb, *rest])
    near = {"verify": ["check"]}.get(verb) or difflib.get_close_matches(verb, [one.name for one in VERBS], 1)
    meant = f"Did you mean `bakehouse {near[0]}`?" if near else "`bakehouse --help` lists the commands."
    print(f"ERROR: `bakehouse {verb}` is not a command. {meant}", file=sys.stderr)
    return _WRONG_USAGE


def _version() -> str:
    from importlib.metadata import version

    return f"bakehouse {version('bakehouse')}"


def _guarded(work: Callable[[], int]) -> int:
    try:
        return work()
    except Failure as failure:
        print(f"ERROR: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _init(words: list[str]) -> int:
    from bakehouse.app.init import command
    from bakehouse.executor.process import Children

    parser = argparse.ArgumentParser("bakehouse init", description="Look at a model and write a recipe with the builds that fit it.")
    command.add_arguments(parser)
    children = Children()
    try:
        return command.run(parser.parse_args(words), children)
    finally:
        children.stop()


def _names_a_folder(words: Sequence[str]) -> bool:
    """Whether `check` is about a package as it lies in a folder, and not about what is in the store."""
    names = [word for word in words if not word.startswith("-")]
    return words[:1] in (["-h"], ["--help"]) or any("/" in name or "\\" in name or Path(name).is_dir() for name in names)


def _check(words: list[str]) -> int:
    from bakehouse.app import check_package

    parser = argparse.ArgumentParser(
        "bakehouse check",
        description="Hash every file of a package and compare it with every list in it; name what is changed, added or missing. "
        "Without a folder: check the store and the packages of all builds, or of the builds that are named.",
    )
    parser.add_argument("package", type=Path, metavar="DIR|NAME", help="the folder of a package")
    for name, text in check_package.OPTIONS.items():
        parser.add_argument(f"--{name}", help=text)
    given = parser.parse_args(words)
    return check_package.check(given.package, check_package.signer(vars(given)), print)


def _of_doit(words: list[str]) -> int:
    """Have doit carry out a command, with the tasks that come with this package and no configuration of the folder."""
    from doit.cmd_base import ModuleTaskLoader
    from doit.doit_cmd import DoitMain

    class Tasks(ModuleTaskLoader):  # type: ignore[misc]
        """Our tasks, made once doit wants them: that reads the recipes."""

        def setup(self, opt_values: object) -> None:
            from bakehouse.app import dodo

            self.namespace = vars(dodo)

        def load_tasks(self, cmd: object, pos_args: object) -> list[object]:
            self.cmd_names: list[str] = []  # doit refuses a task with the name of a command; here `build` is meant to be both
            return list(super().load_tasks(cmd, pos_args))

    class Main(DoitMain):  # type: ignore[misc]
        BIN_NAME = "bakehouse"

    return int(Main(Tasks({}), config_filenames=(), extra_config={"COMMAND": {**OF_DOIT, **OF_TASKS}}).run(words) or 0)


if __name__ == "__main__":
    sys.exit(main())
