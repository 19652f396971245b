from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from inline_snapshot import snapshot

from bakehouse.errors import Failure
from bakehouse.executor.listen import Progress
from bakehouse.executor.session import Session
from bakehouse.stages import convert
from bakehouse.steps.step import Step
from bakehouse.store import clone, files
from bakehouse.store.package_files import MANIFEST
from bakehouse.store.store import Store
from tests.support import small_disk
from tests.support.bench import Bench
from tests.support.fakes import WRITES_A_FILE, FakeMaker, step
from tests.support.systems import not_on_windows


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(Store(tmp_path / "artifacts"))


def _leavings(store: Store) -> list[str]:
    return sorted(path.name for path in (store.root / ".staging").glob("*"))


def test_a_made_step_is_there_with_its_record_and_its_log(session: Session) -> None:
    one = step(bits=4)
    convert.run(one, FakeMaker("result(speed=3)\nprint('hello')\n" + WRITES_A_FILE), session)
    record = session.store.record(one)
    assert session.store.has(one)
    assert record is not None
    assert (record.kind, record.label, record.key, record.options) == ("compress", "fake-int4", one.key, {"bits": 4})
    assert [file.path for file in record.files] == ["made.txt"]
    assert record.facts == {"speed": 3}
    assert record.measured == {"seen": ["made.txt"]}
    assert "hello" in session.store.log(one).read_text()
    assert _leavings(session.store) == []


def test_the_record_shows_the_command_without_this_machine_in_it(session: Session) -> None:
    one = step(bits=4)
    convert.run(one, FakeMaker(), session)
    record = session.store.record(one)
    assert record is not None
    assert record.ran[0].argv[0] == "python"
    assert str(session.store.root) not in record.model_dump_json()


def test_what_is_there_is_not_made_again(session: Session) -> None:
    one = step(bits=4)
    convert.run(one, FakeMaker(), session)
    convert.run(one, FakeMaker("raise SystemExit('made again')"), session)
    assert (session.store.files(one) / "made.txt").read_text() == "made"


def test_a_failed_child_leaves_its_log_in_failed_and_nothing_in_the_store(session: Session) -> None:
    one = step(bits=4)
    with pytest.raises(Failure) as caught:
        convert.run(one, FakeMaker("(files / 'half').write_text('x' * 10)\nprint('oh no')\nsys.exit(1)"), session)
    failed = session.store.failed(one)
    assert caught.value.where == "compress of fake-int4"
    assert caught.value.details[-1] == f"log: {failed / 'log.txt'}"
    assert "oh no" in (failed / "log.txt").read_text()
    assert not session.store.has(one)
    assert not (failed / "files").exists()
    assert _leavings(session.store) == []


def test_what_is_found_wanting_is_kept_as_evidence_and_never_committed(session: Session) -> None:
    one = step(bits=4)
    with pytest.raises(Failure) as caught:
        convert.run(one, FakeMaker(faults=("weights are int8, should be int4",)), session)
    failed = session.store.failed(one)
    assert str(caught.value) == (
        "compress of fake-int4: The artifact is not what the recipe requests.\n"
        "    weights are int8, should be int4\n"
        f"    evidence: {failed}\n"
        "  what to do: Change the recipe, or look at the evidence if you think that the recipe is right."
    )
    assert (failed / "files" / "made.txt").read_text() == "made"
    assert "weights are int8" in (failed / "verdict.json").read_text()
    assert not session.store.has(one)


def test_a_later_failure_replaces_the_leavings_of_an_earlier_one(session: Session) -> None:
    one = step(bits=4)
    for fault in ("first", "second"):
        with pytest.raises(Failure):
            convert.run(one, FakeMaker(faults=(fault,)), session)
    assert "second" in (session.store.failed(one) / "verdict.json").read_text()


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: os.truncate(path, 1),
        lambda path: path.write_text("mode"),
        lambda path: path.unlink(),
        lambda path: (path.parent / "extra").write_text("?"),
    ],
    ids=["truncated", "flipped", "missing", "added"],
)
def test_a_damaged_step_is_noticed_and_made_again_and_the_damaged_one_is_kept(session: Session, harm: object) -> None:
    one = step(bits=4)
    convert.run(one, FakeMaker(), session)
    path = session.store.files(one) / "made.txt"
    path.chmod(0o644)
    harm(path)  # type: ignore[operator]
    assert not session.store.has(one)
    convert.run(one, FakeMaker(), session)
    assert session.store.has(one)
    assert path.read_text() == "made"
    assert (session.store.failed(one) / "manifest.json").exists()


