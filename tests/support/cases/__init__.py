"""Small checkpoints behind public bug reports of converters and runtimes, each made once a machine and kept outside the tree.

Weights are random: what counts is whether an artifact computes what transformers computes, and what is said when it cannot.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support import standin
from tests.support.bench import Bench
from tests.support.cases import architectures, formats, positions, sentencepiece, texts, weights
from tests.support.cases.making import BOTH, RAW, Case

FORMAT = 1  # raise it when a case comes to be made of other bytes
CASES: dict[str, Case] = {**weights.CASES, **texts.CASES, **positions.CASES, **formats.CASES, **architectures.CASES, **sentencepiece.CASES}


def folder(name: str) -> Path:
    """The folder that holds the case's source: a checkpoint, or a GGUF file."""
    return standin.made_once(f"case-{FORMAT}-{name}", CASES[name].make)


def recipe(name: str, **changes: Any) -> dict[str, Any]:
    """The recipe of a case, over a source of its name next to it; `changes` replace whole fields."""
    case = CASES[name]
    return {
        "schema_version": 1,
        "name": name,
        "description": f"case {name}",
        "source": {"type": "local", "path": f"{name}/{case.file}".rstrip("/"), "license": "Apache-2.0"},
        "golden": case.golden,
        "builds": case.builds,
    } | changes


def place(bench: Bench, *names: str) -> Bench:
    """Put the sources of these cases, as links, and their recipes into a workbench."""
    bench.write(*(recipe(name) for name in names))
    for name in names:
        copy(name, bench.recipes / name)
    return bench


def copy(name: str, to: Path) -> Path:
    """A copy of the case's folder whose files are hard links where that can be."""
    import os
    import shutil

    def link(source: str, target: str) -> None:
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)

    shutil.copytree(folder(name), to, copy_function=link)
    return to


__all__ = ["BOTH", "CASES", "RAW", "Case", "copy", "folder", "place", "recipe"]
