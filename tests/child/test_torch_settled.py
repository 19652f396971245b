"""A worker's torch has called each vector function in one thread before anything else can call one in several."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bakehouse.child import torch_settled
from tests.support.bench import ROOT

PACKAGE = Path(torch_settled.__file__).parents[2]
# In place of torch: a module that writes down what it is asked for.
STANDS_IN = """
calls = []
float32, float64 = "float32", "float64"
def full(shape, value, dtype):
    return shape, dtype
def __getattr__(name):
    return lambda few: calls.append((name, *few))
"""


def _said(program: str, *folders: Path) -> list[str]:
    """What a process of its own prints, whose modules are those of these folders first."""
    program = f"import sys\nsys.path[:0] = {[*map(str, folders), str(PACKAGE)]!r}\n{program}"
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.splitlines()


def test_each_function_is_called_with_few_numbers_as_soon_as_torch_is_imported(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text(STANDS_IN)
    program = "from bakehouse.child import torch_settled\ntorch_settled.when_imported()\nimport torch\nprint(*torch.calls, sep='\\n')"
    said = _said(program, tmp_path)
    assert len(said) == 2 * len(torch_settled.FUNCTIONS)
    assert {"('cos', (16,), 'float32')", "('exp', (16,), 'float64')"} <= set(said)


def test_a_process_that_imports_no_torch_is_as_it_was() -> None:
    program = "from bakehouse.child import torch_settled\ntorch_settled.when_imported()\nprint('torch' in sys.modules)"
    assert _said(program) == ["False"]


@pytest.mark.model
def test_the_real_torch_has_all_these_functions_and_its_cosines_are_right() -> None:
    program = """
from bakehouse.child import torch_settled
torch_settled.when_imported()
import numpy, torch
angles = torch.linspace(0, 500, 1 << 16)
print(float(abs(angles.cos().double() - torch.from_numpy(numpy.cos(angles.double().numpy()))).max()) < 1e-6)
"""
    assert _said(program) == ["True"]
