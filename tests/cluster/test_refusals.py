"""What a cluster refuses before anything starts, and in which words; and what travels to a worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.app import on_cluster
from bakehouse.cluster import capacity, certificates, connection, request
from bakehouse.cluster.capacity import Worker
from bakehouse.cluster.engine import _explained, name_of
from bakehouse.cluster.seams import StepRequest
from bakehouse.cluster.work import Made, refuse_other_store
from bakehouse.errors import Failure, NotInstalled
from bakehouse.executor.process import Children
from bakehouse.executor.shared_store import Remote
from bakehouse.plan import plan as plans
from bakehouse.plan.plan import Plan
from bakehouse.recipe import loader
from bakehouse.stages import tags
from bakehouse.store.store import Store
from tests.support.bench import ROOT, Bench, recipe, wait_for
from tests.support.cluster import machines, made_up
from tests.support.fakes import HUB, planned

EVERY_BACKEND = pytest.mark.needs_backend("openvino", "onnxruntime_genai", "openvino_npu", "npu_library")  # as the recipes name


def refused(work: object, *args: object, **named: object) -> str:
    """The text of the Failure that a call ends with."""
    with pytest.raises(Failure) as failure:
        work(*args, **named)  # type: ignore[operator]
    return str(failure.value)


def test_a_scheduler_that_others_reach_needs_tls() -> None:
    assert connection.address("tls://far:8786") == "tls://far:8786"
    for near in ("tcp://127.0.0.1:1", "tcp://localhost:1", "tcp://[::1]:1"):
        assert connection.address(near) == near
    what, remedy = refused(connection.address, "tcp://10.0.0.1:8786").splitlines()
    assert what == snapshot(
        "The scheduler at tcp://10.0.0.1:8786 has no TLS, so whoever reaches it can run programs on all machines of the cluster."
    )
    assert remedy.startswith("  what to do: Write it as tls://, and set PIPELINE_CLUSTER_CERTIFICATES to a copy of the folder")


@pytest.mark.parametrize("given", ["scheduler", "http://scheduler:8786", "tls://scheduler", "tls://:8786", "tls://a:b", "tls://a:1/b"])
def test_what_is_no_address_is_refused(given: str) -> None:
    assert refused(connection.address, given) == (
        f"'{given}' is not the address of a scheduler.\n  what to do: Write it as tls://HOST:8786, or tcp://127.0.0.1:8786."
    )


def test_tls_needs_certificates(tmp_path: Path) -> None:
    assert refused(connection.security, "tls", {}) == snapshot("""\
PIPELINE_CLUSTER_CERTIFICATES: TLS needs certificates.
  what to do: Set PIPELINE_CLUSTER_CERTIFICATES to a copy of the folder that `bakehouse cluster certificates DIR` writes.\
""")
    lacking = refused(connection.security, "tls", {connection.CERTIFICATES: str(tmp_path)})
    assert lacking.startswith(f"{connection.CERTIFICATES}: {tmp_path} has no ca.pem, member.pem, member-key.pem.")
    assert connection.security("tcp", {}) is None


def test_certificates_are_written_once_and_only_their_owner_reads_the_key(tmp_path: Path) -> None:
    certificates.write(tmp_path / "new")
    assert (tmp_path / "new" / connection.MEMBER_KEY).stat().st_mode & 0o777 == 0o600
    security = connection.security("tls", {connection.CERTIFICATES: str(tmp_path / "new")})
    assert security.require_encryption
    assert "has ca.pem, member.pem, member-key.pem already" in refused(certificates.write, tmp_path / "new")


@pytest.mark.whole
def test_who_has_other_certificates_is_not_let_in(tmp_path: Path) -> None:
    for name in ("ours", "others"):
        certificates.write(tmp_path / name)
    with machines(tmp_path / "cluster", PIPELINE_CLUSTER_CERTIFICATES=str(tmp_path / "ours")) as running:
        assert running.address.startswith("tls://127.0.0.1:")
        asks = "import sys; from bakehouse.cluster.engine import Cluster; Cluster(sys.argv[1]).close(); print('in')"

        def ask(certificates: str) -> str:
            environ = {**running.environ, "PIPELINE_CLUSTER_CERTIFICATES": str(tmp_path / certificates)}
            argv = [sys.executable, "-c", asks, running.address]
            done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False, timeout=60)
            return done.stdout.strip() or done.stderr

        assert ask("ours") == "in"
        assert f"No scheduler answers at {running.address}." in ask("others")


def test_steps_that_no_worker_can_take_are_refused_with_who_lacks_what() -> None:
    workers = [Worker("small", {"MEM": 8e9, "wine": 1e6}), Worker("large", {"MEM": 64e9})]
    takes = {"fits": capacity.taken(4_000_000_000, ()), "convert:phi3-npu": capacity.taken(16_000_000_000, ("wine",))}
    assert refused(capacity.refuse_impossible, takes, workers) == snapshot("""\
