"""What users give the runtime is what it takes: an option that it would ignore ends the work in a sentence."""

from __future__ import annotations

import pytest

from bakehouse.backends.openvino.options import RuntimeOptions, given, of_the_plugin
from bakehouse.backends.openvino.workers import fidelity


class Type:
    """A type of numbers, as OpenVINO has them."""

    def __init__(self, name: str) -> None:
        self.name = name

    def get_type_name(self) -> str:
        return self.name


class Compiled:
    """A compiled model that keeps its cache in this precision."""

    def __init__(self, keeps: str) -> None:
        self.keeps = keeps

    def get_property(self, name: str) -> Type:
        assert name == "KV_CACHE_PRECISION"
        return Type(self.keeps)


def test_a_cache_in_another_precision_than_the_recipe_has_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    fidelity.refuse_ignored(Compiled("u8"), {"KV_CACHE_PRECISION": "u8"})
    fidelity.refuse_ignored(Compiled("u8"), {})
    with pytest.raises(SystemExit) as ended:
        fidelity.refuse_ignored(Compiled("u8"), {"KV_CACHE_PRECISION": "u4"})
    assert ended.value.code == 3


def test_a_compiled_model_gets_no_option_of_the_pipeline() -> None:
    options = RuntimeOptions.model_validate({"ATTENTION_BACKEND": "PA", "enable_prefix_caching": True, "KV_CACHE_PRECISION": "f16"})
    assert of_the_plugin(given(options)) == {"KV_CACHE_PRECISION": "f16"}
