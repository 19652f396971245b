"""A sample of what `make fuzz` gives to every reader of what others wrote: a value or our own words come of it, soon and readable."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from huggingface_hub import set_client_factory
from huggingface_hub.utils._http import default_client_factory

from tests.fuzz import campaign
from tests.fuzz.targets import TARGETS

pytestmark = pytest.mark.needs_backend("openvino", "openvino_npu", "onnxruntime_genai", "npu_library")
INPUTS = {"ir": 60, "safetensors": 20, "config": 30, "recipe": 40, "package": 15, "hub": 25, "shared": 40}  # others are quicker


@pytest.fixture(autouse=True)
def real_client() -> Iterator[None]:
    """Give the hub's client its own connections back after the target that answers it from memory."""
    yield
    set_client_factory(default_client_factory)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_whatever_a_reader_is_given_it_gives_a_value_or_says_why_not(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BAKEHOUSE_REMOTE", raising=False)
    found = campaign.run(TARGETS[name], INPUTS.get(name, 100), 7)
    assert not found.faults
    assert found.inputs >= 15


def test_a_sentence_for_a_terminal_has_no_control_characters() -> None:
    assert campaign.unclear("red \x1b[31m") == "has control characters"
    assert campaign.unclear(" ") == "says nothing"
    assert campaign.unclear("It is not one.") == ""
