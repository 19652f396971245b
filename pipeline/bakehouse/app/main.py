"""The command `bakehouse`, in any folder. doit is the engine under most verbs; `init` and `check DIR` do without it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from bakehouse.errors import Failure, NotInstalled

_WRONG_USAGE = 2


def main(words: Sequence[str] | None = None) -> int:
    """Carry out `bakehouse VERB ...`.

    Returns:
        The exit code: 0 success, 1 something is wrong, 2 wrong usage, 3 it could not begin, or a signature could not be checked,
        130 interrupted.
    """
    given = list(sys.argv[1:] if words is None else words)
    if given[:1] == ["--complete"]:  # before anything is imported: a shell waits for it
        from bakehouse.app import complete

        return complete.main(given[1:])
    if "--untrusted" in given:
        os.environ["PIPELINE_UNTRUSTED"] = "1"  # what a checkout's doit reads too
    verb, *rest = [word for word in given if word != "--untrusted"] or ["--help"]
    try:
        code = _carried_out(verb, rest)
        sys.stdout.flush()  # what it fails with at the end of the process nobody could handle
        return code
    except OSError as error:
        from bakehouse.app import screen

        if not screen.is_unread(error):
            raise
        return screen.not_read()


def _carried_out(verb: str, rest: list[str]) -> int:
    import difflib

    from bakehouse.app import usage
    from bakehouse.app.verbs import ALONE, VERBS

    if verb in ("-h", "--help", "help"):
        print(usage.of_all())
        return 0
    if verb in ("--version", "version"):
        print(_version())
        return 0
    if verb == "completion":
        return _completion(rest)
    if verb == "init":
        return _guarded(lambda: _init(rest))
    if verb == "check" and _names_a_folder(rest):
        return _guarded(lambda: _check(rest), as_json="--json" in rest)
    if verb in ALONE:
        return _guarded(lambda: _alone(verb, rest))
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


def _guarded(work: Callable[[], int], *, as_json: bool = False) -> int:
    try:
        return work()
    except Failure as failure:
        from bakehouse.app.screen import show

        return show(failure, 3 if isinstance(failure, NotInstalled) else 1, as_json=as_json)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _completion(words: list[str]) -> int:
    from bakehouse.app.completion import SCRIPTS

    if len(words) == 1 and words[0] in SCRIPTS:
        print(SCRIPTS[words[0]], end="")
        return 0
    asks = bool({"-h", "--help"} & set(words))
    print(
        f"usage: bakehouse completion {'|'.join(SCRIPTS)}\n\nThe script's first lines say where it goes.", file=None if asks else sys.stderr
    )
    return 0 if asks else _WRONG_USAGE


def _init(words: list[str]) -> int:
    import argparse

    from bakehouse.app.init import command
    from bakehouse.executor.process import Children

    parser = argparse.ArgumentParser("bakehouse init", description="Look at a model and write a recipe with the builds that fit it.")
    command.add_arguments(parser)
    children = Children()
    try:
        return command.run(parser.parse_args(words), children)
    finally:
        children.stop()


def _alone(verb: str, words: list[str]) -> int:
    """Carry out a command that does without doit; argparse answers `--help` and wrong usage."""
    import importlib
    import signal

    from bakehouse.app import usage
    from bakehouse.app.verbs import ALONE

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what has been started is ended
    module = importlib.import_module(ALONE[verb])
    parser = usage.with_examples(module.parser(), verb)
    try:
        return int(module.run(parser.parse_intermixed_args(words)))
    finally:
        signal.signal(signal.SIGTERM, before)


def _names_a_folder(words: Sequence[str]) -> bool:
    """Whether `check` is about a package as it lies in a folder, and not about what is in the store."""
    from pathlib import Path

    names = [word for word in words if not word.startswith("-")]
    return words[:1] in (["-h"], ["--help"]) or any("/" in name or "\\" in name or Path(name).is_dir() for name in names)


def _check(words: list[str]) -> int:
    import argparse
    from pathlib import Path

    from bakehouse.app import check_package
    from bakehouse.app.screen import JSON_HELP

    parser = argparse.ArgumentParser(
        "bakehouse check",
        usage="bakehouse check [DIR | NAME ...] [OPTIONS]",
        description="Hash every file of a package and compare it with every list in it; name what is changed, added or missing. "
        "Without a folder: check the store and the packages of all builds, or of the builds that are named.",
    )
    parser.add_argument("package", type=Path, metavar="DIR|NAME", help="the folder of a package; or the names of builds")
    for name, text in check_package.OPTIONS.items():
        parser.add_argument(f"--{name}", help=text)
    parser.add_argument("--json", action="store_true", help=JSON_HELP)
    given = parser.parse_args(words)
    return check_package.check(given.package, check_package.signer(vars(given)), print, as_json=given.json)


def _of_doit(words: list[str]) -> int:
    """Have doit carry out a command, with the tasks that come with this package and no configuration of the folder."""
    import importlib

    from doit.cmd_base import ModuleTaskLoader
    from doit.doit_cmd import DoitMain
    from doit.plugin import PluginDict

    from bakehouse.app.verbs import OF_DOIT, OF_TASKS

    class Tasks(ModuleTaskLoader):  # type: ignore[misc]
        """Our tasks, made once doit wants them: that reads the recipes, anew for each command of a process."""

        def setup(self, opt_values: object) -> None:
            known = sys.modules.get("bakehouse.app.dodo")
            self.namespace = vars(importlib.reload(known) if known else importlib.import_module("bakehouse.app.dodo"))

        def load_tasks(self, cmd: object, pos_args: object) -> list[object]:
            self.cmd_names: list[str] = []  # doit refuses a task with the name of a command; here `build` is meant to be both
            return list(super().load_tasks(cmd, pos_args))

    class Main(DoitMain):  # type: ignore[misc]
        BIN_NAME = "bakehouse"

    # A plugin for doit in the same environment could replace a command of ours, and looking for one takes as long as planning.
    PluginDict._from_entry_points = lambda self, category: {}
    return int(Main(Tasks({}), config_filenames=(), extra_config={"COMMAND": {**OF_DOIT, **OF_TASKS}}).run(words) or 0)


if __name__ == "__main__":
    sys.exit(main())
