"""A model whose weights are mapped is saved as the exporter would, with less of the checkpoint in memory."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.model

ROWS = 1 << 11  # a matrix of these rows has 8 MiB in 16 bits


def model(weights: list[Any], *, named: bool = True) -> Any:
    """A model that multiplies by each matrix in turn; of each the constant's output is named, as the frontend names it."""
    import numpy as np
    import openvino as ov
    from openvino import opset13 as op

    value = given = op.parameter([1, ROWS], np.float32, name="given")
    for number, weight in enumerate(weights):
        constant = op.constant(weight, shared_memory=True)
        constant.set_friendly_name(f"self.layers.{number}.weight")
        constant.output(0).set_names({f"self.layers.{number}.weight"} if number else set())
        value = op.matmul(value, op.convert(constant, np.float32), False, False)
    value.output(0).set_names({"logits"})
    made = ov.Model([value], [given], "model")
    for number, node in enumerate(made.get_ordered_ops()):
        if named and node.get_type_name() != "Constant":
            node.set_friendly_name(f"node {number}")
    return made


def test_the_model_is_the_same_and_equal_weights_are_written_once(tmp_path: Path) -> None:
    import numpy as np
    import openvino as ov
    from optimum.exporters.openvino import convert

    from bakehouse.backends.openvino.workers import kept

    weights = [np.random.default_rng(seed).standard_normal((ROWS, ROWS)).astype(np.float16) for seed in range(3)]
    weights.insert(2, weights[1].copy())
    ov.save_model(model(weights), tmp_path / "plain.xml", False)
    original = convert.save_model
    with kept.small_while_saved(tmp_path):
        convert.save_model(model(weights), tmp_path / "kept.xml", False)
    assert convert.save_model is original
    for end in ("xml", "bin"):
        assert (tmp_path / f"kept.{end}").read_bytes() == (tmp_path / f"plain.{end}").read_bytes()
    assert (tmp_path / "kept.bin").stat().st_size < 3.5 * weights[0].nbytes


def test_a_model_that_is_saved_after_another_has_the_names_of_always(tmp_path: Path) -> None:
    """Nodes without a name are named by their number, and postponed constants take numbers."""
    import numpy as np
    from optimum.exporters.openvino import convert

    from bakehouse.backends.openvino.workers import kept

    weights = [np.full((ROWS, ROWS), number, np.float16) for number in range(3)]

    def numbers(folder: Path) -> list[int]:
        found: list[int] = []
        folder.mkdir()
        for name in ("one", "two", "three"):
            convert.save_model(model(weights, named=False), folder / f"{name}.xml", False)
            found += [int(number) for number in re.findall(r'name="\w+_(\d+)" type', (folder / f"{name}.xml").read_text(encoding="utf-8"))]
        return [number - found[0] for number in found]

    plain = numbers(tmp_path / "plain")
    with kept.small_while_saved(tmp_path):
        assert numbers(tmp_path / "kept") == plain


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="Linux: other systems keep no list of pages")
@pytest.mark.parametrize("most", [1 << 25, 1 << 40])
def test_what_was_saved_of_a_mapped_checkpoint_does_not_stay_in_memory(most: int, tmp_path: Path) -> None:
    import numpy as np
    from optimum.exporters.openvino import convert

    from bakehouse.backends.openvino.workers import kept

    (checkpoint := tmp_path / "checkpoint").mkdir()
    for number in range(16):
        (np.arange(ROWS * ROWS, dtype=np.uint32) % 999 + number).astype(np.float16).tofile(checkpoint / f"{number}.bin")
    whole = [np.memmap(checkpoint / f"{number}.bin", np.float16, "c", shape=(ROWS, ROWS)) for number in range(16)]
    with kept.small_while_saved(checkpoint, most):
        convert.save_model(model(whole), tmp_path / "saved.xml", False)
    assert (tmp_path / "saved.bin").stat().st_size >= 16 * whole[0].nbytes
    assert resident(checkpoint) < most + (1 << 26)
    if most > 1 << 30:
        assert resident(checkpoint) == 16 * whole[0].nbytes, "without a limit all of it stays"


def resident(folder: Path) -> int:
    """Bytes of a folder's files that this process has in memory."""
    found, ours = 0, False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        if not line.split(maxsplit=1)[0].endswith(":"):
            ours = f" {folder}/" in line
        elif ours and line.startswith("Rss:"):
            found += int(line.split()[1]) * 1024
    return found