No worker of the cluster can take every step.
    convert:phi3-npu: small has 8.00 GB of memory where 16.00 GB are needed
    convert:phi3-npu: large has no wine
  what to do: Start a worker that has what is named.\
""")
    capacity.refuse_impossible({"convert:phi3": capacity.taken(16_000_000_000, ())}, workers)
    assert refused(capacity.refuse_impossible, takes, []) == snapshot("""\
The cluster has no workers.
  what to do: Start some with `bakehouse worker ADDRESS`.\
""")
    capacity.refuse_impossible({}, [])


def test_without_a_shared_store_a_cluster_is_refused(tmp_path: Path) -> None:
    remote = Remote(Store(tmp_path), Children(), {})
    assert refused(on_cluster.refuse, "tcp://127.0.0.1:8786", remote) == snapshot("""\
PIPELINE_REMOTE: The machines of a cluster exchange files through a shared store, and none is set.
  what to do: Set it on all of them, to s3://bucket/store or file:///a/folder/that/all/mount.\
""")


def test_a_worker_that_may_only_read_the_shared_store_refuses() -> None:
    read = {"PIPELINE_REMOTE": "file:///shared", "PIPELINE_REMOTE_MODE": "read"}
    assert refused(refuse_other_store, "file:///shared", read) == snapshot("""\
This worker may only read the shared store.
  what to do: Leave out PIPELINE_REMOTE_MODE there, or set it to write.\
""")


def test_a_missing_extra_is_named() -> None:
    with pytest.raises(NotInstalled) as absent:
        connection.require("no_such_distribution")
    assert str(absent.value) == snapshot("""\
no_such_distribution not installed.
  what to do: `pip install 'bakehouse[cluster]'` brings what a cluster needs.\
""")


def plan_of_all(folder: Path) -> Plan:
    """The plan of the recipes of this repository."""
    return plans.make(loader.load_all(ROOT / "recipes"), lambda path: "f" * 64, confined=False)


@EVERY_BACKEND
def test_a_worker_with_the_same_tools_plans_the_same_keys_from_what_it_is_sent(tmp_path: Path) -> None:
    for plan in (plan_of_all(tmp_path), planned(tmp_path, recipe("remote", source=HUB))):
        for build in plan.builds:
            origin = request.origin(build)
            for step in build.package.closure():
                sent = request.of(step, origin, "file:///shared").model_dump_json()
                assert request.step_of(StepRequest.model_validate_json(sent)).key == step.key


@EVERY_BACKEND
def test_a_worker_with_other_tools_refuses_and_names_them(tmp_path: Path) -> None:
    build = plan_of_all(tmp_path).build("phi3-int4-openvino")
    assert build
    step = build.parts["model"]
    sent = request.of(step, request.origin(build), "")
    other = sent.model_copy(update={"key": "0" * 64, "tools": sent.tools | {"nncf": "9.9.9"}, "bakehouse": "9.0"})
    with pytest.raises(Failure) as failure:
        request.step_of(other)
    assert failure.value.what == snapshot("This worker would make another step than the one that was planned.")
    assert failure.value.where == "compress of phi3-int4-openvino"
    named = [line.partition(",")[2] for line in failure.value.details]
    assert named == [" it was planned with 9.0", " it was planned with 9.9.9"]


@pytest.mark.needs_backend("openvino")
def test_local_files_travel_by_their_contents_and_not_by_their_path(tmp_path: Path, untrained_checkpoint: Path) -> None:
    bench = Bench(tmp_path)
    texts = {"type": "file", "path": "../texts.txt"}
    bench.write(recipe(evaluation=texts))
    bench.add_model(untrained_checkpoint)
    (tmp_path / "texts.txt").write_text("a text", encoding="utf-8")
    (build,) = plans.make(loader.load_all(bench.recipes), lambda path: sha256(path.name.encode()).hexdigest(), confined=False).builds
    local = [step for step in build.package.closure() if step.notes.path]
    assert {step.kind for step in local} == {"download", "calibration"}
    for step in build.package.closure():
        sent = request.of(step, request.origin(build), "file:///shared").model_dump_json()
        assert str(tmp_path) not in sent
        assert request.step_of(StepRequest.model_validate_json(sent)).key == step.key


@EVERY_BACKEND
def test_tags_come_from_backends_and_from_what_is_set_up(tmp_path: Path) -> None:
    plan = plan_of_all(tmp_path)
    found = {(step.kind, tag) for step in plan.steps for tag in tags.of(step)}
    assert ("download", "network") in found
    npulib = plan.build("phi3-int4-npulib")
    assert npulib
    assert set(tags.of(npulib.package)) == {"network", "npulib"}
    openvino = plan.build("phi3-int4-openvino")
    assert openvino
    assert tags.of(openvino.package) == tags.of(openvino.validate) == ()


def test_dask_groups_tasks_by_words_and_takes_a_result_to_be_as_large_as_its_files() -> None:
    from dask.sizeof import sizeof
    from dask.utils import key_split

    assert key_split(name_of(made_up("one"))) == "compress-fake"
    assert name_of(made_up("one")) != name_of(made_up("two"))
    assert sizeof(Made("0" * 64, 5_000_000_000)) > 5_000_000_000


def test_a_step_whose_workers_are_lost_again_and_again_is_given_up_in_a_sentence() -> None:
    from distributed.scheduler import KilledWorker, WorkerState

    last = WorkerState.__new__(WorkerState)
    last.name = "host-1"
    assert str(_explained(KilledWorker("compress", last, 10), made_up("hungry"))) == snapshot("""\
