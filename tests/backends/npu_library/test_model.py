"""Models compiled by the Intel NPU Acceleration Library in its own environment, through the real commands; its int8 and int4, measured."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sys
from math import prod
from pathlib import Path
from statistics import mean

import pytest
from inline_snapshot import snapshot

from bakehouse.backends.npu_library import backend as npulib
from bakehouse.backends.npu_library.options import NpuLibrary
from bakehouse.backends.npu_library.seams import CompileResult
from bakehouse.backends.npu_library.workers import setup as npulib_setup
from bakehouse.formats import npu_library_pickle, safetensors_files
from bakehouse.package import compare
from bakehouse.records import StepRecord
from bakehouse.steps.seam import Report, Spec
from bakehouse.steps.step import Step
from tests.support import npulib_making as making
from tests.support.bench import Bench, ran, recipe

pytestmark = [pytest.mark.model, making.needs_library]

TINY = {"int8": making.build("int8"), "fp16": making.build("fp16")}
PHI3 = {
    "fp16": making.build("fp16"),
    "int8": making.build("int8", torch_dtype="float16"),
    "int4": making.build("int4", torch_dtype="float16"),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Two builds of the tiny Phi-3."""
    bench = making.bench(tmp_path_factory.mktemp("tiny"), recipe(builds=TINY), model=making.tiny_phi3())
    bench.build("build")
    return bench


@pytest.fixture(scope="module")
def phi3(tmp_path_factory: pytest.TempPathFactory, phi3_checkpoint: Path) -> tuple[Bench, str]:
    """Three builds of the Phi-3 stand-in, and what doit printed: one of them fails."""
    bench = making.bench(tmp_path_factory.mktemp("phi3"), recipe("phi3", builds=PHI3), model=phi3_checkpoint)
    done = bench.doit("build", "--continue")
    assert done.returncode != 0
    return bench, done.stdout


def compiled(bench: Bench, label: str) -> StepRecord:
    return next(record for record in bench.records("compress") if record.label == label)


def errors_of_layers(bench: Bench, label: str) -> list[float]:
    found = CompileResult.model_validate(compiled(bench, label).facts)
    return [error for name, error in found.relative_errors.items() if name != "model.embed_tokens"]


# --- the environment --------------------------------------------------------------------------------------------------------------


def test_the_environment_is_made_once_and_holds_its_own_versions(built: Bench) -> None:
    (record,) = built.records("setup")
    assert record.label == "npulib"
    assert record.measured["packages"]["transformers"] == "4.46.3"
    assert record.measured["packages"]["intel-npu-acceleration-library"] == "1.4.0"
    assert record.measured["compiler"] == npulib_setup.compiler_version()
    folder = built.artifacts / "store" / "setup" / record.key / "files"
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    assert ran(built.build("setup:npulib")) == []


def test_working_in_the_environment_leaves_it_as_it_was(built: Bench) -> None:
    (record,) = built.records("setup")
    folder = built.artifacts / "store" / "setup" / record.key / "files"
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == {file.path for file in record.files}


# --- a package --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tiny-int8", "tiny-fp16"])
def test_a_build_goes_from_download_to_a_package_that_answers(built: Bench, name: str) -> None:
    manifest = built.manifest(name)
    assert manifest.verdicts[0].answer == snapshot("The capital of France is Paris.")
    assert manifest.targets == ("NPU",)
    assert manifest.validation.stand_in == (manifest.validation.device == "CPU")
    names = {path.name for path in (built.artifacts / "packages" / name).iterdir()}
    assert names >= {"pytorch_npu_model.pt", "load.py", "tokenizer.json", "tokenizer_config.json", "config.json", "generation_config.json"}
    counts = manifest.measured["model"]["weights"]
    assert sum(counts.values()) == sum(prod(shape) for _, _, shape in safetensors_files.tensors(making.tiny_phi3()))
    assert compare.row(manifest).shares.keys() == {{"int8": "int8_sym", "fp16": "fp16"}[name.removeprefix("tiny-")], "fp32"}
    assert manifest.measured["model"]["linear_layers_stored_as"] == [{"int8": "int8", "fp16": "float16"}[name.removeprefix("tiny-")]]


