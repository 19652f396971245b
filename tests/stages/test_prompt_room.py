"""A golden prompt that the runtime has no room for is known before the work, with its number of tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.backends.base import Room
from bakehouse.backends.openvino.options import OpenVINO
from bakehouse.backends.table import BACKENDS
from bakehouse.errors import Failure
from bakehouse.executor.session import Session
from bakehouse.stages import preflight, prompt_room
from bakehouse.store.store import Store
from bakehouse.tasks.text_generation.golden import Golden
from tests.backends.openvino_npu.test_backend import build as npu
from tests.support import cases, ort_making
from tests.support.bench import Bench
from tests.support.fakes import planned

pytestmark = pytest.mark.needs_backend("onnxruntime_genai", "openvino", "openvino_npu")

PHI3 = {"model_type": "phi3", "max_position_embeddings": 4096, "num_hidden_layers": 2, "sliding_window": 2047}


def test_the_room_is_what_the_package_will_claim() -> None:
    ort = BACKENDS["onnxruntime-genai"]
    cpu, dml = (ort.room_for(one, PHI3) for one in (ort_making.build(weights="fp32"), ort_making.build("dml", weights="fp16")))
    assert cpu and dml
    assert (cpu.together, cpu.reason) == (4096, "")
    assert (dml.together, dml.reason[:36]) == (2047, "DirectML's attention does not know t")
    plain = OpenVINO.model_validate({"runtime": "openvino", "quantization": {"weights": "fp16"}})
    assert BACKENDS["openvino"].room_for(plain, PHI3) is None
    graphs = BACKENDS["openvino-npu"].room_for(npu(), PHI3)
    assert graphs
    assert (graphs.prompt, graphs.together) == (128, 192)


@pytest.mark.parametrize(("prompt", "answer", "fits"), [(10, 10, True), (10, 11, False), (16, 1, False)])
def test_prompt_and_answer_have_to_fit_together(prompt: int, answer: int, fits: bool) -> None:
    assert prompt_room.fits(Room(20, "shorten it", prompt=15), prompt, answer) is fits


def test_a_short_prompt_is_not_counted_where_there_is_room_for_every_byte_of_it() -> None:
    chat = Golden.model_validate({"prompt": "What is the capital of France?", "matches": ".", "max_new_tokens": 32})
    assert prompt_room.fits(Room(192, "shorten it", prompt=128), prompt_room.most(chat), 32)
    long = Golden.model_validate({"raw": "é" * 64, "matches": ".", "max_new_tokens": 32})
    assert not prompt_room.fits(Room(192, "shorten it", prompt=128), prompt_room.most(long), 32)


def test_what_does_not_fit_is_reported_with_its_numbers_and_the_reason() -> None:
    cut = Room(2047, "shorten it", reason="DirectML's attention does not know the model's sliding window.")
    assert prompt_room.too_long(2, 3000, 64, cut) == snapshot(
        "golden prompt 2 has 3,000 tokens and its answer may have 64 (max_new_tokens), and the model takes 2,047 together "
        "(DirectML's attention does not know the model's sliding window): shorten it"
    )
    assert prompt_room.too_long(1, 16, 1, Room(20, "shorten it", prompt=15)) == snapshot(
        "golden prompt 1 has 16 tokens, and the model takes prompts of at most 15: shorten it"
    )


@pytest.mark.model
def test_a_prompt_beyond_the_context_is_refused_before_the_work(tmp_path: Path) -> None:
    bench = cases.place(Bench(tmp_path), "rope-dynamic")  # of a context of 64
    builds = planned(bench.recipes, cases.recipe("rope-dynamic")).builds
    session = Session(Store(tmp_path / "artifacts"))
    with pytest.raises(Failure) as caught:
        preflight.check([build for build in builds if build.name.endswith("-ort")], session)
    [reason] = caught.value.details
    assert reason.startswith("rope-dynamic-ort: golden prompt 1 has 338 tokens and its answer may have 6 ")
    assert reason.endswith("(max_new_tokens), and the model takes 64 together: shorten it, or give it a smaller max_new_tokens")
    preflight.check([build for build in builds if build.name.endswith("-ov")], session)  # which computes any length
