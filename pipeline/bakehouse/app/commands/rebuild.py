"""`bakehouse rebuild`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bakehouse.app.cli import Ours, option
from bakehouse.app.workspace import artifacts_folder, recipes_folder
from bakehouse.errors import Failure
from bakehouse.executor.process import Children
from bakehouse.recipe.types import printable
from bakehouse.release import rebuild
from bakehouse.store import files
from bakehouse.store.store import Store


class Rebuild(Ours):
    """`bakehouse rebuild NAME|DIR`"""

    doc_purpose = "build a package again from the recipe in it, in a store of its own, and compare every file"
    doc_usage = "NAME|DIR [--keep]"
    cmd_options = (option("keep", "keep what was built again", bool, False),)

    def _do(self, params: Any, args: list[str]) -> int:
        if len(args) != 1:
            raise Failure("one package is built again at a time", remedy="name a build, or a folder with a package")
        store, children = Store(artifacts_folder()), Children()
        package = Path(args[0]).absolute() if Path(args[0]).is_dir() else store.package(args[0].removeprefix("build:"))
        if not package.is_dir():
            raise Failure(f"there is no package {args[0]}", remedy="name a build that is built, or a folder with a package")
        with store.lock("rebuild", lambda: print("waiting for another rebuild")):
            folder = rebuild.place(store)
            try:
                again, found = rebuild.build_again(package, recipes_folder(), store, folder, children, _say)
            finally:
                children.stop()
            _tell(rebuild.read(again).name, found)
            if params["keep"] or found.differs:
                print(f"kept     {again}")
            else:
                files.remove(folder)
        return 1 if found.differs else 0


def _say(line: str) -> None:
    """Print a line that may hold what a package from elsewhere calls something."""
    print(printable(line))


def _tell(name: str, found: rebuild.Comparison) -> None:
    for word, lines in (("same", found.same), ("exempt", found.exempt), ("differs", found.differs)):
        for line in lines:
            _say(f"{word:8} {line}")
    verdict = f"{len(found.differs)} differ" if found.differs else "all that can be the same is the same"
    print(f"{name}: {len(found.same)} files have the same bytes, {len(found.exempt)} are records of their own; {verdict}")
