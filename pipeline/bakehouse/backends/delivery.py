"""What a delivery profile is: how one place wants a package of one runtime laid out. It reads small files of the package, no weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from bakehouse.recipe.kinds import BuildOptions
from bakehouse.steps.maker import Command


@dataclass(frozen=True)
class Packed:
    """A package that is to be delivered.

    Attributes:
        folder: where it is; a profile reads its small files, never its weights.
        builds: of a bundle each of its builds, else the one.
        files: path -> sha256 of every file that its manifest lists.
        chat: a golden prompt as role and content, for the program in the folder's README.
        max_new_tokens: the most tokens that the answer to it has.
    """

    name: str
    folder: Path
    builds: tuple[BuildOptions, ...]
    files: Mapping[str, str]
    chat: tuple[tuple[str, str], ...]
    max_new_tokens: int

    def below(self, folder: str) -> dict[str, str]:
        """Path within `folder` -> path in the package, of every file below it."""
        return {path.removeprefix(f"{folder}/"): path for path in self.files if path.startswith(f"{folder}/")}

    def text(self, path: str) -> str:
        """The text of a small file."""
        return (self.folder / path).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Text:
    """A file that is written: new, or in place of the package's file `of`, from which it differs as `why` says."""

    text: str
    of: str = ""
    why: str = ""


@dataclass(frozen=True)
class Remade:
    """A file that a worker writes in place of the package's file `of`, from which it differs as `why` says."""

    of: str
    why: str


@dataclass(frozen=True)
class Code:
    """A block of code in the folder's README."""

    text: str
    language: str


@dataclass(frozen=True)
class Layout:
    """A delivered folder; what is not mentioned lies in it as it lies in the package.

    Attributes:
        carried: path in the folder -> the package's file that it is a copy of.
        same: the package's file -> path in the folder of one that is carried and has the same bytes, so that it lies there once.
        written: path in the folder -> what is written there.
        remade: path in the folder -> what the worker of `remake` writes there.
        remake: the command that writes them, given the new folder.
        readme: how to use the folder, as Markdown and code.
    """

    carried: Mapping[str, str]
    readme: tuple[str | Code, ...]
    same: Mapping[str, str] = field(default_factory=dict)
    written: Mapping[str, Text] = field(default_factory=dict)
    remade: Mapping[str, Remade] = field(default_factory=dict)
    remake: Callable[[Path], Command] | None = None

    @property
    def instead(self) -> dict[str, tuple[str, str]]:
        """Path in the folder -> the package's file in whose place it is, and how it differs."""
        written = {place: (one.of, one.why) for place, one in self.written.items() if one.of}
        return written | {place: (one.of, one.why) for place, one in self.remade.items()}


@dataclass(frozen=True)
class Profile:
    """A place that packages of one runtime can be delivered to.

    Attributes:
        name: as people type it.
        version: raised when the same package comes to be laid out otherwise.
        place: as people call it: "Foundry Local".
        takes: which packages, in words that follow "takes".
        fits: looks at the options of a package's builds, of that runtime, before there is a package; given its name and them.

            Raises:
                Failure: the place takes no package of such builds.
        layout: lays a package out whose builds fit.

            Raises:
                Failure: the place does not take what is in the package.
    """

    name: str
    version: int
    place: str
    takes: str
    fits: Callable[[str, tuple[BuildOptions, ...]], None]
    layout: Callable[[Packed], Layout]


def as_json(value: Mapping[str, JsonValue]) -> str:
    """A JSON file as it is written into a delivered folder."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
