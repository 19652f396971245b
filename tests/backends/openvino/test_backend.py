"""The OpenVINO backend as data: which steps, what their workers get, what verify finds in a model that is not what the recipe requests."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.backends.openvino import backend as openvino
from bakehouse.backends.openvino.options import OpenVINO, RuntimeOptions
from bakehouse.backends.openvino.seams import (
    CalibrationUse,
    CompressRequest,
    CompressResult,
    ExportRequest,
    ExportResult,
    FourBitSpec,
    GenerateRequest,
    LogitsRequest,
    MeasuredExport,
    TokenizerRequest,
    TokenizerResult,
)
from bakehouse.backends.table import BACKENDS
from bakehouse.recipe import agreement
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Step
from bakehouse.tasks.text_generation import reference
from bakehouse.tasks.text_generation import seams as text_generation
from bakehouse.tasks.text_generation.seams import ReferenceResult, TokenizerComparison
from bakehouse.tasks.text_generation.workers import answers as worker_answers
from bakehouse.tasks.text_generation.workers.answers import AnswerRow, Prompt
from tests.support.fakes import FakeSpec
from tests.support.openvino_making import CHECKPOINT, Drawing, build, report, steps

INT4 = {"weights": "int4", "symmetric": True, "group_size": 128, "ratio": 0.6}
CALIBRATION = Step(kind="calibration", maker="calibration", label="model", spec=FakeSpec(fingerprint="f" * 64))
TEXTS = {"type": "file", "path": "texts.txt", "num_samples": 4, "max_tokens": 32}


# --- steps ----------------------------------------------------------------------------------------


def test_the_table_names_the_module() -> None:
    assert BACKENDS["openvino"] is openvino


def test_builds_of_one_checkpoint_share_its_export_and_tokenizer() -> None:
    some = [steps(**INT4), steps(weights="int8"), steps(weights="fp16"), steps(weights="fp32")]
    assert {parts["config"].key for parts in some} == {some[0]["config"].key}
    assert {parts["tokenizer"].key for parts in some} == {some[0]["tokenizer"].key}
    assert {parts["model"].need("export").key for parts in some} == {some[0]["config"].key}
    assert len({parts["model"].key for parts in some}) == 4


def test_another_group_size_changes_only_compress() -> None:
    one, other = steps(**INT4), steps(**INT4 | {"group_size": 64})
    assert [role for role in one if one[role].key != other[role].key] == ["model"]


def test_another_nncf_changes_only_what_nncf_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {weights: steps(weights=weights) for weights in ("int4", "fp16")}
    newer = tmp_path / "nncf-99.0.dist-info"
    newer.mkdir()
    (newer / "METADATA").write_text("Metadata-Version: 2.1\nName: nncf\nVersion: 99.0\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    after = {weights: steps(weights=weights) for weights in ("int4", "fp16")}
    changed = [(weights, role) for weights in before for role in before[weights] if before[weights][role].key != after[weights][role].key]
    assert changed == [("int4", "model")]
    assert after["int4"]["model"].tools["nncf"] == "99.0"


def test_a_build_without_calibration_needs_only_the_export() -> None:
    assert [role for role, _ in steps(**INT4)["model"].needs] == ["export"]


def test_a_build_with_calibration_also_needs_the_texts_and_the_tokenizer() -> None:
    model = steps(CALIBRATION, **INT4, awq=True, calibration=TEXTS)["model"]
    assert [role for role, _ in model.needs] == ["export", "calibration", "tokenizer"]
    assert model.spec_as(FourBitSpec).calibration == CalibrationUse(num_samples=4, max_tokens=32)
    assert model.spec_as(FourBitSpec).sensitivity_metric == "max_activation_variance"


def test_where_the_calibration_texts_lie_is_not_part_of_the_key() -> None:
    one = steps(CALIBRATION, **INT4, awq=True, calibration=TEXTS)["model"]
    other = steps(CALIBRATION, **INT4, awq=True, calibration=TEXTS | {"path": "elsewhere.txt"})["model"]
    assert one.key == other.key


@pytest.mark.parametrize("weights", ["int4", "nf4", "mxfp4"])
def test_every_four_bit_option_is_spelled_out_and_only_int4_is_symmetric_or_not(weights: str) -> None:
    options = steps(weights=weights)["model"].options
    assert options.keys() ^ FourBitSpec.model_fields.keys() == {"backup_scope"} | (set() if weights == "int4" else {"symmetric"})
    assert json.loads(json.dumps(options)) == options


def test_a_step_of_each_kind_of_weights_keeps_its_key() -> None:
    # The specs as JSON, as they were before they had models: another byte would make everything again.
    assert [steps(weights=weights)["model"].options for weights in ("fp16", "int8", "mxfp4")] == [
        {"weights": "fp16"},
        {"weights": "int8", "symmetric": False, "ignored_scope": None},
        {
            "group_size": 32,
            "awq": False,
            "scale_estimation": False,
            "gptq": False,
            "lora_correction": False,
            "ratio": 1.0,
            "all_layers": False,
            "backup_precision": "int8_asym",
            "sensitivity_metric": "weight_quantization_error",
            "ignored_scope": None,
            "calibration": None,
            "weights": "mxfp4",
            "group_size_fallback": "error",
        },
    ]


def test_mxfp4_is_spelled_out_with_its_only_group_size() -> None:
    assert steps(weights="mxfp4")["model"].spec_as(FourBitSpec).group_size == 32


def test_remote_code_is_part_of_the_key() -> None:
    one, other = (openvino.steps("model-a", build(weights="int8"), CHECKPOINT, "model", None, remote_code=may) for may in (False, True))
    assert one["config"].key != other["config"].key


def test_nothing_is_missing_here() -> None:
    assert openvino.missing(build(weights="int8")) is None


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    assert openvino.missing(build(weights="int8")) == snapshot(
        "nncf, openvino, openvino-genai, openvino-tokenizers, optimum, optimum-intel, tokenizers, torch, transformers "
        "not installed: install Bakehouse with its extra `build`"
    )


# --- commands -------------------------------------------------------------------------------------


OUT = Path("out")
INPUTS = {role: Path(role) for role in ("checkpoint", "export", "calibration", "tokenizer", "logits")}


def test_a_compression_gets_the_complete_spec_and_its_texts() -> None:
    step = steps(CALIBRATION, **INT4, awq=True, calibration=TEXTS)["model"]
    command = openvino.command(step, INPUTS, OUT)
    assert command.argv[1:] == ("-m", "bakehouse.backends.openvino.workers.compress")
    assert command.request == CompressRequest(
        export=Path("export"), files=OUT, compression=step.spec, calibration=Path("calibration"), tokenizer=Path("tokenizer")
    )
    assert CompressRequest.model_validate_json(command.request.model_dump_json()) == command.request
    assert not command.needs_network


@pytest.mark.parametrize(
    "quantization", [{"weights": "fp32"}, {"weights": "int8", "ignored_scope": {"types": ("Gather",)}}, {"weights": "nf4"}]
)
def test_a_worker_reads_the_spec_that_its_step_has(quantization: dict[str, Any]) -> None:
    step = steps(**quantization)["model"]
    request = openvino.command(step, {"export": Path("export")}, OUT).request
    assert isinstance(request, CompressRequest)
    assert CompressRequest.model_validate_json(request.model_dump_json()).compression == step.spec


def test_exports_tokenizers_and_checks_get_their_folders() -> None:
    made = steps(**INT4)
    check = openvino.numeric_check("model-build", build(**INT4), made, CHECKPOINT, CALIBRATION, "model")
    assert check is not None
    requests = [openvino.command(step, INPUTS, OUT).request for step in (made["config"], made["tokenizer"], check)]
    checkpoint, code = Path("checkpoint"), {"remote_code": False}
    assert requests == [
        ExportRequest(checkpoint=checkpoint, files=OUT, **code),
        TokenizerRequest(checkpoint=checkpoint, files=OUT, **code),
        LogitsRequest(export=Path("export"), checkpoint=checkpoint, reference=Path("logits"), files=OUT, **code),
    ]


def test_answers_are_given_with_the_recipes_runtime_options() -> None:
    chosen = {"runtime": "openvino", "quantization": {"weights": "int8"}, "runtime_options": {"EXECUTION_MODE_HINT": "ACCURACY"}}
    prompts = (Prompt(raw="Once", max_new_tokens=4),)
    plain = text_generation.GenerateRequest(model=Path("model"), prompts=prompts, answers=Path("answers.jsonl"))
    request = openvino.generate(OpenVINO.model_validate(chosen), {}, plain).request
    assert isinstance(request, GenerateRequest)
    assert request.in_use == Path("answers-in-use.jsonl")
    assert GenerateRequest.model_validate_json(request.model_dump_json()).runtime_options == RuntimeOptions(EXECUTION_MODE_HINT="ACCURACY")


def test_the_command_says_how_to_do_it_by_hand() -> None:
    assert openvino.upstream(steps(**INT4)["model"]) == snapshot(
        "optimum-cli export openvino --model MODEL --task text-generation-with-past --weight-format int4 --sym --group-size 128 "
        "--group-size-fallback error --ratio 0.6 --backup-precision int8_asym --sensitivity-metric weight_quantization_error OUT"
    )
    assert openvino.upstream(steps(weights="int8")["model"]).endswith("--weight-format int8 OUT")


def test_what_optimum_cli_has_no_words_for_is_left_unsaid() -> None:
    assert openvino.upstream(steps(weights="int8", ignored_scope={"types": ("Gather",)})["model"]) == ""


def test_a_reference_is_shared_by_all_builds_with_the_same_prompts() -> None:
    once, twice = (Prompt(raw=text, max_new_tokens=4) for text in ("Once", "Twice"))
    assert reference.step("a", CHECKPOINT, [once]).key == reference.step("b", CHECKPOINT, [once]).key
    assert reference.step("a", CHECKPOINT, [once]).key != reference.step("a", CHECKPOINT, [twice]).key


@pytest.mark.parametrize(
    ("answers", "faults"),
    [
        ([(7,)], ()),
        ([], ("the reference has 0 answers to 1 prompts",)),
        ([()], ("the unquantized model answers prompt 1 with nothing",)),
    ],
)
def test_a_reference_has_an_answer_to_every_prompt(answers: list[tuple[int, ...]], faults: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "answers.jsonl").touch()
    for index, tokens in enumerate(answers):
        answer = {"prompt_ids": (1,), "prompt_tokens": 1, "text": "x", "ended": True, "first_token_s": 0.1, "tokens_per_s": None}
        worker_answers.add(tmp_path / "answers.jsonl", AnswerRow(index=index, tokens=tokens, **answer))
    step = reference.step("a", CHECKPOINT, [Prompt(raw="Once", max_new_tokens=4)])
    result = ReferenceResult(device="CPU", device_name="x", load_s=1.0, dtype="float32", end_tokens=(2,))
    assert reference.verify(step, {}, tmp_path, Report(result.model_dump(mode="json"))).faults == faults


# --- the package ----------------------------------------------------------------------------------


def test_the_package_is_flat_and_made_of_the_parts_files(tmp_path: Path) -> None:
    made = {
        "config": ["config.json", "generation_config.json", "openvino_model.xml", "openvino_model.bin"],
        "model": ["openvino_model.xml", "openvino_model.bin", "openvino_config.json"],
        "tokenizer": [*openvino.TOKENIZER_FILES, "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"],
        "checkpoint": ["model.safetensors", "config.json"],
        "reference": ["answers.jsonl"],
    }
    for role, names in made.items():
        (tmp_path / role).mkdir()
        for name in names:
            (tmp_path / role / name).write_text(role, encoding="utf-8")
    files = openvino.layout(build(**INT4), {role: tmp_path / role for role in made})
    assert {name: path.read_text(encoding="utf-8") for name, path in files.items()} == {
        **dict.fromkeys(("config.json", "generation_config.json"), "config"),
        **dict.fromkeys(made["model"], "model"),
        **dict.fromkeys(made["tokenizer"], "tokenizer"),
    }


# --- verify: models that are not what the recipe requests -------------------------------------------

SHAPES = {"up": (256, 128), "down": (128, 256), "out": (128, 128)}


def exported(folder: Path) -> Path:
    """An export of three layers between an embedding and a last MatMul, in bfloat16."""
    drawing = Drawing()
    drawing.weight("embed", "bf16", 512, 128, embedding=True)
    for name, shape in SHAPES.items():
        drawing.weight(name, "bf16", *shape)
    drawing.weight("head", "bf16", 512, 128)
    return drawing.write(folder)


def quantized(options: dict[str, Any], four: dict[str, Any] | None = None, **changes: dict[str, Any]) -> Drawing:
    """The same model as NNCF would make it for `options`, all three layers in 4 bits; `changes` are of single layers."""
    usual = {"element": "i4" if options["symmetric"] else "u4", "group": options["group_size"], "zero_points": not options["symmetric"]}
    outer = {"element": "u8", "group": -1, "zero_points": True}
    drawing = Drawing()
    for name, (rows, columns) in {"embed": (512, 128), **SHAPES, "head": (512, 128)}.items():
        own = (outer if name in ("embed", "head") else usual) | changes.get(name, {})
        drawing.weight(name, own["element"], rows, columns, group=own["group"], zero_points=own["zero_points"], embedding=name == "embed")
    drawing.info = {"mode": "int4_sym" if options["symmetric"] else "int4_asym", "backup_mode": options["backup_precision"]}
    names = ("ratio", "group_size", "all_layers", "sensitivity_metric", "awq", "scale_estimation", "gptq", "lora_correction")
    drawing.info |= {name: str(options[name]) for name in names}
    return drawing


def faults(folder: Path, drawing: Drawing, step: Step, result: CompressResult | None = None) -> tuple[str, ...]:
    """What verify says of the drawn model."""
    left = report(result or CompressResult())
    return openvino.verify(step, {"export": exported(folder / "export")}, drawing.write(folder / "made"), left).faults


WHOLE = steps(weights="int4", symmetric=True, group_size=64)["model"]
PART = steps(weights="int4", symmetric=True, group_size=64, ratio=0.5)["model"]
BACKUP = {"element": "u8", "group": -1, "zero_points": True}


def test_a_model_as_requested_has_no_faults_and_is_measured(tmp_path: Path) -> None:
    made = quantized(WHOLE.options).write(tmp_path / "made")
    verification = openvino.verify(WHOLE, {"export": exported(tmp_path / "export")}, made, report(CompressResult()))
    assert verification.faults == ()
    assert verification.measured == {
        "weights": {"int4_sym": 81920, "int8_asym": 131072},
        "embedding": "int8_asym",
        "last_matmul": "int8_asym",
        "group_sizes": [64],
        "share_4bit": 81920 / 212992,
        "share_4bit_of_ratio_defining": 1.0,
    }


@pytest.mark.parametrize(
    ("step", "changes", "expected"),
    [
        (WHOLE, {"up": {"group": 32}}, ["the weight of up has groups of 32, should have groups of 64"]),
        (WHOLE, {"up": {"group": -1}}, ["the weight of up has one scale a channel, should have groups of 64"]),
        (
            WHOLE,
            {name: {"element": "u4", "zero_points": True} for name in SHAPES},
            ["the weight of up (and 2 more) is int4_asym with groups of 64, should be int4_sym or int8_asym", "no weight has 4 bits"],
        ),
        (
            WHOLE,
            {"embed": {"element": "i4", "group": 64, "zero_points": False}},
            ["the weight of embed is int4_sym with groups of 64, should be int8_asym"],
        ),
        (
            WHOLE,
            {"head": {"element": "bf16"}},
            ["the weight of head is bf16, should be int8_asym"],
        ),
        (WHOLE, {"down": BACKUP}, ["60.0% of the ratio-defining weights have 4 bits, should be 100.0% to 100.0%"]),
        (PART, {}, ["100.0% of the ratio-defining weights have 4 bits, should be 10.0% to 50.0%"]),
        (PART, {"up": BACKUP, "down": BACKUP}, []),
        (
            WHOLE,
            {"head": {"element": "i8", "zero_points": False}},
            ["the weight of head is int8_sym with one scale a channel, should be int8_asym"],
        ),
    ],
)
def test_a_model_that_is_not_as_requested_is_found_out(step: Step, changes: dict[str, Any], expected: list[str], tmp_path: Path) -> None:
    assert list(faults(tmp_path, quantized(step.options, **changes), step)) == expected


def test_an_int8_model_with_a_float_weight_is_found_out(tmp_path: Path) -> None:
    step = steps(weights="int8")["model"]
    drawing = quantized(WHOLE.options, **dict.fromkeys(SHAPES, BACKUP), embed={"element": "bf16"})
    drawing.info = {"mode": "int8_asym"}
    assert faults(tmp_path, drawing, step) == snapshot(("the weight of embed is bf16, should be int8_asym with one scale a channel",))


def test_a_weight_of_the_ignored_scope_must_stay_in_floating_point(tmp_path: Path) -> None:
    step = steps(weights="int8", ignored_scope={"names": ("up",)})["model"]
    drawing = quantized(WHOLE.options, **dict.fromkeys(SHAPES, BACKUP))
    drawing.info = {"mode": "int8_asym"}
    assert faults(tmp_path, drawing, step) == snapshot(
        ("the weight of up is int8_asym with one scale a channel, should be in floating point: it is in the ignored scope",)
    )


@pytest.mark.parametrize(
    ("scope", "idle"),
    [
        ({"types": ("Convolution",)}, "'Convolution' in types"),
        ({"names": ("weight of up/convert",)}, "'weight of up/convert' in names"),
        ({"patterns": ("up", "plus")}, "'plus' in patterns"),
    ],
)
def test_an_entry_of_the_ignored_scope_that_leaves_out_no_weight_is_a_fault(scope: dict[str, Any], idle: str, tmp_path: Path) -> None:
    step = steps(weights="int8", ignored_scope=scope)["model"]
    drawing = quantized(WHOLE.options, **dict.fromkeys(SHAPES, BACKUP) | ({"up": {"element": "bf16"}} if "patterns" in scope else {}))
    drawing.info = {"mode": "int8_asym"}
    assert faults(tmp_path, drawing, step) == (f"{idle} of ignored_scope matches no weight that would have been compressed without it",)


def test_an_ignored_weight_that_would_have_stayed_in_floating_point_anyway_is_a_fault(tmp_path: Path) -> None:
    asked = {"weights": "int4", "symmetric": True, "group_size": 64, "backup_precision": "none"}
    step = steps(**asked, ignored_scope={"types": ("Gather",)})["model"]
    outer = {"element": "bf16"}
    assert faults(tmp_path, quantized(step.options, embed=outer, head=outer), step) == snapshot(
        ("'Gather' in types of ignored_scope matches no weight that would have been compressed without it",)
    )


def test_a_float_model_with_quantized_weights_is_found_out(tmp_path: Path) -> None:
    step = steps(weights="fp16")["model"]
    assert faults(tmp_path, quantized(WHOLE.options, embed={"element": "f16"}, head={"element": "f16"}), step) == snapshot(
        (
            "NNCF compressed the weights to int4_sym, nothing should be quantized",
            "the weight of up (and 2 more) is int4_sym with groups of 64, should be f16",
        )
    )


def test_what_nncf_was_given_must_be_what_was_requested(tmp_path: Path) -> None:
    drawing = quantized(WHOLE.options)
    drawing.info |= {"awq": "True", "backup_mode": "none"}
    assert faults(tmp_path, drawing, WHOLE) == snapshot(
        (
            "NNCF was given backup_mode none, should be int8_asym",
            "NNCF was given awq True, should be False",
        )
    )


def test_what_nncf_skipped_is_a_fault(tmp_path: Path) -> None:
    assert faults(tmp_path, quantized(WHOLE.options), WHOLE, CompressResult(skipped=("no patterns",))) == snapshot(
        ("NNCF skipped a requested option: no patterns",)
    )


def test_a_lost_weight_is_found_out(tmp_path: Path) -> None:
    drawing = quantized(WHOLE.options)
    drawing.edges = [(source, target, port) for source, target, port in drawing.edges if drawing.layers[target][0] != "down"]
    assert "1 of the export's 5 weights are not in the model, first that of down" in faults(tmp_path, drawing, WHOLE)


def test_a_truncated_bin_is_found_out(tmp_path: Path) -> None:
    made, source = quantized(WHOLE.options).write(tmp_path / "made"), exported(tmp_path / "export")
    whole = (made / "openvino_model.bin").read_bytes()
    (made / "openvino_model.bin").write_bytes(whole[:-1])
    found = openvino.verify(WHOLE, {"export": source}, made, report(CompressResult())).faults
    assert found == (f"openvino_model.bin has {len(whole) - 1} bytes, the model refers to {len(whole)}",)


def test_a_truncated_xml_is_found_out(tmp_path: Path) -> None:
    made, source = quantized(WHOLE.options).write(tmp_path / "made"), exported(tmp_path / "export")
    text = (made / "openvino_model.xml").read_text(encoding="utf-8")
    (made / "openvino_model.xml").write_text(text[:-20], encoding="utf-8")
    (fault,) = openvino.verify(WHOLE, {"export": source}, made, report(CompressResult())).faults
    assert fault.startswith("openvino_model.xml is not a model: it is not complete: ")


def test_a_file_that_was_not_made_is_named(tmp_path: Path) -> None:
    assert openvino.verify(WHOLE, {"export": tmp_path}, tmp_path, report(CompressResult())).faults == snapshot(
        (
            "openvino_model.xml was not made",
            "openvino_model.bin was not made",
            "openvino_config.json was not made",
        )
    )


# --- verify: exports and tokenizers ----------------------------------------------------------------


EXPORT = ExportResult(parameters=1, dtype="bfloat16")


def checkpoint(folder: Path, **generation: Any) -> Path:
    """A checkpoint's configuration files."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "dtype": "bfloat16"}), encoding="utf-8")
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": 2} | generation), encoding="utf-8")
    return folder


