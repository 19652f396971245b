"""Refuses a checkpoint that needs code of its own, unless the recipe lists that code."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Collection, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from bakehouse.child import events
from bakehouse.formats import fields

if TYPE_CHECKING:
    from pydantic import JsonValue

_LIST = "Read that code; if you trust it, list every file that it needs under source.remote_code with its sha256."
# A local source has no remote_code: what code ran is to be found by whoever gets the package, at a commit of a repository.
LOCAL = "A local source brings no code. Take the model from its repository on the hub (type huggingface), which can list it in remote_code."


@cache
def known() -> frozenset[str] | None:
    """The model types that the installed transformers has a class for, read from its source: importing it takes seconds.

    None where transformers is not installed: such a machine looks at models and builds none.

    They are the first items of the pairs in `CONFIG_MAPPING_NAMES` (transformers 5.5, models/auto/configuration_auto.py).
    """
    spec = importlib.util.find_spec("transformers")
    if spec is None or spec.origin is None:
        return None
    text = (Path(spec.origin).parent / "models" / "auto" / "configuration_auto.py").read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="CONFIG_MAPPING_NAMES")], value=ast.Call(args=[pairs])):
                return frozenset(name for name, _ in ast.literal_eval(pairs))
    raise AssertionError("transformers has no CONFIG_MAPPING_NAMES any more")


def refuse_unlisted_code(config: Mapping[str, JsonValue], listed: Collection[str], remedy: str = _LIST) -> None:
    """End here if transformers has no such model type of its own, and `listed` has not all code that `config` points to.

    A type that transformers knows needs no remote code, whatever auto_map says (Phi-3 has had its own class for long).
    """
    model_type, types = fields.text(config, "model_type"), known()
    if types is None or model_type in types:
        return
    # "owner/repo--module.Class" points to another repository, which is never listed.
    auto_map = config.get("auto_map")
    targets = auto_map.values() if isinstance(auto_map, dict) else ()
    modules = sorted({f"{str(target).rpartition('.')[0]}.py" for target in targets})
    if not modules:
        events.refuse(
            f'transformers {version("transformers")} does not know the model type "{model_type}".',
            "Take a model whose type it knows, or a later release of transformers when the others of the toolchain allow it.",
        )
    unlisted = [module for module in modules if module not in listed]
    if unlisted:
        events.refuse(
            f'The model type "{model_type}" is not part of transformers {version("transformers")}: it needs Python code of the repository.',
            remedy,
            unlisted,
        )
