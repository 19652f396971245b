"""The real doit on a tiny model, from an empty artifacts folder: what runs, what does not, and what is said."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.package.file_names import PROOFS
from tests.support import lanes
from tests.support.bench import GOLDEN, INT4, ROOT, Bench, ran, recipe

HEAVY = ("torch", "transformers", "openvino", "nncf", "huggingface_hub", "optimum", "numpy")
BUILDS = lanes.OPENVINO.builds
ALL = lanes.OPENVINO.names()

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def built(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Three builds of the tiny model, made once; tests that change something work on a copy."""
    return lanes.baked(lanes.OPENVINO, tmp_path_factory, tiny_checkpoint)


@pytest.fixture
def copy(built: Bench, tmp_path: Path) -> Iterator[Bench]:
    yield built.copy(tmp_path / "copy")


def test_three_builds_share_one_download_one_export_and_one_tokenizer(built: Bench) -> None:
    once = ("download", "export", "tokenizer", "reference", "reference_logits", "numeric_check")
    made = {kind: len(built.records(kind)) for kind in (*once, "compress", "validate", "package")}
    assert made == {**dict.fromkeys(once, 1), "compress": 3, "validate": 3, "package": 3}


@pytest.mark.parametrize("name", ALL)
def test_a_package_is_a_real_folder_with_everything_in_it_and_answers(built: Bench, name: str) -> None:
    package = built.artifacts / "packages" / name
    assert not any(path.is_symlink() for path in [package, *package.rglob("*")])
    names = {path.name for path in package.iterdir()}
    assert names >= {f"openvino_{part}.{end}" for part in ("model", "tokenizer", "detokenizer") for end in ("xml", "bin")}
    assert names >= {
        "config.json",
        "generation_config.json",
        "chat_template.jinja",
        "bakehouse.json",
        "README.md",
        "recipe.yaml",
        "LICENSE",
    }
    assert "Paris" in built.manifest(name).verdicts[0].answer


def test_the_manifest_lists_every_other_file_of_the_package_but_the_proofs_which_list_it(built: Bench) -> None:
    package = built.artifacts / "packages" / "tiny-int4"
    apart = {"bakehouse.json", *PROOFS}
    assert {file.path for file in built.manifest("tiny-int4").files} == {path.name for path in package.iterdir()} - apart
    assert apart < {path.name for path in package.iterdir()}


@pytest.mark.parametrize("name", ALL)
def test_a_package_says_nothing_of_the_machine_that_made_it(built: Bench, name: str) -> None:
    here = (str(built.folder), str(ROOT), sys.prefix)
    for path in (built.artifacts / "packages" / name).iterdir():
        found = [text for text in here if text.encode() in path.read_bytes()]
        assert not found, f"{path.name} holds {found}"


def test_a_second_run_runs_nothing(built: Bench) -> None:
    output = built.build("build")
    assert ran(output) == []
    for name in ALL:
        assert re.search(rf"{name} +0 of \d+ .* The capital of France is Paris\.", output)


@pytest.mark.parametrize("command", [["build:tiny-int4"], ["list"], ["lint"], []])
def test_nothing_to_do_is_found_out_without_a_heavy_import(built: Bench, command: list[str]) -> None:
    env = {**os.environ, "PIPELINE_RECIPES": str(built.recipes), "PIPELINE_ARTIFACTS": str(built.artifacts)}
    argv = [sys.executable, "-X", "importtime", "-m", "doit", *command]
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "bakehouse" in imported
    assert not imported & set(HEAVY)


def test_list_shows_every_build_in_one_line_and_how_it_stands(built: Bench, tmp_path: Path) -> None:
    lines = built.build("list").splitlines()
    assert [line.split()[:2] for line in lines] == [[f"build:{name}", "built"] for name in ALL]
    empty = Bench(tmp_path)
    empty.write(recipe(builds=BUILDS))
    empty.add_model(built.recipes / "model")
    assert [line.split()[:2] for line in empty.build("list").splitlines()] == [[f"build:{name}", "-"] for name in ALL]


def test_bare_doit_shows_the_builds_and_what_to_type_next_and_starts_nothing(built: Bench, tmp_path: Path) -> None:
    empty = Bench(tmp_path)
    empty.write(recipe(builds=BUILDS))
    empty.add_model(built.recipes / "model")
    output = empty.build()
    assert "build:tiny-int4" in output
    assert "bakehouse build NAME" in output
    assert not (empty.artifacts / "store").exists()


def test_deleting_whatever_doit_may_remember_changes_nothing(copy: Bench) -> None:
    assert not list(ROOT.glob(".doit.db*"))
    assert not list(copy.folder.rglob("*doit*"))
    assert ran(copy.build("build")) == []