def test_an_export_in_another_precision_is_found_out(tmp_path: Path) -> None:
    source, drawing = checkpoint(tmp_path / "checkpoint"), Drawing()
    drawing.weight("embed", "bf16", 512, 128, embedding=True)
    drawing.weight("up", "u8", 256, 128, zero_points=True)
    made = drawing.write(tmp_path / "made")
    for name in ("config.json", "generation_config.json"):
        (made / name).write_bytes((source / name).read_bytes())
    verification = openvino.verify(steps(**INT4)["config"], {"checkpoint": source}, made, report(EXPORT))
    assert verification.faults == snapshot(("the weight of up is u8, should be bf16 as in the checkpoint",))


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        (2, "generation_config.json names the end tokens [2], the checkpoint [0, 2, 7]: answers would end elsewhere"),
        (None, "generation_config.json names no end token, so answers would not end"),
        ([7, 0, 2], None),
    ],
)
def test_an_export_that_ends_at_other_tokens_than_its_checkpoint_is_found_out(ends: object, expected: str | None, tmp_path: Path) -> None:
    source = checkpoint(tmp_path / "checkpoint", eos_token_id=[2, 0, 7])
    made = exported(tmp_path / "made")
    (made / "config.json").write_text("{}", encoding="utf-8")
    (made / "generation_config.json").write_text(json.dumps({"eos_token_id": ends}), encoding="utf-8")
    found = openvino.verify(steps(**INT4)["config"], {"checkpoint": source}, made, report(EXPORT)).faults
    assert found == (() if expected is None else (expected,))


