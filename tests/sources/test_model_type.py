"""Which model types transformers has, without importing it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bakehouse.sources.workers import model_type


def test_the_types_are_read_without_importing_transformers() -> None:
    program = (
        "import sys; from bakehouse.sources.workers import model_type as m; m.known(); print({'torch', 'transformers'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    assert {"llama", "phi3"} <= (model_type.known() or set())


@pytest.mark.model
def test_they_are_those_that_transformers_itself_names() -> None:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    assert model_type.known() == set(CONFIG_MAPPING_NAMES)
