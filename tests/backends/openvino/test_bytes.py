"""One export, then any precision: openvino_model.bin has the bytes that `optimum-cli export openvino` makes for the same options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support import sampling
from tests.support.openvino_making import make, run_upstream, sha256, steps

pytestmark = pytest.mark.model

INT4 = {"weights": "int4", "symmetric": True, "group_size": 128, "ratio": 0.6}
CHANNELWISE = {"weights": "int4", "symmetric": True, "group_size": -1, "ratio": 1.0, "backup_precision": "int8_sym"}
ON_TINY: dict[str, dict[str, Any]] = {
    "fp32": {"weights": "fp32"},
    "fp16": {"weights": "fp16"},
    "int8": {"weights": "int8"},
    "int8 symmetric": {"weights": "int8", "symmetric": True},
    "int4 group 128 ratio 0.6": INT4,
    "int4 channel-wise": CHANNELWISE,
    "int4 asymmetric group 64 all layers, awq": {"weights": "int4", "group_size": 64, "all_layers": True, "awq": True},
    "nf4, the rest as it is": {"weights": "nf4", "group_size": 64, "backup_precision": "none"},
    "mxfp4": {"weights": "mxfp4", "ratio": 0.8},
}
SAMPLED = ("fp16", "int8", "int4 group 128 ratio 0.6", "int4 channel-wise", "nf4, the rest as it is")


@pytest.fixture(scope="module")
def tiny(request: pytest.FixtureRequest, tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """The model folders of every quantization, ours and upstream's."""
    folder = tmp_path_factory.mktemp("tiny")
    wanted = sampling.made(request, ON_TINY, SAMPLED)
    run_upstream(tiny_checkpoint, {folder / "upstream" / name: quantization for name, quantization in wanted.items()})
    export = make(steps(**INT4)["config"], folder / "export", checkpoint=tiny_checkpoint)
    assert export.verification.faults == ()
    made = {}
    for name, quantization in wanted.items():
        ours = make(steps(**quantization)["model"], folder / name, export=export.files)
        assert ours.verification.faults == ()
        made[name] = (ours.files, folder / "upstream" / name)
    return made


@pytest.mark.parametrize("name", sampling.cases(ON_TINY, SAMPLED))
def test_the_weights_of_a_tiny_model_are_upstreams_bytes(name: str, tiny: dict[str, tuple[Path, Path]]) -> None:
    ours, upstreams = tiny[name]
    assert sha256(ours / "openvino_model.bin") == sha256(upstreams / "openvino_model.bin")


def test_no_two_quantizations_make_the_same_bytes(tiny: dict[str, tuple[Path, Path]]) -> None:
    assert len({sha256(ours / "openvino_model.bin") for ours, _ in tiny.values()}) == len(tiny)


def test_the_tokenizers_are_upstreams_bytes(tiny: dict[str, tuple[Path, Path]], tiny_checkpoint: Path, tmp_path: Path) -> None:
    made = make(steps(**INT4)["tokenizer"], tmp_path / "tokenizer", checkpoint=tiny_checkpoint)
    upstreams = tiny["int8"][1]
    same = {path.name: sha256(path) == sha256(upstreams / path.name) for path in made.files.iterdir() if path.suffix != ".xml"}
    assert set(same) >= {
        "openvino_tokenizer.bin",
        "openvino_detokenizer.bin",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
    }
    assert all(same.values())