def test_another_expectation_runs_validation_and_packaging_again_and_nothing_else(copy: Bench) -> None:
    copy.write(recipe(builds={"int4": BUILDS["int4"]}, golden=[{**GOLDEN[0], "contains": ["Paris", "France"]}]))
    assert ran(copy.build("build")) == ["validate:tiny-int4", "package:tiny-int4", "build:tiny-int4"]


def test_another_prompt_asks_the_unquantized_model_again_too(copy: Bench) -> None:
    golden = [*GOLDEN, {"prompt": "What is two plus two?", "contains": ["four"], "max_new_tokens": 32}]
    copy.write(recipe(builds={"int4": BUILDS["int4"]}, golden=golden))
    assert ran(copy.build("build")) == ["validate:tiny-reference", "validate:tiny-int4", "package:tiny-int4", "build:tiny-int4"]


def test_another_group_size_runs_compression_and_what_follows_and_going_back_runs_nothing(copy: Bench) -> None:
    copy.write(recipe(builds={"int4": {"runtime": "openvino", "quantization": {**INT4, "group_size": 64}}}))
    after = ["convert:tiny-int4", "validate:tiny-int4", "validate:tiny-int4-fidelity", "package:tiny-int4", "build:tiny-int4"]
    assert ran(copy.build("build")) == after
    assert copy.manifest("tiny-int4").measured["model"]["group_sizes"] == [64]
    copy.write(recipe(builds=BUILDS))
    # only the package's name is pointed back
    assert ran(copy.build("build")) == ["build:tiny-int4"]
    assert copy.manifest("tiny-int4").measured["model"]["group_sizes"] == [128]


def test_another_version_of_nncf_converts_again_and_says_why(copy: Bench, tmp_path: Path) -> None:
    other = tmp_path / "other" / "nncf-9.9.9.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: nncf\nVersion: 9.9.9\n")
    moved = Bench(copy.folder, {"PYTHONPATH": str(other.parent)})
    lines = [line.split(maxsplit=2) for line in moved.build("plan", "tiny-int4", "tiny-fp16").splitlines()]
    would = {words[1]: words[2] for words in lines if words[0] == "run"}
    assert would.keys() == {"convert:tiny-int4", "validate:tiny-int4", "validate:tiny-int4-fidelity", "package:tiny-int4"}
    assert would["convert:tiny-int4"] == "nncf 3.4.0 -> 9.9.9"


def test_the_plan_shows_what_is_there_and_what_is_not_needed(copy: Bench) -> None:
    assert copy.build("plan", "tiny-int4").splitlines()[-1] == "nothing to do"
    for kind in ("download", "export"):
        copy.drop(kind)
    lines = {line.split()[1]: line.split()[0] for line in copy.build("plan", "tiny-int4").splitlines()[:-1]}
    assert (lines["download:tiny"], lines["export:tiny"], lines["convert:tiny-int4"]) == ("-", "-", "have")


def test_a_package_that_is_there_does_not_ask_for_its_source(copy: Bench) -> None:
    for kind in ("download", "export", "compress"):
        copy.drop(kind)
    assert ran(copy.build("build:tiny-int4")) == []


def test_what_is_cleaned_is_made_again_by_the_next_build_and_nothing_else_is_but_the_package(copy: Bench) -> None:
    assert copy.build("clean", "convert:tiny-int4").splitlines()[1:] == snapshot(
        ["forgotten  convert:tiny-int4", "forgotten  package:tiny-int4"]
    )
    assert ran(copy.build("build:tiny-int4")) == ["convert:tiny-int4", "package:tiny-int4", "build:tiny-int4"]


def test_a_plan_before_anything_is_made_tells_what_it_takes(built: Bench, tmp_path: Path) -> None:
    empty = Bench(tmp_path)
    empty.write(recipe(builds=BUILDS))
    empty.add_model(built.recipes / "model")
    last = empty.build("plan").splitlines()[-1]
    assert re.fullmatch(
        r"19 steps, about \d+ [kM]B to read from local sources, \d+ [kM]B of disk( \(.+ as files of their own\))?, "
        r"[\d.]+ [MG]B of memory for the largest",
        last,
    )


def test_cleaning_a_build_takes_its_package_and_keeps_the_store(copy: Bench) -> None:
    copy.build("clean", "build:tiny-int4")
    assert not (copy.artifacts / "packages" / "tiny-int4").exists()
    assert ran(copy.build("build:tiny-int4")) == ["build:tiny-int4"]


def test_cleaning_without_a_name_removes_nothing_and_says_how(copy: Bench) -> None:
    assert "nothing was removed" in copy.build("clean")
    assert ran(copy.build("build")) == []


