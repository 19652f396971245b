"""A package that was built is run in its real runtime, as its validation ran it."""

from __future__ import annotations

from contextlib import closing

import pytest

from bakehouse.backends.base import Device
from bakehouse.errors import Failure
from bakehouse.inference import runner
from bakehouse.inference.found import find
from bakehouse.inference.runner import Runner
from bakehouse.tasks.text_generation.workers.jobs import Answered, Job
from tests.support.bench import Bench
from tests.support.lanes import Lane

pytestmark = pytest.mark.model
ELSEWHERE: dict[str, Device] = {"openvino-npu": "CPU"}  # where a machine without the device can show it


def answer(running: Runner, job: Job) -> tuple[str, Answered]:
    *pieces, last = running.stream(job)
    assert isinstance(last, Answered)
    return "".join(str(piece) for piece in pieces), last


def test_a_package_answers_as_its_validation_did_and_can_be_stopped_cut_and_measured(lane: Lane, baked: Bench) -> None:
    found = find(lane.name, baked.artifacts / "packages")
    if lane.runtime == "intel-npu-acceleration-library":
        with pytest.raises(Failure, match="would run code of the package"), runner.opened(found):
            pass
        return
    validation = found.manifest.validation
    verdict = (validation.in_use or validation).verdicts[0]
    messages = ({"role": "user", "content": verdict.prompt},)
    with runner.opened(found, ELSEWHERE.get(lane.runtime)) as running:
        text, answered = answer(running, Job(messages=messages, max_new_tokens=32))
        assert (text, answered.tokens, answered.finish) == (verdict.answer, len(verdict.tokens), "stop")
        assert answered.peak_memory_bytes > 0 and answered.first_token_s > 0
        assert answer(running, Job(messages=messages, max_new_tokens=2))[1].finish == "length"
        assert answer(running, Job(messages=messages, max_new_tokens=32, stop=("Paris",)))[0] == text.partition("Paris")[0]
        sampled = [answer(running, Job(messages=messages, max_new_tokens=8, temperature=2.0, seed=5))[0] for _ in range(2)]
        assert sampled[0] == sampled[1]
        measured = answer(running, Job(max_new_tokens=12, filler_tokens=40, filler_variant=3))[1]
        assert (measured.prompt_tokens, measured.tokens) == (40, 12)
        with closing(running.stream(Job(max_new_tokens=20, filler_tokens=5))) as stream:
            next(stream)
        assert answer(running, Job(messages=messages, max_new_tokens=32))[0] == text


@pytest.mark.needs_backend("openvino_npu")
def test_a_package_for_the_npu_says_where_it_runs(lane: Lane, baked: Bench) -> None:
    if lane.runtime == "openvino-npu":
        with (
            pytest.raises(Failure, match="OpenVINO finds none on this machine"),
            runner.opened(find(lane.name, baked.artifacts / "packages")),
        ):
            pass