compress of hungry: 11 workers were lost while they made it, the last one was host-1.
  what to do: Look at the system's log there: a worker is most often killed for want of memory.\
""")


@pytest.mark.whole
@EVERY_BACKEND
@pytest.mark.parametrize("words", [("list",), ("plan",), ("worker", "--help"), ("cluster", "--help")])
def test_distributed_is_imported_only_where_a_cluster_is_asked_for(words: tuple[str, ...], tmp_path: Path) -> None:
    program = (
        "import sys\nfrom bakehouse.app.main import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "print({'distributed', 'dask'} & set(sys.modules))"
    )
    environ = {**os.environ, "PIPELINE_RECIPES": str(ROOT / "recipes"), "PIPELINE_ARTIFACTS": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program, *words], env=environ, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "set()", done.stderr


def command(bench: Bench, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `bakehouse`."""
    mine = {"PIPELINE_RECIPES": str(bench.recipes), "PIPELINE_ARTIFACTS": str(bench.artifacts), **env}
    argv = [sys.executable, "-m", "bakehouse.app.main", *words]
    return subprocess.run(argv, env={**os.environ, **mine}, capture_output=True, text=True, check=False, timeout=120, cwd=bench.folder)


@pytest.mark.whole
@pytest.mark.needs_backend("openvino")
def test_the_command_refuses_before_it_looks_at_anything(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write(recipe(source=HUB))
    near = "tcp://127.0.0.1:1"
    store = {"PIPELINE_REMOTE": f"file://{tmp_path}/shared"}
    without = command(bench, "build", "--cluster", near)
    assert (without.returncode, without.stderr.splitlines()[0]) == (
        3,
        "ERROR: PIPELINE_REMOTE: The machines of a cluster exchange files through a shared store, and none is set.",
    )
    assert command(bench, "build", PIPELINE_CLUSTER="tcp://10.0.0.1:8786", **store).returncode == 3
    jobs = command(bench, "build", "-n", "2", "--cluster", near, **store)
    assert (jobs.returncode, jobs.stderr.splitlines()[0]) == (
        3,
        "ERROR: -n says how many steps this machine makes at once, and on a cluster it makes none.",
    )
    worker = command(bench, "worker", near)
    assert (worker.returncode, "none is set" in worker.stderr) == (1, True)
    idle = command(bench, "cluster", "local", "--host", "10.0.0.1")
    assert (idle.returncode, idle.stderr) == (1, "ERROR: `bakehouse cluster local` takes no --host.\n")
    silent = command(bench, "build", "--cluster", near, **store)
    assert silent.returncode == 3
    assert not bench.artifacts.joinpath("store").exists()


@pytest.mark.whole
@pytest.mark.needs_backend("openvino")
def test_ctrl_c_of_who_asks_ends_with_130(tmp_path: Path, untrained_checkpoint: Path) -> None:
    bench = Bench(tmp_path / "asker")
    bench.write(recipe())
    bench.add_model(untrained_checkpoint)
    with machines(tmp_path / "cluster", "one") as running:
        for one in running.worker_processes("one"):
            one.suspend()  # so that no step ends
        asker = bench.with_env(PIPELINE_REMOTE=running.shared_store, PIPELINE_CLUSTER=running.address).start("build:tiny-int4")
        wait_for(lambda: ".. export:tiny" in bench.said, asker)
        asker.send_signal(signal.SIGINT)
        assert asker.wait(60) == 130
        for one in running.worker_processes("one"):
            one.resume()
    assert "interrupted; run it again" in bench.said
    assert "Traceback" not in bench.said
