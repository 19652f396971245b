"""What is refused, and what is estimated, from config and shapes alone."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.backends.openvino import backend as openvino
from bakehouse.backends.openvino import model_types as openvino_types
from bakehouse.tasks.text_generation import reference
from bakehouse.toolchains.table import NAMES, Name
from tests.support import sampling
from tests.support.openvino_making import CHECKPOINT, build, steps
from tests.support.surveys import PHI3, survey
from tests.support.toolchains import installed_toolchain


@pytest.mark.parametrize(
    "quantization",
    [
        {"weights": "int4", "group_size": 64},
        {"weights": "int4", "group_size": -1},
        {"weights": "int4", "group_size": 128, "group_size_fallback": "adjust"},
        {"weights": "int4", "group_size": 128, "ignored_scope": {"patterns": (".*",)}},
        {"weights": "int4", "group_size": 128, "backup_scope": {"patterns": (".*",)}},
        {"weights": "int4", "group_size": 128, "ratio": 0.2},
        {"weights": "mxfp4"},
        {"weights": "int8"},
        {"weights": "fp16"},
    ],
)
def test_what_can_work_is_not_refused(quantization: dict[str, Any]) -> None:
    assert openvino.preflight(build(**quantization), survey()) == ()


def test_a_group_size_that_does_not_divide_is_refused_with_the_channel_and_one_that_does() -> None:
    assert openvino.preflight(build(weights="int4", group_size=128), survey()) == snapshot(
        ("a group size of 128 does not divide every channel: 576 in model.layers.0.q_proj.weight and 5 more; 64 divides all",)
    )


def test_a_group_size_is_refused_below_ratio_one_when_too_many_layers_do_not_fit() -> None:
    asked = build(weights="int4", group_size=128, ratio=0.9)
    assert len(openvino.preflight(asked, survey(layers=20))) == 1


def test_a_ratio_that_the_smallest_matrix_exceeds_is_refused() -> None:
    assert openvino.preflight(build(weights="int4", group_size=64, ratio=1e-9), survey()) == snapshot(
        ("with ratio 1e-09 no weight would get 4 bits: the smallest matrix is 0.02 of all",)
    )
    assert openvino.preflight(build(weights="int4", group_size=64, ratio=0.03), survey()) == ()


def test_mxfp4_is_refused_when_32_does_not_divide() -> None:
    assert openvino.preflight(build(weights="mxfp4"), survey(hidden=560)) == snapshot(
        ("a group size of 32 does not divide every channel: 560 in model.layers.0.q_proj.weight and 5 more",)
    )


def test_an_architecture_that_no_list_has_is_tried_where_the_recipe_says_so() -> None:
    tries = build(weights="int8").model_copy(update={"unknown_architecture": "try"})
    assert openvino.preflight(tries, survey(model_type="rwkv")) == ()
    assert "transformers-5.0" in openvino.preflight(tries, survey(model_type="gemma2"))[0]  # a list has it, with another toolchain


def test_the_default_for_unknown_architectures_is_in_no_key() -> None:
    assert "unknown_architecture" not in build(weights="int8").model_dump()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (
            {"model_type": "rwkv"},
            "no export of models of type rwkv for text generation has been shown to work with optimum-intel 2.1; "
            "with `unknown_architecture: try` the build tries it",
        ),
        (
            {"model_type": "gemma2"},
            "optimum-intel 2.1 makes models of type gemma2 with the toolchain transformers-5.0 or transformers-4.57, not with "
            "transformers-5.5: write `toolchain: transformers-5.0` into the recipe",
        ),
        (
            {"torch_dtype": "float64"},
            "config.json says that the weights are float64; bfloat16, float16, float32 can be exported",
        ),
        ({"dtype": "F8_E4M3"}, "the checkpoint has weights in F8_E4M3; F32, F16 and BF16 can be exported"),
    ],
)
def test_a_checkpoint_that_cannot_be_exported_is_refused(changed: dict[str, Any], reason: str) -> None:
    assert openvino.preflight(build(weights="int8"), survey(**changed)) == (reason,)


# What optimum-intel's TasksManager has for text generation, with the releases of transformers that its configurations name.
KNOWN = """
import optimum.exporters.openvino, transformers
from optimum.exporters.tasks import TasksManager
from packaging.version import Version
here = Version(transformers.__version__)
for name, backends in TasksManager._SUPPORTED_MODEL_TYPE.items():
    config = backends.get("openvino", {}).get("text-generation-with-past")
    least, most = (getattr(getattr(config, "func", config), f"{end}_TRANSFORMERS_VERSION", None) for end in ("MIN", "MAX"))
    if config and (not least or here >= Version(str(least))) and (not most or here <= Version(str(most))):
        print(name)