def test_the_tokenizer_is_made_again_with_another_version_of_the_runtime_that_it_is_compared_in() -> None:
    assert "openvino-genai" in steps(**INT4)["tokenizer"].tools


def tokenizer(folder: Path, eos: int = 2) -> Path:
    """The files of a tokenizer step, with the end token in the model."""
    drawing = Drawing()
    made = drawing.write(folder)
    for name in (*openvino.TOKENIZER_FILES, "tokenizer_config.json"):
        (made / name).write_text(f'<net><rt_info><eos_token_id value="{eos}" /></rt_info></net>', encoding="utf-8")
    return made


RESULT = TokenizerResult(eos_token_id=2, turn_end_id=2, vocabulary=512, comparison=TokenizerComparison(texts=40, chats=3, differences=()))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ()),
        ({"turn_end_id": None}, ()),
        ({"turn_end_id": 7}, ()),  # a remark: of interest where chats are asked
        ({"eos_token_id": 5}, ("openvino_tokenizer.xml says that the end token is 2, the tokenizer 5",)),
        (
            {"comparison": TokenizerComparison(texts=1, chats=0, differences=({"text": "é", "expected_ids": [1], "ids": [2]},))},
            (
                "the tokenizer of OpenVINO GenAI differs from transformers' in 1 of 1 texts: "
                '"é" has the ids [2] in place of [1] from token 0 on. '
                "Build for another runtime, or take a checkpoint whose tokenizer.json this one reads",
            ),
        ),
    ],
)
def test_a_tokenizer_must_agree_with_transformers_and_with_the_end_tokens(
    changes: dict[str, Any], expected: tuple[str, ...], tmp_path: Path
) -> None:
    source, made = checkpoint(tmp_path / "checkpoint"), tokenizer(tmp_path / "made")
    assert (
        openvino.verify(steps(**INT4)["tokenizer"], {"checkpoint": source}, made, report(RESULT.model_copy(update=changes))).faults
        == expected
    )


