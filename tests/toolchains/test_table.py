"""Which toolchains there are, and what an older transformers would pass over in a checkpoint."""

from __future__ import annotations

import re
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.toolchains import table
from bakehouse.toolchains.table import INSTALLED, NAMES, TOOLCHAINS, Name

OTHERS = [name for name in NAMES if name != INSTALLED]
LLAMA = {"model_type": "llama", "rope_theta": 10000.0, "torch_dtype": "bfloat16"}
NEW = {"model_type": "llama", "rope_parameters": {"rope_theta": 1e6, "rope_type": "default"}, "dtype": "bfloat16"}


@pytest.mark.parametrize("name", OTHERS)
def test_a_lock_pins_every_version_of_its_toolchain_by_hash(name: Name) -> None:
    toolchain = TOOLCHAINS[name]
    lines = toolchain.lock.read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^([\w-]+)==(\S+) \\$", lines, re.MULTILINE))
    assert toolchain.versions.items() <= pinned.items()
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", lines)) >= len(pinned)
    assert toolchain.versions["transformers"].startswith(name.removeprefix("transformers-"))


def test_what_is_installed_replaces_nothing() -> None:
    assert not TOOLCHAINS[INSTALLED].versions and NAMES[0] == INSTALLED


@pytest.mark.parametrize("name", NAMES)
def test_a_config_of_transformers_4_is_read_by_all(name: Name) -> None:
    assert table.misread(LLAMA, name) == ()


@pytest.mark.parametrize(("name", "reasons"), [("transformers-5.0", 0), ("transformers-4.57", 1), ("transformers-4.53", 2)])
def test_what_an_older_transformers_passes_over_is_a_reason(name: Name, reasons: int) -> None:
    assert len(table.misread(NEW, name)) == reasons
    assert table.reading(NEW, NAMES) == ("transformers-5.5", "transformers-5.2", "transformers-5.0")


def test_a_reason_names_the_field_and_a_way_out() -> None:
    assert table.misread(NEW, "transformers-4.53") == snapshot(
        (
            "config.json has rope_parameters, which transformers 4.53 passes over: save the checkpoint with transformers 4, "
            "or take a toolchain of transformers 5.0 or later",
            "config.json names its precision as dtype, which transformers 4.53 passes over: add torch_dtype, "
            "or take a toolchain of transformers 4.56 or later",
        )
    )


def test_a_converter_names_the_line_for_the_recipe() -> None:
    works: tuple[Any, ...] = ("transformers-5.0", "transformers-4.57")
    assert table.why_not(INSTALLED, works, "optimum-intel 2.1", "models of type gemma2") == snapshot(
        "optimum-intel 2.1 makes models of type gemma2 with the toolchain transformers-5.0 or transformers-4.57, not with "
        "transformers-5.5: write `toolchain: transformers-5.0` into the recipe"
    )
    assert table.why_not("transformers-4.53", (INSTALLED,), "optimum-intel 2.1", "models of type llama") == snapshot(
        "optimum-intel 2.1 makes models of type llama with the toolchain transformers-5.5, not with transformers-4.53: "
        "leave `toolchain:` out of the recipe"
    )


def test_the_toolchain_that_serves_the_most_runtimes_is_the_best_and_then_the_newest() -> None:
    both: tuple[Name, ...] = ("transformers-5.0", "transformers-4.57")
    assert table.most_runtimes({"a": both, "b": ("transformers-4.57",)}) == "transformers-4.57"
    assert table.most_runtimes({"a": both, "b": ()}) == "transformers-5.0"
    assert table.most_runtimes({"a": (), "b": ()}) is None
    assert table.most_runtimes({}) is None
