"""The NPU backend as data: its steps and keys, what it refuses and why, what it takes. Real blobs are in test_compile."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.backends.openvino import backend as openvino
from bakehouse.backends.openvino_npu import backend as openvino_npu
from bakehouse.backends.openvino_npu import compiler as npu_compiler
from bakehouse.backends.openvino_npu.seams import CompileRequest, CompileSpec, GenerateRequest, SetupRequest, SetupSpec
from bakehouse.executor.session import Room
from bakehouse.formats.checkpoint import Survey, Tensor
from bakehouse.steps.cost import Estimate
from bakehouse.steps.seam import Report
from tests.support import openvino_making
from tests.support.bench import Bench, recipe
from tests.support.npu_making import SHORT, build, steps
from tests.support.worker import to_generate

PLAIN = {"weights": "int4", "symmetric": True, "ratio": 1.0, "backup_precision": "int8_sym"}


@pytest.fixture
def no_wine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without Wine: nothing is on its path."""
    monkeypatch.setenv("PATH", str(tmp_path))


def survey(parameters: int = 128 * 128, **config: object) -> Survey:
    return Survey(
        config={"model_type": "llama", "max_position_embeddings": 4096, **config},
        tensors=(Tensor(name="model.layers.0.mlp.up_proj.weight", dtype="BF16", shape=(parameters // 128, 128)),),
        download_bytes=2 * parameters,
    )


# --- steps ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "plain"),
    [
        (build(), {**PLAIN, "group_size": 128}),
        (build(group_size=-1), {**PLAIN, "group_size": -1}),
        (build(weights="int8"), {"weights": "int8", "symmetric": True}),
        (build(weights="fp16"), {"weights": "fp16"}),
        (build(weights="nf4"), {"weights": "nf4", "backup_precision": "int8_sym"}),
    ],
    ids=["int4", "int4 by channel", "int8", "fp16", "nf4"],
)
def test_the_ir_is_the_openvino_backends_own(asked: object, plain: dict[str, object]) -> None:
    mine, theirs = steps(asked), openvino_making.steps(**plain)
    assert {role: mine[role].key for role in theirs} == {role: step.key for role, step in theirs.items()}


def test_each_platform_is_a_step_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    made = steps(build(platforms=(3720, 4000)))
    assert [(role, step.kind, step.label) for role, step in made.items() if role.startswith("blob")] == [
        ("blob-3720", "compile", "model-npu-3720"),
        ("blob-4000", "compile", "model-npu-4000"),
    ]
    assert made["blob-3720"].key != made["blob-4000"].key
    assert made["blob-3720"].need("model") == made["model"]


@pytest.mark.parametrize(
    "change",
    [
        {"max_prompt_len": 256},
        {"min_response_len": 128},
        {"prefill_hint": "STATIC"},
        {"generate_hint": "BEST_PERF"},
        {"cache_mode": "OPTIMIZE_SIZE"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_changes_a_blob_changes_its_key_and_not_the_irs(change: dict[str, object]) -> None:
    one, other = steps(build()), steps(build(**change))
    assert one["blob-4000"].key != other["blob-4000"].key
    assert one["model"].key == other["model"].key


@pytest.mark.skipif(npu_compiler.driver() not in (None, "wine"), reason="this machine has OpenVINO's own compiler")
def test_a_blobs_key_holds_the_compiler_by_its_bytes() -> None:
    setup = steps(build())["blob-4000"].need("compiler")
    assert (setup.kind, setup.label) == ("setup", "npu-compiler")
    assert [len(wheel.sha256) for wheel in setup.spec_as(SetupSpec).wheels] == [64, 64]
    assert len(setup.spec_as(SetupSpec).program_sha256) == 64


def test_the_compiler_gets_what_openvino_genai_gives_it_and_where_weights_go() -> None:
    own = build(prefill_hint="STATIC", generate_hint="BEST_PERF", cache_mode="OPTIMIZE_SIZE")
    assert npu_compiler.properties(steps(own)["blob-4000"].spec_as(CompileSpec)) == {
        "NPU_PLATFORM": "4000",
        "NPU_COMPILER_TYPE": "PLUGIN",
        "NPU_USE_NPUW": "YES",
        "NPUW_DEVICES": "NPU",
        "NPUW_LLM": "YES",
        "NPUW_LLM_BATCH_DIM": "0",
        "NPUW_LLM_SEQ_LEN_DIM": "2",
        "NPUW_LLM_MAX_PROMPT_LEN": "128",
        "NPUW_LLM_MIN_RESPONSE_LEN": "64",
        "NPUW_LLM_PREFILL_HINT": "STATIC",
        "NPUW_LLM_GENERATE_HINT": "BEST_PERF",
        "CACHE_MODE": "OPTIMIZE_SIZE",
        "NPUW_WEIGHTS_BANK_ALLOC": "CPU",
    }


def test_the_workers_get_requests_that_they_read_as_they_were(tmp_path: Path) -> None:
    blob = steps(build())["blob-4000"]
    compiling = openvino_npu.command(blob, {"model": tmp_path, "compiler": tmp_path}, tmp_path).request
    setting_up = openvino_npu.command(npu_compiler.setup("openvino-npu"), {}, tmp_path).request
    answering = openvino_npu.generate(build(), {}, to_generate(tmp_path, [{"raw": "Once", "max_new_tokens": 4}], tmp_path)).request
    for request, kind in ((compiling, CompileRequest), (setting_up, SetupRequest), (answering, GenerateRequest)):
        assert isinstance(request, kind)
        assert kind.model_validate_json(request.model_dump_json()) == request
    assert answering.settings == {
        "MAX_PROMPT_LEN": "128",
        "MIN_RESPONSE_LEN": "64",
        "PREFILL_HINT": "DYNAMIC",
        "GENERATE_HINT": "FAST_COMPILE",
    }


def test_a_blob_lies_in_its_platforms_folder(tmp_path: Path) -> None:
    asked = build(platforms=(3720, 4000))
    parts = {role: tmp_path / role for role in (*steps(asked), "checkpoint")}
    for folder in parts.values():
        folder.mkdir()
    assert {path: file.parent.name for path, file in openvino_npu.layout(asked, parts).items() if path.startswith("npu/")} == {
        "npu/3720/openvino_model.blob": "blob-3720",
        "npu/3720/openvino_model.json": "blob-3720",
        "npu/4000/openvino_model.blob": "blob-4000",
        "npu/4000/openvino_model.json": "blob-4000",
    }


# --- which compiler, and without one --------------------------------------------------------------------------------


def test_without_a_compiler_only_builds_without_blobs_can_be_made(no_wine: None) -> None:
    if npu_compiler.driver() is not None:
        pytest.skip("this machine has a compiler of its own")
    assert openvino_npu.missing(build(platforms=())) is None
    assert openvino_npu.missing(build()) == snapshot("no NPU compiler: run `apt-get install wine wine64`")


def test_wine_is_not_installed_on_another_processor(no_wine: None, monkeypatch: pytest.MonkeyPatch) -> None:
    if npu_compiler.driver() is not None:
        pytest.skip("this machine has a compiler of its own")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert openvino_npu.missing(build()) == snapshot("no NPU compiler exists for Linux on aarch64")


def test_the_driver_compiles_for_its_own_npu_only(tmp_path: Path) -> None:
    device = tmp_path / "accel0" / "device"
    device.mkdir(parents=True)
    (device / "device").write_text("0x643e\n", encoding="ascii")
    assert npu_compiler.present(tmp_path) == 4000
    (device / "device").write_text("0xffff\n", encoding="ascii")
    assert npu_compiler.present(tmp_path) is None


def test_the_wheels_of_the_compiler_under_wine_are_named_with_their_hashes() -> None:
    named = openvino_npu.packages(npu_compiler.setup("openvino-npu"), Report())
    assert [(one.name, len(one.sha256)) for one in named] == [("openvino", 64), ("ziglang", 64)]


def test_openvinos_own_compiler_is_taken_before_wine_and_keyed_by_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loader, library = (tmp_path / name for name in npu_compiler.LIBRARIES["linux"])
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    library.write_bytes(b"one")
    assert npu_compiler.driver() != "native"  # the plugin opens the loader
    loader.write_bytes(b"loader")
    assert npu_compiler.driver() == "native"
    blob = steps(build())["blob-4000"]
    spec = blob.spec_as(CompileSpec)
    assert (spec.driver, npu_compiler.command(blob, {"model": tmp_path}, tmp_path).request.compiler) == ("native", None)
    assert [role for role, _ in blob.needs] == ["model"]
    assert {name: len(digest) for name, digest in (spec.libraries or {}).items()} == {loader.name: 64, library.name: 64}
    library.write_bytes(b"another")
    assert steps(build())["blob-4000"].key != blob.key


def test_a_build_with_blobs_is_refused_before_the_download_and_one_without_is_not(
    no_wine: None, untrained_checkpoint: Path, tmp_path: Path
) -> None:
    if npu_compiler.driver() is not None:
        pytest.skip("this machine has a compiler of its own")
    bench = Bench(tmp_path)
    blobs = {"runtime": "openvino-npu", "quantization": {"weights": "int4"}, "platforms": [4000], **SHORT}
    bench.write(recipe(builds={"npu": blobs, "ir": {"runtime": "openvino-npu", "quantization": {"weights": "int8"}, **SHORT}}))
    bench.add_model(untrained_checkpoint)
    listed = bench.build("list").splitlines()
    assert "cannot" in listed[0] and "not on this machine: no NPU compiler: run `apt-get install wine wine64`" in listed[0]
    assert "cannot" not in listed[1]
    done = bench.doit("build:tiny-npu")
    assert done.returncode != 0
    assert "tiny-npu: no NPU compiler: run `apt-get install wine wine64`" in done.stdout + done.stderr
    assert not (bench.artifacts / "store").exists()


# --- preflight ------------------------------------------------------------------------------------------------------


def test_lengths_that_the_models_context_does_not_hold_are_refused() -> None:
    (reason,) = openvino_npu.preflight(build(max_prompt_len=4096), survey())
    assert reason == snapshot("max_prompt_len and min_response_len make 4160 tokens together, and the model's context holds 4096")
    assert openvino_npu.preflight(build(max_prompt_len=4032), survey()) == ()


@pytest.mark.parametrize("name", ["n_positions", "max_seq_len"])
def test_a_models_context_is_found_under_its_other_names(name: str) -> None:
    (reason,) = openvino_npu.preflight(build(max_prompt_len=4096), survey(max_position_embeddings=None, **{name: 1024}))
    assert reason.endswith("and the model's context holds 1024")


def test_a_context_that_dynamic_scaling_lengthens_is_counted_as_long() -> None:
    rope = {"rope_type": "dynamic", "factor": 2.0}
    (reason,) = openvino_npu.preflight(build(max_prompt_len=1024), survey(max_position_embeddings=512, rope_scaling=rope))
    assert reason == "max_prompt_len and min_response_len make 1088 tokens together, and the model's context holds 1024"
    assert openvino_npu.preflight(build(max_prompt_len=896), survey(max_position_embeddings=512, rope_scaling=rope)) == ()


def test_a_large_model_needs_complete_channels() -> None:
    large = survey(parameters=8_000_000_000)
    (reason,) = openvino_npu.preflight(build(), large)
    assert reason == snapshot("a model of 8.0 billion weights is too large for groups of 128 on the NPU; group_size -1 is for such models")
    assert openvino_npu.preflight(build(group_size=-1), large) == ()


def test_what_the_openvino_backend_refuses_is_refused() -> None:
    assert openvino_npu.preflight(build(), survey(model_type="mamba")) == openvino.preflight(
        openvino_making.build(weights="int8"), survey(model_type="mamba")
    )


def test_compiling_is_estimated_from_the_models_size() -> None:
    step = steps(build())["blob-4000"]
    whole = survey(parameters=3_821_000_000)
    takes = openvino_npu.estimate(step, whole)
    assert 6e9 < takes.memory_bytes < 8e9  # 4.6 GB were measured without the weights, which are 2.1 GB
    assert takes.disk_bytes > 2 * 2.1e9  # int4 in groups lies in the blob twice
    by_channel = openvino_npu.estimate(steps(build(group_size=-1))["blob-4000"], whole)
    assert 2.1e9 < by_channel.disk_bytes < takes.disk_bytes - 1.5e9
    assert openvino_npu.estimate(npu_compiler.setup("openvino-npu"), whole) == Estimate(130_000_000, 500_000_000)


# --- side by side ---------------------------------------------------------------------------------------------------


def _together(room: Room, sizes: tuple[int, int]) -> tuple[bool, int]:
    """Whether two steps of these sizes were in the room at once, and how many had to wait."""
    inside, both, waited = threading.Semaphore(0), threading.Event(), []
    leave = threading.Event()

    def first() -> None:
        with room.hold(sizes[0], lambda: waited.append(1)):
            inside.release()
            leave.wait(10)

    def second() -> None:
        with room.hold(sizes[1], lambda: (waited.append(2), leave.set())):
            if not leave.is_set():
                both.set()
            leave.set()

    one = threading.Thread(target=first)
    one.start()
    inside.acquire()
    other = threading.Thread(target=second)
    other.start()
    one.join(10)
    other.join(10)
    assert not one.is_alive() and not other.is_alive()
    return both.is_set(), len(waited)


def test_two_compilers_run_together_where_there_is_memory_for_both() -> None:
    assert _together(Room(lambda: 10), (5, 5)) == (True, 0)


def test_two_compilers_wait_for_each_other_where_there_is_not() -> None:
    assert _together(Room(lambda: 10), (5, 6)) == (False, 1)


def test_one_that_is_larger_than_the_memory_runs_alone() -> None:
    with Room(lambda: 10).hold(50, lambda: pytest.fail("it waited for no one")):
        pass
