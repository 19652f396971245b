"""A sealed worker: no telemetry, no hub, nothing left in the user's home."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.bench import ROOT

pytestmark = pytest.mark.model  # imports the converters

PROGRAM = """
import sys
{seal}
import nncf, openvino.tools.ovc, huggingface_hub.constants
telemetry = sys.modules.get("openvino_telemetry")
print("telemetry" if telemetry else "no telemetry", huggingface_hub.constants.HF_HUB_OFFLINE)
"""


def said(seal: str, home: Path) -> str:
    """What a process says that imports the converters in an empty home."""
    home.mkdir()
    environment = {"HOME": str(home), "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "pipeline")}
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(seal=seal)], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def test_the_converters_would_call_home_and_a_sealed_worker_does_not(tmp_path: Path) -> None:
    assert said("", tmp_path / "open") == "telemetry False"
    assert said("from bakehouse.child import hermetic; hermetic.seal()", tmp_path / "sealed") == "no telemetry True"
    assert not list((tmp_path / "sealed").iterdir())


def test_what_is_left_out_is_not_there_for_libraries_that_ask() -> None:
    asked = "from importlib.util import find_spec; print(find_spec('sklearn'))"
    program = f"from bakehouse.child import hermetic; hermetic.leave_out('sklearn'); {asked}"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"