def test_a_directory_without_its_record_is_not_a_step(session: Session) -> None:
    one = step(bits=4)
    session.store.files(one).mkdir(parents=True)
    (session.store.files(one) / "made.txt").write_text("partial")
    assert not session.store.has(one)
    convert.run(one, FakeMaker(), session)
    assert session.store.has(one)


def test_a_step_with_an_unreadable_record_is_made_again_and_the_damaged_one_is_kept(session: Session) -> None:
    one = step(bits=4)
    convert.run(one, FakeMaker(), session)
    (session.store.folder(one) / "manifest.json").write_text("{")
    assert session.store.record(one) is None
    assert session.store.damage(one) == snapshot(("manifest.json cannot be read",))
    convert.run(one, FakeMaker(), session)
    assert session.store.has(one)
    assert (session.store.failed(one) / "manifest.json").read_text() == "{"


@pytest.mark.whole
def test_a_killed_build_leaves_nothing_behind_that_counts_and_a_download_goes_on(session: Session) -> None:
    for kind, expected in (("compress", "fresh"), ("download", "went on")):
        one = step(kind)
        slow = "(files / 'part').write_text('x'); (files / 'part').chmod(0o444); (Path('started')).touch(); time.sleep(600)"
        run = (
            "from pathlib import Path; from bakehouse.executor.session import Session; from bakehouse.store.store import Store; "
            "from bakehouse.stages import convert; from tests.support.fakes import FakeMaker, step; "
            f"convert.run(step({kind!r}), FakeMaker({slow!r}), Session(Store(Path({str(session.store.root)!r}))))"
        )
        process = subprocess.Popen([sys.executable, "-c", run], cwd=Path(__file__).parents[2])
        while not list((session.store.root / ".staging").glob("*/scratch/started")):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
        process.wait()
        assert not session.store.has(one)
        goes_on = (
            "part = files / 'part'; writable = part.exists() and part.stat().st_mode & 0o200; "
            "(files / 'made.txt').write_text('went on' if writable else 'fresh')"
        )
        convert.run(one, FakeMaker(goes_on), session)
        assert (session.store.files(one) / "made.txt").read_text() == expected


