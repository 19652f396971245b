"""Steps that run side by side find memory for both, or one waits; what they map of the same file counts once."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.backends.openvino import backend as openvino
from bakehouse.executor.listen import Progress
from bakehouse.executor.session import Room, Session
from bakehouse.stages import dispatch
from bakehouse.steps.step import Step
from bakehouse.store.store import Store
from tests.support.fakes import put
from tests.support.openvino_making import CHECKPOINT, steps
from tests.support.surveys import PHI3

pytestmark = pytest.mark.needs_backend("openvino")

GB = 10**9


def holding(store: Store) -> None:
    """Put a checkpoint of one matrix of a thousand by a thousand there: its header, and of its weights nothing."""
    header = json.dumps({"up": {"dtype": "BF16", "shape": [1000, 1000], "data_offsets": [0, 0]}})
    start = len(header).to_bytes(8, "little").decode("latin-1")
    put(CHECKPOINT, store, config_json="{}", model_safetensors=start + header)


def test_a_step_waits_for_memory_that_another_has(tmp_path: Path) -> None:
    doing, inside, leave = list[str](), threading.Event(), threading.Event()

    def tell(step: Step, progress: Progress) -> None:
        doing.append(progress.doing)
        leave.set()

    session = Session(Store(tmp_path), tell=tell, room=Room(lambda: GB))
    holding(session.store)

    def other() -> None:
        with session.room.hold(GB - 1, lambda: None):
            inside.set()
            leave.wait(10)

    running = threading.Thread(target=other)
    running.start()
    inside.wait(10)
    with dispatch.room(steps(weights="int8")["config"], session):
        assert doing == snapshot(["waiting until it has memory next to what runs"])
    running.join(10)


def test_a_step_whose_checkpoint_is_not_here_takes_no_room(tmp_path: Path) -> None:
    session = Session(Store(tmp_path), room=Room(lambda: 0))
    with session.room.hold(GB, lambda: None), dispatch.room(steps(weights="int8")["model"], session):
        pass


def test_two_compressions_of_phi3_run_in_24_gb_at_once_next_to_other_work() -> None:
    made = [steps(weights="fp16"), steps(weights="int8"), steps(weights="int4", group_size=128, ratio=0.6)]
    takes = [openvino.estimate(parts["model"], PHI3) for parts in made]
    own = sorted(one.memory_bytes - one.mapped_bytes for one in takes)
    assert sum(own[-2:]) < 9 * GB
