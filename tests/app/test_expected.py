"""How long a step may take: only what records of its kind say, scaled by what it reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakehouse.app.expected import Expected
from bakehouse.records import Ran
from bakehouse.steps.step import Step
from bakehouse.store.store import Store
from tests.support.fakes import put, step


def made(store: Store, size: int, seconds: float | None = None) -> Step:
    """A step that reads so many bytes; made in so many seconds, if at all."""
    export = step("export", "model", size=size, seconds=seconds)
    if not store.has(export):
        put(export, store, model_bin="x" * size)
    compress = step("compress", "model-int4", needs=(("export", export),))
    if seconds is not None:
        put(compress, store)
        record = store.record(compress)
        assert record
        path = store.folder(compress) / "manifest.json"
        path.parent.chmod(0o755)
        path.chmod(0o644)
        ran = Ran(argv=("program",), seconds=seconds, peak_memory_bytes=0)
        path.write_text(record.model_copy(update={"ran": (ran,)}).model_dump_json(), encoding="utf-8")
    return compress


def test_a_time_is_scaled_by_the_bytes_that_are_read(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for size, seconds in ((100, 10.0), (200, 20.0), (100, 500.0)):  # the machine was busy once
        made(store, size, seconds)
    assert Expected(store).seconds(made(store, 300)) == pytest.approx(30.0)


def test_nothing_is_expected_without_a_record_of_its_kind(tmp_path: Path) -> None:
    store = Store(tmp_path)
    new = made(store, 300)
    assert Expected(store).seconds(new) is None
    made(store, 100, 10.0)
    assert Expected(store).seconds(step("download", "tiny")) is None
    assert Expected(store).seconds(step("validate", "tiny", needs=new.needs)) is None