@not_on_windows("what kills it is a signal")
def test_a_run_killed_before_any_file_operation_leaves_nothing_half_made(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "tests.support.kill_everywhere", str(tmp_path)]
    done = subprocess.run(argv, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30


def test_the_second_of_two_at_one_step_waits_and_finds_the_work_done(session: Session) -> None:
    one, said = step(bits=4), []
    second = Session(session.store, tell=lambda _, progress: said.append(progress))
    first = threading.Thread(target=convert.run, args=(one, FakeMaker("(files / 'made.txt').write_text('made'); time.sleep(0.5)"), session))
    first.start()
    while not list((session.store.root / ".staging").glob("*/files")):
        time.sleep(0.01)
    convert.run(one, FakeMaker("raise SystemExit('made twice')"), second)
    first.join()
    assert said == [Progress("waiting for another run that is at this step")]
    assert session.store.has(one)


def _package(session: Session, text: str) -> Step:
    one = step("package", text=text)
    model, manifest = (f"(files / {name!r}).write_text({text!r})" for name in ("below/model.bin", MANIFEST))
    convert.run(one, FakeMaker(f"(files / 'below').mkdir(); {model}; {manifest}"), session)
    return one


def test_a_package_has_files_of_its_own_that_may_be_edited_and_the_store_stays_as_it_was(session: Session) -> None:
    one = _package(session, "first")
    session.store.expose(one, "fake-int4", lambda: None)
    package = session.store.package("fake-int4")
    assert not package.is_symlink()
    assert {path.stat().st_nlink for path in files.walk(package)} == {1}  # onnx.load refuses more
    assert session.store.is_exposed(one, "fake-int4")
    (package / "below" / "model.bin").write_text("tsrif")
    assert not session.store.is_exposed(one, "fake-int4")
    assert not session.store.damage(one, thorough=True)
    session.store.expose(one, "fake-int4", lambda: None)
    assert session.store.is_exposed(one, "fake-int4")
    assert (package / "below" / "model.bin").read_text() == "first"


def test_a_package_made_again_takes_the_place_of_one_with_files_of_the_same_sizes(session: Session) -> None:
    first, third = _package(session, "first"), _package(session, "third")
    session.store.expose(first, "fake-int4", lambda: None)
    assert not session.store.is_exposed(third, "fake-int4")


def test_what_is_copied_out_of_the_store_is_hashed_on_its_way(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clone, "_FICLONE", 0)  # what shares its blocks is not read
    one = _package(session, "first")
    path = session.store.files(one) / "below" / "model.bin"
    path.chmod(0o644)
    path.write_text("worse")
    files.seal(path.parent)  # as bits that rotted: neither size nor time tells
    with pytest.raises(Failure, match=r"^package of fake-int4: below/model\.bin in the store has changed\.\n.*`bakehouse check fake-int4`"):
        session.store.expose(one, "fake-int4", lambda: None)
    assert not session.store.package("fake-int4").exists()
    assert _leavings(session.store) == []


def test_a_disk_that_fills_up_during_a_copy_is_reported_and_leaves_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    program = (
        "import sys; from pathlib import Path; from bakehouse.errors import Failure; from bakehouse.store.store import Store\n"
        "from tests.support.fakes import put, step\n"
        "one, store = step('package'), Store(Path(sys.argv[1]))\n"
        "put(one, store, model_bin='x' * 600_000)\n"
        "try: store.expose(one, 'fake-int4', lambda: None)\n"
        "except Failure as failure: print(failure)\n"
        "print(sorted(path.name for folder in ('.staging', 'packages') for path in (store.root / folder).glob('*')), store.has(one))"
    )
    with small_disk.mounted(bench.artifacts, 1) as disk:
        argv = [*disk.prefix, sys.executable, "-c", program, str(bench.artifacts)]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert re.sub(r"\d+ MB", "N MB", done.stdout) == snapshot(
        """\
packages/fake-int4: The disk is full: N MB were written, and N MB are free now.
  what to do: Free space (`bakehouse prune` removes what no recipe uses) or set PIPELINE_ARTIFACTS to a larger disk, and run it again.
[] True
"""
    )


def test_a_newer_package_takes_the_place_of_the_older_one_and_back(session: Session) -> None:
    first, second = _package(session, "first"), _package(session, "second")
    for one, text in ((first, "first"), (second, "second"), (first, "first")):
        session.store.expose(one, "fake-int4", lambda: None)
        assert (session.store.package("fake-int4") / "below" / "model.bin").read_text() == text
        assert session.store.is_exposed(one, "fake-int4")
    assert not session.store.is_exposed(second, "fake-int4")
    assert _leavings(session.store) == []


@pytest.mark.parametrize("at", range(1, 5))
@not_on_windows("it takes itself for macOS, whose files are open otherwise")
def test_where_names_cannot_be_exchanged_a_kill_between_the_renames_costs_no_package(
    session: Session, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    first, second, third = (_package(session, text) for text in ("first", "second", "third"))
    session.store.expose(first, "fake-int4", lambda: None)
    rename, done = Path.rename, []

    def killed(path: Path, target: Path) -> Path:
        done.append(path)
        if len(done) == at:
            raise KeyboardInterrupt
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(files, "sys", SimpleNamespace(platform="darwin"))
        patched.setattr(Path, "rename", killed)
        if at < 4:
            with pytest.raises(KeyboardInterrupt):
                session.store.expose(second, "fake-int4", lambda: None)
        else:
            session.store.expose(second, "fake-int4", lambda: None)
            assert len(done) == 3
    (session.store.files(third) / "below").rename(session.store.files(third) / "elsewhere")  # so that the next one fails half way
    (session.store.files(third) / "link").symlink_to(session.store.root)
    with pytest.raises(ValueError, match="neither a regular file nor a folder"):
        session.store.expose(third, "fake-int4", lambda: None)
    assert session.store.is_exposed(first if at < 3 else second, "fake-int4")
    monkeypatch.setattr(files, "sys", SimpleNamespace(platform="darwin"))
    for one in (second, first):
        session.store.expose(one, "fake-int4", lambda: None)
        assert session.store.is_exposed(one, "fake-int4")
    assert _leavings(session.store) == []


def test_a_stray_file_in_a_package_is_noticed(session: Session) -> None:
    one = _package(session, "first")
    session.store.expose(one, "fake-int4", lambda: None)
    (session.store.package("fake-int4") / "notes.txt").write_text("mine")
    assert not session.store.is_exposed(one, "fake-int4")


def test_an_artifacts_folder_that_cannot_be_written_is_a_failure_that_names_the_variable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Failure) as caught:
        convert.run(step(), FakeMaker(), Session(Store(tmp_path / "file" / "artifacts")))
    why = str(caught.value).partition(" cannot be used: ")[2].partition(".")[0]  # the system's own words
    assert why and str(caught.value) == (
        f"The artifacts folder {tmp_path / 'file' / 'artifacts'} cannot be used: {why}.\n"
        "  what to do: Set PIPELINE_ARTIFACTS to a folder that can be written."
    )


def test_the_artifacts_folder_tells_backups_and_git_to_leave_it_out(session: Session) -> None:
    convert.run(step(), FakeMaker(), session)
    assert (session.store.root / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")
    assert (session.store.root / ".gitignore").read_text() == "*\n"