"""
# Types that it exports and that are no decoders, or parts of models of other kinds.
OTHER_KINDS = {
    *("bart", "bigbird_pegasus", "blenderbot", "blenderbot-small", "marian", "mbart", "pegasus"),
    *("llava-qwen2", "maira2", "qwen3_omni_moe_talker_text", "qwen3_omni_moe_text", "qwen3_vl_text"),
}


@pytest.mark.model
@pytest.mark.parametrize("name", sampling.cases(NAMES, ("transformers-5.5", "transformers-5.0")))
def test_the_exporter_knows_every_type_that_is_let_through_and_no_other(name: Name) -> None:
    wheels = installed_toolchain(name)
    environment = os.environ | ({"PYTHONPATH": str(wheels)} if wheels else {})
    done = subprocess.run([sys.executable, "-c", KNOWN], env=environment, capture_output=True, text=True, check=True)
    let_through = {kind for kind, works in openvino_types.known().items() if name in works}
    assert set(done.stdout.split()) - OTHER_KINDS == let_through


@pytest.mark.parametrize(
    ("role", "quantization", "measured"),
    [
        ("config", {"weights": "int8"}, 8_400_000_000),
        ("model", {"weights": "int4", "symmetric": True, "ratio": 0.6}, 10_600_000_000),
    ],
)
def test_memory_is_estimated_to_within_a_tenth_of_what_was_measured_on_phi3(role: str, quantization: dict[str, Any], measured: int) -> None:
    assert openvino.estimate(steps(**quantization)[role], PHI3).memory_bytes == pytest.approx(measured, rel=0.1)


def test_disk_is_estimated_from_the_precision() -> None:
    disk = {
        weights: openvino.estimate(steps(weights=weights)["model"], PHI3).disk_bytes / PHI3.parameters
        for weights in ("fp32", "fp16", "int8", "int4")
    }
    assert disk == {"fp32": 4, "fp16": 2, "int8": pytest.approx(1, abs=0.001), "int4": pytest.approx(0.54, abs=0.03)}


@pytest.mark.parametrize("scope", [{"names": ("__module.model.layers.0.down/ov_ext::linear/MatMul",)}, {"patterns": (r".*\.down/",)}])
def test_layers_that_are_kept_in_8_bits_are_in_the_estimate(scope: dict[str, Any]) -> None:
    plain, kept = (
        openvino.estimate(steps(weights="int4", group_size=32, **more)["model"], PHI3).disk_bytes for more in ({}, {"backup_scope": scope})
    )
    (layer,) = [tensor for tensor in PHI3.tensors if tensor.name == "model.layers.0.down.weight"]
    layers = 1 if "names" in scope else sum(".down." in tensor.name for tensor in PHI3.tensors)
    grows = layers * math.prod(layer.shape) * (1 - 0.5 - 2.5 / 32)
    assert kept - plain == pytest.approx(grows, rel=0.01)


def test_a_reference_takes_more_memory_in_float32() -> None:
    step = reference.step("a", CHECKPOINT, [])
    small = survey()
    assert reference.estimate(step, small).memory_bytes == 800_000_000 + 6 * small.parameters
    assert reference.estimate(step, PHI3).memory_bytes == 800_000_000 + 2 * PHI3.parameters