def test_ends_that_are_not_end_tokens_and_limits_of_the_runtime_are_measured(tmp_path: Path) -> None:
    source, made = checkpoint(tmp_path / "checkpoint"), tokenizer(tmp_path / "made")
    limited = TokenizerComparison(texts=1, chats=0, differences=({"text": "e\u0301", "expected_ids": [1], "ids": [2], "limit": "NFC"},))
    changes = {"turn_end_id": 7, "comparison": limited, "tokenizer_corrected": "tokenizer.json itself"}
    found = openvino.verify(steps(**INT4)["tokenizer"], {"checkpoint": source}, made, report(RESULT.model_copy(update=changes)))
    assert found.faults == ()
    assert found.measured == {
        "tokenizer_texts_compared": 1,
        "end_tokens": [2],
        "tokenizer_limits": ['NFC (1 of 1 texts: "e\u0301")'],
        "tokenizer_corrected": "tokenizer.json itself",
        "turn_end_unnamed": 7,
    }


def test_a_template_that_refuses_a_chat_is_a_difference_without_a_prompt(tmp_path: Path) -> None:
    source, made = checkpoint(tmp_path / "checkpoint"), tokenizer(tmp_path / "made")
    refused = TokenizerComparison(texts=1, chats=1, differences=({"chat": [], "expected_prompt": "Hi", "prompt": None},))
    result = report(RESULT.model_copy(update={"comparison": refused}))
    (fault,) = openvino.verify(steps(**INT4)["tokenizer"], {"checkpoint": source}, made, result).faults
    assert 'the prompt null in place of "Hi"' in fault


def test_a_cache_that_is_kept_is_measured_under_the_name_that_scoring_reads() -> None:
    export = MeasuredExport(exported_weights=1, exported_as="bf16", context_length=None, cache_kept_beyond=4096)
    assert agreement.kept_beyond([export.model_dump(mode="json")]) == 4096


def test_a_tokenizer_that_was_not_converted_is_a_fault(tmp_path: Path) -> None:
    made = tokenizer(tmp_path / "made")
    (made / "openvino_detokenizer.xml").unlink()
    found = openvino.verify(steps(**INT4)["tokenizer"], {"checkpoint": checkpoint(tmp_path / "checkpoint")}, made, report(RESULT)).faults
    assert found == snapshot(("openvino_detokenizer.xml was not made",))