def test_prune_drops_what_no_recipe_reaches_and_says_how_much(copy: Bench) -> None:
    copy.write(recipe(builds={"int4": BUILDS["int4"]}))
    would = copy.build("prune", "--dry-run")
    assert len(copy.records("compress")) == 3
    refused = copy.doit("prune")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        f"ERROR: 2 packages that no recipe in {copy.recipes} makes would be dropped:\n    tiny-fp16\n    tiny-int8\n"
        "  what to do: `bakehouse prune --dry-run` shows all that would go, and `bakehouse prune --yes` drops it.\n"
    )
    output = copy.build("prune", "--yes")
    assert [len(copy.records(kind)) for kind in ("compress", "validate", "package", "export")] == [1, 1, 1, 1]
    assert sorted(path.name for path in (copy.artifacts / "packages").iterdir()) == ["tiny-int4"]
    freed = re.search(r"([\d.]+ [kM]B) freed in ", output)
    assert freed and f"{freed[1]} would be freed in " in would
    assert ran(copy.build("build")) == []


def test_a_build_that_fails_leaves_the_older_good_package_and_its_evidence(copy: Bench) -> None:
    copy.write(recipe(builds=BUILDS, golden=[{**GOLDEN[0], "contains": ["Berlin"]}]))
    failed = copy.doit("build:tiny-int4")
    assert failed.returncode == 1
    assert "the answer does not contain 'Berlin'" in failed.stdout
    assert "Paris" in copy.manifest("tiny-int4").verdicts[0].answer
    evidence = list((copy.artifacts / "failed" / "validate").glob("*/files/answers.jsonl"))
    assert len(evidence) == 1
    assert "Paris" in evidence[0].read_text()
    assert "Traceback" not in failed.stdout + failed.stderr


@pytest.mark.parametrize("threads", ["1", "2"])
def test_one_failing_build_does_not_stop_the_others_with_continue(copy: Bench, threads: str) -> None:
    bad = recipe("bad", builds={"int4": BUILDS["int4"]}, golden=[{**GOLDEN[0], "contains": ["Berlin"]}])
    copy.write(recipe(builds={"int8": BUILDS["int8"]}), bad)
    copy.build("clean", "build:tiny-int8")
    done = copy.doit("build", "--continue", "-n", threads)
    assert (done.returncode, done.stderr) == (1, "")
    assert ran(done.stdout) == ["build:tiny-int8"]
    assert "-- build:bad-int4  not tried: validate:bad-int4 failed\n" in done.stdout
    table, _, repeated = done.stdout.partition(" in all; packages are in ")
    assert table.splitlines()[-2].split()[0] == "bad-int4" and "not built: validate:bad-int4 failed" in table.splitlines()[-2]
    assert repeated.splitlines()[1:3] == ["next: bakehouse run tiny-int8", "FAILED validate:bad-int4"]
    assert "the answer does not contain 'Berlin'" in repeated


def test_builds_made_side_by_side_are_the_same_bytes(built: Bench, tmp_path: Path) -> None:
    other = Bench(tmp_path)
    other.write(recipe(builds=BUILDS))
    other.add_model(built.recipes / "model")
    other.build("build", "-n", "2")
    for name in ALL:
        files = {file.path: file.sha256 for file in built.manifest(name).files if file.path != "README.md"}
        assert {file.path: file.sha256 for file in other.manifest(name).files if file.path != "README.md"} == files


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (
            ["build:tiny-int5"],
            "ERROR: There is no build called tiny-int5.\n  what to do: Perhaps `bakehouse build tiny-int8`, or tiny-int4 or tiny.",
        ),
        (["plan", "nonsense"], "ERROR: No build is called nonsense.\n  what to do: `bakehouse list` shows the names."),
        (["check", "build:x"], "ERROR: No build is called build:x.\n  what to do: `bakehouse list` shows the names."),
    ],
)
def test_a_wrong_name_is_answered_with_the_right_ones(built: Bench, args: list[str], text: str) -> None:
    done = built.doit(*args)
    assert done.returncode != 0
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_recipe_stops_every_command_with_all_errors_and_no_traceback(copy: Bench) -> None:
    copy.write(recipe(builds={"int4": {"runtime": "openvino", "quantization": {**INT4, "grop_size": 64}}}))
    for command in (["build"], ["list"], ["lint"], ["plan"], []):
        done = copy.doit(*command)
        assert done.returncode in (1, 3)
        assert "grop_size" in done.stderr and "group_size" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_group_size_that_fits_no_channel_is_refused_with_numbers_before_any_work(built: Bench, tmp_path: Path) -> None:
    empty = Bench(tmp_path)
    empty.write(recipe(builds={"int4": {"runtime": "openvino", "quantization": {**INT4, "group_size": 96}}}))
    empty.add_model(built.recipes / "model")
    done = empty.doit("build")
    assert done.returncode == 3
    assert "The recipe does not fit the model" in done.stderr
    assert "96" in done.stderr and "128" in done.stderr
    assert not (empty.artifacts / "store" / "download").exists()