def test_the_card_says_what_a_pickle_is_and_how_the_model_is_used(built: Bench) -> None:
    package = built.artifacts / "packages" / "tiny-int8"
    card = (package / "README.md").read_text(encoding="utf-8")
    (model,) = (file for file in built.manifest("tiny-int8").files if file.path == "pytorch_npu_model.pt")
    for part in (
        "**The model is a pickle**",
        model.sha256,
        "The rounding of the weights changes a linear layer by",
        "from load import load",
        "TextStreamer",
        "- pickle",
    ):
        assert part in card
    assert "| transformers | 4.46.3 |" in card
    if built.manifest("tiny-int8").validation.stand_in:
        assert "in place of the device that it is made for" in card


def test_the_manifest_names_every_package_of_the_environment_and_the_references_tools_as_the_references(built: Bench) -> None:
    manifest = built.manifest("tiny-int8")
    packages = {package.name: package for package in manifest.packages}
    assert {name: packages[name].version for name in ("transformers", "tokenizers", "numpy", "openvino", "torch")} == {
        "transformers": "4.46.3",
        "tokenizers": "0.20.3",
        "numpy": "1.26.4",
        "openvino": "2024.4.0",
        "torch": manifest.tools["torch"],
    }
    locks = "".join(path.read_text(encoding="utf-8") for path in npulib_setup.LOCKS.glob("npulib*.txt"))
    assert all(f"--hash=sha256:{package.sha256}" in locks for package in manifest.packages if package.sha256)
    assert [package.name for package in manifest.packages if not package.sha256 and not package.name.startswith("nvidia")] == ["torch"]
    assert manifest.tools.keys() == {"intel-npu-acceleration-library", "neural-compressor", "torch"}
    assert "transformers" in manifest.reference_tools


def test_no_path_of_this_machine_is_in_the_pickle_or_in_the_commands(built: Bench) -> None:
    data = (built.artifacts / "packages" / "tiny-int8" / "pytorch_npu_model.pt").read_bytes()
    commands = [
        word for kind in ("setup", "compress", "validate") for record in built.records(kind) for ran in record.ran for word in ran.argv
    ]
    for path in (str(built.folder), str(Path(npulib.__file__).parent), sys.executable):
        assert path.encode() not in data
        assert not [word for word in commands if path in word]


def test_the_loader_of_a_package_refuses_a_changed_byte(built: Bench, tmp_path: Path) -> None:
    package = shutil.copytree(built.artifacts / "packages" / "tiny-int8", tmp_path / "package")
    model = package / "pytorch_npu_model.pt"
    model.chmod(0o644)
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)
    with pytest.raises(ValueError, match="It was not loaded"):
        runpy.run_path(str(package / "load.py"))["load"]()


def test_making_it_again_gives_the_same_bytes(built: Bench, tmp_path: Path) -> None:
    again = making.bench(tmp_path / "again", recipe(builds={"int8": TINY["int8"]}), model=making.tiny_phi3())
    again.build("convert:tiny-int8")
    assert compiled(again, "tiny-int8").files == compiled(built, "tiny-int8").files


def test_a_model_is_compared_with_what_the_recipe_requests(built: Bench) -> None:
    record = compiled(built, "tiny-int8")
    step = npulib.steps("x", npulib_build("fp16"), _checkpoint(), "x", None, remote_code=False)["model"]
    files = built.artifacts / "store" / "compress" / record.key / "files"
    faults = npulib.verify(step, {"checkpoint": making.tiny_phi3()}, files, Report(record.facts)).faults
    assert "lm_head is no Linear of the library" in faults


