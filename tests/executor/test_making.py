"""What is written down of a command: its words and what its worker was given, without this machine in either."""

from __future__ import annotations

import json
from pathlib import Path

from bakehouse.executor.session import Session
from bakehouse.recipe.calibration import CalibrationFile
from bakehouse.records import Ran
from bakehouse.sources import calibration, local
from bakehouse.stages import convert
from bakehouse.store.store import Store


def test_the_record_has_what_the_worker_was_given_without_this_machine_in_it(tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "texts.txt").write_text("A sample.\n", encoding="utf-8")
    source = CalibrationFile(type="file", path="texts.txt")
    fingerprint = local.fingerprint(tmp_path / "recipes" / "texts.txt", tmp_path / "cache.json")
    step = calibration.samples(source, "tiny", local.Content(tmp_path / "recipes" / "texts.txt", fingerprint))
    session = Session(Store(tmp_path / "artifacts"))
    convert.run(step, calibration, session)
    record = session.store.record(step)
    assert record is not None
    (ran,) = record.ran
    assert ran.argv == ("python", "-m", "bakehouse.sources.workers.copy_local")
    assert ran.request == {"path": "SOURCE", "name": "samples.txt", "files": "OUT/files"}
    assert str(tmp_path) not in record.model_dump_json()


def test_a_command_without_a_request_is_written_as_by_older_versions() -> None:
    old = {"argv": ["python", "-m", "x"], "upstream": "", "seconds": 1.0, "peak_memory_bytes": 1}
    assert json.loads(Ran.model_validate_json(json.dumps(old)).model_dump_json()) == old
