"""The store that machines share, in a folder and on a real S3 server: what it gives is whole or an error, and without it work goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.app.workspace import open_workspace
from bakehouse.errors import Failure
from bakehouse.executor.process import Children
from bakehouse.executor.session import Session
from bakehouse.executor.shared_store import Remote
from bakehouse.executor.workers import remote_store
from bakehouse.stages import convert
from bakehouse.steps.maker import Command
from bakehouse.steps.step import Step
from bakehouse.store.store import Store
from tests.support import published, s3, worker
from tests.support.bench import Bench, ran, recipe
from tests.support.fakes import FakeMaker, put, step
from tests.support.standin import safetensors
from tests.support.systems import not_on_windows

PROGRAM = (
    "(files / 'below').mkdir(); (files / 'below' / 'model.bin').write_bytes(b'weights' * 100000); (files / 'made.txt').write_text('made')"
)


@pytest.fixture(scope="module")
def server() -> Iterator[s3.Server]:
    with s3.serve() as running:
        yield running


class Machine:
    """A machine with a store of its own that shares a remote; what it said, but for that it asks."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        self.store = Store(folder)
        self.remote = Remote(self.store, Children(), environ, self.said.append)

    def make(self, one: Step, program: str = PROGRAM) -> None:
        convert.run(one, FakeMaker(program), Session(self.store))
        self.remote.keep(one)

    def supply(self, *steps: Step) -> None:
        self.remote.supply(steps, lambda line: (self.asked if line.startswith("asking ") else self.said).append(line))