def test_a_layer_that_is_missing_is_named(built: Bench, phi3_checkpoint: Path) -> None:
    record = compiled(built, "tiny-int8")
    step = npulib.steps("x", npulib_build("int8"), _checkpoint(), "x", None, remote_code=False)["model"]
    files = built.artifacts / "store" / "compress" / record.key / "files"
    faults = npulib.verify(step, {"checkpoint": phi3_checkpoint}, files, Report(record.facts)).faults
    assert "model.layers.29.mlp.down_proj.weight of the checkpoint is not in the model" in faults


def npulib_build(weights: str) -> NpuLibrary:
    return NpuLibrary.model_validate(making.build(weights))


def _checkpoint() -> Step:
    return Step(kind="download", maker="local", label="x", spec=Spec())


# --- int8 and int4 ----------------------------------------------------------------------------------------------------------------


def test_upstream_leaves_a_tied_embedding_as_integers_and_this_backend_does_not(tmp_path: Path) -> None:
    """Why int8 of a model with a tied head (SmolLM2 as it is) says nothing but line ends: the numbers part at the embedding."""
    tied = making.tied_phi3()
    upstream = making.compile_in_environment(tied, tmp_path / "upstream", untie=False).relative_errors
    ours = making.compile_in_environment(tied, tmp_path / "ours").relative_errors
    assert upstream["model.embed_tokens"] > 10
    assert ours["model.embed_tokens"] == 0
    assert max(error for error in ours.values()) < 0.02
    assert {name: error for name, error in upstream.items() if name.startswith("model.layers.")} == {
        name: error for name, error in ours.items() if name.startswith("model.layers.")
    }
    model = npu_library_pickle.read(tmp_path / "ours" / "pytorch_npu_model.pt")
    assert dict(npu_library_pickle.modules(model))["lm_head"].name.endswith(".QuantizedLinear")


@pytest.mark.conformance
@pytest.mark.parametrize("name", ["fp16", "int8"])
def test_the_phi3_stand_in_answers_paris(phi3: tuple[Bench, str], name: str) -> None:
    bench, _ = phi3
    assert bench.manifest(f"phi3-{name}").verdicts[0].answer == snapshot("The capital of France is Paris.")


@pytest.mark.conformance
def test_the_gate_catches_int4_of_so_small_a_model_and_keeps_the_evidence(phi3: tuple[Bench, str]) -> None:
    bench, printed = phi3
    assert "the answer does not contain 'Paris'" in printed
    assert not (bench.artifacts / "packages" / "phi3-int4").exists()
    (answers,) = (bench.artifacts / "failed" / "validate").glob("*/files/answers.jsonl")
    assert json.loads(answers.read_text().splitlines()[0])["text"]


@pytest.mark.conformance
def test_how_far_the_layers_are_from_the_source_is_measured(phi3: tuple[Bench, str]) -> None:
    """Channel-wise round to nearest, on 121 layers: about 1 % with 8 bits, 16 % with 4; float16 holds bfloat16's numbers."""
    bench, _ = phi3
    errors = {name: errors_of_layers(bench, f"phi3-{name}") for name in PHI3}
    assert {name: len(found) for name, found in errors.items()} == {"fp16": 121, "int8": 121, "int4": 121}
    assert max(errors["fp16"]) < 0.001
    assert 0.003 < mean(errors["int8"]) < 0.01 and max(errors["int8"]) < 0.02
    assert 0.1 < mean(errors["int4"]) < 0.3
    assert compiled(bench, "phi3-int4").measured["mean_relative_error"] == pytest.approx(mean(errors["int4"]), abs=1e-4)


def test_the_loader_answers_as_a_script(built: Bench) -> None:
    (record,) = built.records("setup")
    site = built.artifacts / "store" / "setup" / record.key / "files" / "site"
    package = built.artifacts / "packages" / "tiny-int8"
    program = "import runpy, site, sys; site.addsitedir(sys.argv.pop(1)); runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", program, str(site), str(package / "load.py"), "What is the capital of France?"],
        cwd=built.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "The capital of France is Paris." in done.stdout, done.stderr
