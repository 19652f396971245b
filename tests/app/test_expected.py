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
        _took(store, compress, seconds)
    return compress


def _took(store: Store, made: Step, seconds: float) -> None:
    """Write into the record of a step how long its program ran."""
    record = store.record(made)
    assert record
    path = store.folder(made) / "manifest.json"
    path.parent.chmod(0o755)
    path.chmod(0o644)
    ran = Ran(argv=("program",), seconds=seconds, peak_memory_bytes=0)
    path.write_text(record.model_copy(update={"ran": (ran,)}).model_dump_json(), encoding="utf-8")


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


def chain(store: Store, *, size: int, seconds: float | None) -> tuple[Step, Step, Step]:
    """An export, and two steps that read it; made, if in so many seconds."""
    export = step("export", "model", size=size, seconds=seconds)
    if not store.has(export):
        put(export, store, model_bin="x" * size)
    compress = step("compress", "model-int4", needs=(("export", export),))
    validate = step("validate", "model-int4", needs=(("model", compress),))
    if seconds is not None:
        for one in (compress, validate):
            put(one, store, model_bin="x" * (size // 2))
            _took(store, one, seconds)
    return export, compress, validate


def test_the_rest_of_a_run_is_what_its_steps_took_before(tmp_path: Path) -> None:
    store = Store(tmp_path)
    chain(store, size=100, seconds=10.0)
    _, compress, validate = chain(store, size=400, seconds=None)
    expected = Expected(store)
    # The second reads half of what the first reads, and took twice as long for a byte.
    assert expected.left((compress, validate), {}, 1) == pytest.approx(80.0)
    assert expected.left((compress, validate), {compress.key: 15.0}, 1) == pytest.approx(65.0)
    assert expected.left((compress, validate), {}, 2) == pytest.approx(80.0), "one waits for the other"
    other = step("compress", "model-int8", needs=compress.needs)
    assert expected.left((compress, other), {}, 1) == pytest.approx(80.0)
    assert expected.left((compress, other), {}, 2) == pytest.approx(40.0)


def test_the_rest_of_a_run_is_not_known_by_half(tmp_path: Path) -> None:
    store = Store(tmp_path)
    chain(store, size=100, seconds=10.0)
    _, compress, validate = chain(store, size=400, seconds=None)
    expected = Expected(store)
    assert expected.left((step("download", "tiny"), compress, validate), {}, 1) is None
    assert expected.left((compress, step("tokenizer", "tiny", needs=compress.needs)), {}, 1) is None
    assert expected.left((compress, validate), {compress.key: 41.0}, 1) is None, "it takes longer than ever before"
    assert expected.left((), {}, 1) is None


def test_what_starts_no_program_takes_no_time(tmp_path: Path) -> None:
    store = Store(tmp_path)
    _, compress, _ = chain(store, size=100, seconds=10.0)
    put(step("package", "old", needs=(("model", compress),)), store)
    _, new, _ = chain(store, size=400, seconds=None)
    assert Expected(store).left((new, step("package", "new", needs=(("model", new),))), {}, 1) == pytest.approx(40.0)