@pytest.fixture(params=["folder", "s3"])
def environ(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Both kinds of remote, empty."""
    if request.param == "folder":
        return {"PIPELINE_REMOTE": f"file://{tmp_path}/shared"}
    server: s3.Server = request.getfixturevalue("server")
    for name in server.names():
        server.request("DELETE", f"/{name}")
    return server.env()


NOWHERE = pytest.param("file:///proc/nothing/here", marks=not_on_windows("no folder there cannot be made"))
WITH_S3_IN_THE_WHOLE_SUITE = pytest.mark.parametrize("environ", ["folder", pytest.param("s3", marks=pytest.mark.whole)], indirect=True)


def _edit(environ: Mapping[str, str], part: str, body: bytes | None) -> str:
    """Overwrite (or delete) whatever in the remote has `part` in its name and is not empty; its name."""
    url = environ["PIPELINE_REMOTE"]
    if url.startswith("file://"):
        (path,) = [path for path in Path(url.removeprefix("file://")).rglob("*") if path.is_file() and part in str(path)]
        path.unlink() if body is None else path.write_bytes(body)
        return str(path)
    server = s3.Server(int(environ["AWS_ENDPOINT_URL"].rpartition(":")[2]))
    (name,) = [name for name in server.names() if part in name]
    server.request("DELETE" if body is None else "PUT", f"/{name}", body)
    return f"{s3.BUCKET}/{name}"


def _digest(machine: Machine, one: Step, path: str) -> str:
    record = machine.store.record(one)
    assert record
    return next(file.sha256 for file in record.files if file.path == path)


def test_what_one_machine_made_another_gets_complete(environ: dict[str, str], tmp_path: Path) -> None:
    one, first, second = step(bits=4), Machine(tmp_path / "a", environ), Machine(tmp_path / "b", environ)
    first.make(one)
    second.supply(one)
    assert second.said == snapshot(["shared   compress of fake-int4, 700 kB"])
    assert second.store.has(one) and not second.store.damage(one, thorough=True)
    assert second.store.record(one) == first.store.record(one)
    second.supply(one)
    assert len(second.said) == 1
    assert second.asked == [f"asking the shared store {environ['PIPELINE_REMOTE']} for what is missing here"]


@pytest.mark.whole
@WITH_S3_IN_THE_WHOLE_SUITE
def test_what_is_brought_hides_what_only_it_needs(environ: dict[str, str], tmp_path: Path) -> None:
    below = step("export", label="fake")
    above = step("compress", needs=(("model", below),))
    first, second = Machine(tmp_path / "a", environ), Machine(tmp_path / "b", environ)
    first.make(below)
    first.make(above)
    second.supply(above)
    assert second.store.has(above) and not second.store.has(below)


@pytest.mark.whole
@pytest.mark.parametrize(
    ("environ", "harm"),
    [
        ("folder", "changed"),
        ("folder", "missing"),
        pytest.param("folder", "truncated", marks=pytest.mark.whole),
        *(pytest.param("s3", harm, marks=pytest.mark.whole) for harm in ("changed", "truncated", "missing")),
    ],
    indirect=["environ"],
)
def test_a_content_with_other_bytes_is_an_error_and_never_comes_into_the_store(environ: dict[str, str], tmp_path: Path, harm: str) -> None:
    one, first, second = step(bits=4), Machine(tmp_path / "a", environ), Machine(tmp_path / "b", environ)
    first.make(one)
    body = {"changed": b"malices" * 100000, "truncated": b"weights" * 99, "missing": None}[harm]
    name = _edit(environ, _digest(first, one, "below/model.bin"), body)
    with pytest.raises(Failure) as caught:
        second.supply(one)
    said = "is missing, although a record names it" if body is None else f"has other bytes ({len(body):,} bytes with the sha256 "
    assert str(caught.value).startswith(f"The shared store is corrupt: {name} {said}")
    assert str(caught.value).endswith("\n  what to do: Delete that object in it, and find out who wrote it.")
    assert not second.store.has(one)


@pytest.mark.whole
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda record: b"{", "cannot be read"),
        (lambda record: b'{"a":' * 100_000, "cannot be read"),
        (lambda record: json.dumps({**record, "key": "\x1b[31m" + "x" * 5000}).encode(), "is that of compress/\\x1b[31mxxx"),
        (lambda record: json.dumps({**record, "options": {"bits": 8}}).encode(), "is about another step"),
        (lambda record: json.dumps({**record, "key": "00" * 32}).encode(), f"is that of compress/{'00' * 32}"),
        (
            lambda record: json.dumps({**record, "files": [{**record["files"][0], "path": "../../evil"}]}).encode(),
            "lists '../../evil', which is not a path within its folder",
        ),
    ],
    ids=["unreadable", "nested", "a long name", "of another step", "of another key", "outside"],
)
def test_a_record_that_is_not_that_of_the_step_is_an_error(tmp_path: Path, change: object, said: str) -> None:
    environ = {"PIPELINE_REMOTE": f"file://{tmp_path}/shared"}
    one, first, second = step(bits=4), Machine(tmp_path / "a", environ), Machine(tmp_path / "b", environ)
    first.make(one)
    record = first.store.record(one)
    assert record
    _edit(environ, one.key, change(json.loads(record.model_dump_json())))  # type: ignore[operator]
    with pytest.raises(Failure) as caught:
        second.supply(one)
    assert str(caught.value).startswith(f"The shared store is corrupt: the record of compress/{one.key} {said}")
    assert not second.store.has(one)
    assert not list(tmp_path.rglob("evil"))


@WITH_S3_IN_THE_WHOLE_SUITE
def test_a_step_whose_record_never_came_is_not_there(environ: dict[str, str], tmp_path: Path) -> None:
    one, first, second = step(bits=4), Machine(tmp_path / "a", environ), Machine(tmp_path / "b", environ)
    first.make(one)
    _edit(environ, one.key, None)
    second.supply(one)
    assert (second.said, second.store.has(one)) == ([], False)


@pytest.mark.whole
@WITH_S3_IN_THE_WHOLE_SUITE
def test_two_writers_of_one_key_leave_one_of_the_two_complete(environ: dict[str, str], tmp_path: Path) -> None:
    one = step(bits=4)
    machines = [Machine(tmp_path / str(number), environ) for number in range(3)]
    for number, machine in enumerate(machines[:2]):  # as a compiler would that gives other bytes each time
        convert.run(
            one, FakeMaker(f"(files / 'a').write_bytes(b'{number}' * 300000); (files / 'b').write_text('{number}')"), Session(machine.store)
        )
    writers = [threading.Thread(target=machine.remote.keep, args=(one,)) for machine in machines[:2]]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    machines[2].supply(one)
    assert machines[2].store.record(one) in [machine.store.record(one) for machine in machines[:2]]
    assert not machines[2].store.damage(one, thorough=True)
    assert [machine.said for machine in machines[:2]] == [[], []]


@pytest.mark.whole
@WITH_S3_IN_THE_WHOLE_SUITE
def test_a_reader_writes_nothing(environ: dict[str, str], tmp_path: Path) -> None:
    one, reader, second = (
        step(bits=4),
        Machine(tmp_path / "a", {**environ, "PIPELINE_REMOTE_MODE": "read"}),
        Machine(tmp_path / "b", environ),
    )
    reader.make(one)
    second.supply(one)
    assert not second.store.has(one)
    second.make(one)
    other = Machine(tmp_path / "c", {**environ, "PIPELINE_REMOTE_MODE": "read"})
    other.supply(one)
    assert other.store.has(one)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        (
            {"PIPELINE_REMOTE_MODE": "readonly"},
            "PIPELINE_REMOTE_MODE: 'readonly' is not a mode.\n  what to do: Set it to read or write, or leave it out for write.",
        ),
        (
            {"PIPELINE_REMOTE": "shared/store"},
            "PIPELINE_REMOTE: It is neither a URL nor an absolute path.\n"
            "  what to do: Write it as file:///shared/store, s3://bucket/store or another URL that fsspec knows.",
        ),
        (
            {"PIPELINE_REMOTE_TIMEOUT_S": "soon"},
            "PIPELINE_REMOTE_TIMEOUT_S: 'soon' is not a number of seconds.\n  what to do: Leave it out for 20.",
        ),
    ],
)
def test_a_setting_that_means_nothing_is_refused_before_anything_runs(tmp_path: Path, environ: dict[str, str], said: str) -> None:
    with pytest.raises(Failure) as caught:
        Machine(tmp_path / "a", {"PIPELINE_REMOTE": f"file://{tmp_path}/shared", **environ})
    assert str(caught.value) == said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "s4://me:very-secret@what/ever",
            "PIPELINE_REMOTE: Protocol not known: s4.\n"
            "  what to do: Write a URL that fsspec knows, as file:///shared/store or s3://bucket/store.",
        ),
        pytest.param(
            "gs://what/ever",
            "PIPELINE_REMOTE: gcsfs is not installed (Please install gcsfs to access Google Storage).\n"
            "  what to do: `pip install gcsfs` here, or unset PIPELINE_REMOTE.",
            marks=pytest.mark.skipif(find_spec("gcsfs") is not None, reason="the driver is here"),
        ),
    ],
)
def test_a_remote_that_this_machine_cannot_use_ends_the_run_before_work(tmp_path: Path, url: str, said: str) -> None:
    with pytest.raises(Failure) as caught:
        Machine(tmp_path / "a", {"PIPELINE_REMOTE": url}).supply(step(bits=4))
    assert str(caught.value) == said


@pytest.mark.whole
def test_a_remote_that_refuses_is_an_error_before_work_and_one_warning_after_it(tmp_path: Path) -> None:
    with s3.refusing() as port:
        environ = s3.Server(port).env()
        machine = Machine(tmp_path / "a", environ)
        with pytest.raises(Failure) as caught:
            machine.supply(step(bits=4))
        machine.make(step(bits=4))
        machine.make(step(bits=8))
    assert caught.value.what == snapshot("The shared store refuses: PermissionError: Forbidden.")
    assert caught.value.remedy == snapshot(
        "Give credentials that may read it and write, set PIPELINE_REMOTE_MODE=read, or unset PIPELINE_REMOTE."
    )
    (warning,) = machine.said
    assert warning.startswith(
        "WARNING: compress of fake-int4 was not put into the shared store, and nothing more will be in this run: The shared store refuses: "
    )


@pytest.mark.whole
def test_a_remote_that_refuses_a_fork_that_only_reads_is_a_warning_and_work_goes_on(tmp_path: Path) -> None:
    with s3.refusing() as port:
        machine = Machine(tmp_path / "a", {**s3.Server(port).env(), "PIPELINE_REMOTE_MODE": "read"})
        machine.supply(step(bits=4))
        machine.make(step(bits=4))
    (warning,) = machine.said
    assert warning.endswith("cannot be used, work goes on without it: PermissionError: Forbidden")


@pytest.mark.whole
def test_a_remote_that_takes_connections_and_never_answers_is_one_warning_and_work_goes_on(tmp_path: Path) -> None:
    with s3.silent() as port:
        machine = Machine(tmp_path / "a", {**s3.Server(port).env(), "PIPELINE_REMOTE_TIMEOUT_S": "2"})
        machine.supply(step(bits=4))
        machine.make(step(bits=4))
    assert machine.store.has(step(bits=4))
    assert machine.said == snapshot(
        ["WARNING: the shared store s3://shared/store cannot be used, work goes on without it: no answer for 2 s"]
    )


def _explained(error: str) -> worker.Said:
    program = f"from bakehouse.executor.workers import remote_errors\ndef work(): raise {error}\nremote_errors.explained(work)"
    return worker.run(Command((sys.executable, "-c", program)))


@pytest.mark.whole
@pytest.mark.parametrize("error", ["TypeError('ours')", "KeyError('ours')", "AssertionError()"])
def test_a_bug_is_not_called_a_remote_out_of_reach(error: str) -> None:
    said = _explained(error)
    assert said.code == 1
    assert "Traceback" in said.text


@pytest.mark.parametrize(
    ("error", "refusal"),
    [
        (
            "NotImplementedError()",
            "this kind of shared store cannot be written to\nSet PIPELINE_REMOTE_MODE to read, or take another URL.",
        ),
        (
            "OSError(28, 'No space left on device')",
            "no room is left: OSError: [Errno 28] No space left on device\nFree space, here or in the shared store, and run it again.",
        ),
    ],
)
def test_what_trying_again_would_not_fix_is_refused(error: str, refusal: str) -> None:
    assert _explained(error).refusal == refusal


def test_what_a_failed_worker_printed_is_where_the_failure_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bug = "import fsspec.core\nfsspec.core.url_to_fs = None\n"
    (tmp_path / "sitecustomize.py").write_text(bug, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(Failure) as caught:
        Machine(tmp_path / "a", {"PIPELINE_REMOTE": f"file://{tmp_path}/shared"}).supply(step(bits=4))
    assert "TypeError: 'NoneType' object is not callable" in caught.value.what
    log = tmp_path / "a" / "failed" / "remote" / "list" / "log.txt"
    assert caught.value.details[-1] == f"log: {log}"
    assert "TypeError: 'NoneType' object is not callable" in log.read_text(encoding="utf-8")


def test_the_password_of_the_url_is_not_in_the_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        f"import shutil, sys\nshutil.copyfile(sys.orig_argv[-2], {str(tmp_path / 'seen.json')!r})\n", encoding="utf-8"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    machine = Machine(tmp_path / "a", {"PIPELINE_REMOTE": "ftp://me:hunter22@127.0.0.1:1/store"})
    machine.supply(step(bits=4))
    assert "cannot be used, work goes on without it" in machine.said[0]
    request = (tmp_path / "seen.json").read_text(encoding="utf-8")
    assert json.loads(request) == {"work": {"verb": "list", "names": [f"compress/{step(bits=4).key}"]}, "patience_s": 20.0}
    assert "hunter22" not in request + machine.said[0]


@pytest.mark.whole
def test_the_worker_gets_the_credentials_of_its_url_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: s3.Server
) -> None:
    environ = {**server.env(), "AZURE_STORAGE_KEY": "not-for-s3", "HF_TOKEN": "not-for-s3", "FSSPEC_GCS": "not-for-s3"}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "sitecustomize.py").write_text(
        f"import json, os\nopen({str(tmp_path / 'seen.json')!r}, 'w').write(json.dumps(dict(os.environ)))\n", encoding="utf-8"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    Machine(tmp_path / "a", environ).supply(step(bits=4))
    seen = json.loads((tmp_path / "seen.json").read_text(encoding="utf-8"))
    assert {name for name in (*environ, "BAKEHOUSE_REMOTE") if name in seen} == {*server.env(), "BAKEHOUSE_REMOTE"} - {"PIPELINE_REMOTE"}
    assert "not-for-s3" not in seen.values()


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("s3://shared/store", marks=pytest.mark.whole),
        NOWHERE,
    ],
)
def test_a_remote_out_of_reach_is_one_warning_and_work_goes_on(tmp_path: Path, url: str) -> None:
    environ = {"PIPELINE_REMOTE": url, "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    one, two, machine = step(bits=4), step(bits=8), Machine(tmp_path / "a", environ)
    machine.supply(one)
    machine.make(one)
    machine.make(two)
    assert machine.store.has(one) and machine.store.has(two)
    (warning,) = machine.said
    assert warning.startswith(f"WARNING: the shared store {url} cannot be used, work goes on without it: ")


@pytest.mark.whole
def test_a_line_that_is_cut_in_the_middle_of_a_file_is_a_warning_and_leaves_nothing(server: s3.Server, tmp_path: Path) -> None:
    one, first = step(bits=5), Machine(tmp_path / "a", server.env())
    first.make(one)
    with s3.line(server) as line:
        second = Machine(tmp_path / "b", {**server.env(line.port), "PIPELINE_REMOTE_TIMEOUT_S": "2"})
        line.budget = 100_000
        second.supply(one)
        (warning,) = second.said
        assert warning.startswith("WARNING: the shared store s3://shared/store cannot be used, work goes on without it: ")
        assert not second.store.has(one)
        line.budget = None
        third = Machine(tmp_path / "b", server.env(line.port))
        third.supply(one)
        assert third.store.has(one)


def test_many_steps_of_a_kind_are_looked_up_by_one_list(server: s3.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 lists a thousand names in an answer; a question for each of a zoo's steps would take hours."""
    for name, value in server.env().items():
        monkeypatch.setenv(name, value)
    steps = [f"validate/{number:064x}" for number in range(8)]
    for name in (*steps[:3], "package/" + "0" * 64):
        server.request("PUT", f"/many/steps/{name}.json", b"{}")
    remote = remote_store.opened("s3://shared/many", 20)
    asked = [*steps, "package/" + "0" * 64, "export/" + "0" * 64]
    there = {*steps[:3], "package/" + "0" * 64}
    assert set(remote_store.present(remote, asked)) == there

    single: list[str] = []
    known = remote_store.Remote.size
    monkeypatch.setattr(remote_store.Remote, "size", lambda self, path: (single.append(path), known(self, path))[1])
    monkeypatch.setattr(remote_store, "_MANY", 4)
    assert set(remote_store.present(remote, asked)) == there
    assert [path.split("/")[-2] for path in single] == ["package", "export"]
    assert remote_store.present(remote, [f"tokenizer/{number:064x}" for number in range(8)]) == ()


def test_contents_that_are_there_are_not_sent_again(tmp_path: Path) -> None:
    environ = {"PIPELINE_REMOTE": f"file://{tmp_path}/shared"}
    machine = Machine(tmp_path / "a", environ)
    machine.make(step(bits=4))
    objects = {path: path.stat().st_ino for path in (tmp_path / "shared" / "objects").rglob("*") if path.is_file()}
    machine.make(step(bits=8))  # the same bytes under another key
    assert {path: path.stat().st_ino for path in (tmp_path / "shared" / "objects").rglob("*") if path.is_file()} == objects
    assert len(list((tmp_path / "shared" / "steps").rglob("*.json"))) == 2


def test_no_secret_of_the_remote_is_printed_or_written(server: s3.Server, tmp_path: Path) -> None:
    machine = Machine(
        tmp_path / "a",
        {**server.env(), "PIPELINE_REMOTE": "s3://me:very-secret/@x@elsewhere/store", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
    )
    machine.supply(step(bits=4))
    machine.make(step(bits=4))
    assert machine.said and "very-secret" not in "".join(machine.said)
    assert [path for path in tmp_path.rglob("*") if path.is_file() and b"very-secret" in path.read_bytes()] == []


def test_without_a_remote_fsspec_is_not_even_imported(tmp_path: Path) -> None:
    program = (
        "import sys, dodo; print(sorted(name for name in sys.modules if name.split('.')[0] in ('fsspec', 's3fs', 'boto3', 'cyclonedx')))"
    )
    env = {**os.environ, "PIPELINE_REMOTE": "s3://shared/store"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env)
    assert done.stdout == "[]\n"


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recipes of one build, and a remote that has every step of it."""
    folder = tmp_path_factory.mktemp("stocked")
    Bench(folder).write(recipe(source=published.SOURCE))
    giver = open_workspace({"PIPELINE_RECIPES": str(folder / "recipes"), "PIPELINE_ARTIFACTS": str(folder / "giver")})
    remote = Remote(giver.store, Children(), {"PIPELINE_REMOTE": f"file://{folder}/shared"})
    for one in giver.plan.steps:
        put(one, giver.store)
        remote.keep(one)
    return folder


@pytest.fixture
def shared(stocked: Path, tmp_path: Path) -> Bench:
    """A machine with these recipes, this remote and an empty store."""
    bench = Bench(tmp_path, {"PIPELINE_REMOTE": f"file://{stocked}/shared"})
    bench.write(recipe(source=published.SOURCE))
    return bench


@pytest.mark.whole
@pytest.mark.needs_backend("openvino")
@pytest.mark.parametrize(
    ("selected", "brought", "runs"),
    [
        pytest.param("build", {"package"}, ["build:tiny-int4"], marks=pytest.mark.whole),
        ("build:*", {"package"}, ["build:tiny-int4"]),
        pytest.param("package", {"package"}, [], marks=pytest.mark.whole),
        ("validate", {"reference", "reference_logits", "numeric_check", "fidelity_reference", "fidelity", "validate"}, []),
        pytest.param("convert:tiny-int4", {"compress"}, [], marks=pytest.mark.whole),
    ],
)
def test_a_selection_by_group_name_or_pattern_is_looked_for_in_the_remote(
    shared: Bench, selected: str, brought: set[str], runs: list[str]
) -> None:
    output = shared.build(selected)
    assert ran(output) == runs
    assert {path.name for path in (shared.artifacts / "store").iterdir()} == brought
    assert output.startswith(f"asking the shared store {shared.env['PIPELINE_REMOTE']} for what is missing here\nshared   ")


@pytest.mark.needs_backend("openvino")
def test_doit_with_a_mode_that_is_none_ends_before_anything_runs(shared: Bench) -> None:
    done = shared.with_env(PIPELINE_REMOTE_MODE="readonly").doit("build")
    assert done.returncode == 3
    assert (
        "PIPELINE_REMOTE_MODE: 'readonly' is not a mode.\n  what to do: Set it to read or write, or leave it out for write." in done.stderr
    )
    assert not shared.artifacts.exists()


def test_what_was_made_without_the_remote_is_named_at_the_end(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "a", {"PIPELINE_REMOTE": "ftp://127.0.0.1:9/store"})
    machine.supply(step(bits=4))
    assert machine.remote.not_kept is None
    machine.make(step(bits=4))
    machine.make(step("export", label="fake"))
    assert machine.remote.not_kept == (
        "2 steps made here were not put into the shared store ftp://127.0.0.1:9/store, so other machines cannot take them from it: "
        "compress of fake-int4, export of fake"
    )


def test_a_reader_has_nothing_to_say_at_the_end(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "a", {"PIPELINE_REMOTE": "ftp://127.0.0.1:9/store", "PIPELINE_REMOTE_MODE": "read"})
    machine.supply(step(bits=4))
    machine.make(step(bits=4))
    assert machine.remote.not_kept is None


@pytest.mark.needs_backend("openvino")
def test_a_run_without_its_remote_goes_on_and_says_at_the_end_what_is_not_there(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {"PIPELINE_REMOTE": "ftp://127.0.0.1:9/store"})
    bench.write(recipe())
    model = bench.recipes / "model"
    model.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (model / name).write_text("{}", encoding="utf-8")
    (model / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    (model / "model.safetensors").write_bytes(safetensors({"a": 100}))
    done = bench.doit("download:tiny")
    assert (done.returncode, ran(done.stdout)) == (0, ["download:tiny"]), done.stdout + done.stderr
    assert done.stderr.count("cannot be used, work goes on without it: ConnectionRefusedError") == 1
    left = "1 step made here was not put into the shared store ftp://127.0.0.1:9/store, so other machines cannot take it from it"
    assert done.stdout.rstrip().endswith(f"{left}: download of tiny")


@pytest.mark.needs_backend("openvino")
def test_a_build_that_is_here_does_not_ask_for_the_remote(stocked: Path, tmp_path: Path) -> None:
    bench = Bench(tmp_path, {"PIPELINE_REMOTE": f"file://{stocked}/shared"})
    bench.write(recipe(source=published.SOURCE))
    bench.build("build:tiny-int4")
    again = bench.with_env(PIPELINE_REMOTE="s4://nowhere")
    assert ran(again.build("build:tiny-int4")) == []


@pytest.mark.parametrize(
    ("url", "endpoint", "said"),
    [
        ("s3://shared/store", "no-scheme", "ValueError: Invalid endpoint: no-scheme"),
        pytest.param("http://127.0.0.1:99999/store", "", "ValueError: Port out of range 0-65535", marks=pytest.mark.whole),
    ],
)
def test_an_address_that_no_connection_can_be_made_to_is_a_wrong_setting(tmp_path: Path, url: str, endpoint: str, said: str) -> None:
    environ = {"PIPELINE_REMOTE": url, "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    with pytest.raises(Failure) as caught:
        Machine(tmp_path / "a", environ).supply(step(bits=4))
    assert str(caught.value) == (
        f"The shared store's address cannot be used: {said}.\n"
        "  what to do: Correct PIPELINE_REMOTE, or AWS_ENDPOINT_URL where that is set, or unset PIPELINE_REMOTE."
    )
