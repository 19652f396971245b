"""Recipes as values: what is refused, what defaults mean, and that equals are equal."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from bakehouse.backends.openvino.quantization import FourBit, Int4, Quantization, normal
from bakehouse.recipe import spdx, types
from bakehouse.recipe.brief import brief
from bakehouse.recipe.fits import full_name
from bakehouse.recipe.loader import load, load_all
from bakehouse.recipe.publish import CardWords, Destination, destination
from bakehouse.recipe.recipe import Recipe
from bakehouse.recipe.resolved import ResolvedBuild, as_recipe, home, resolve
from bakehouse.stages.package import recipe_text
from bakehouse.tasks.text_generation.golden import Golden
from tests.support.systems import not_on_windows

pytestmark = pytest.mark.needs_backend("openvino")

RECIPES = Path(__file__).parents[2] / "recipes"
QUANTIZATION: TypeAdapter[Quantization] = TypeAdapter(Quantization)
TEXTS = {"type": "file", "path": "texts.txt"}


def quantization(**fields: Any) -> Quantization:
    return QUANTIZATION.validate_json(json.dumps(fields))


def golden(**fields: Any) -> Golden:
    return Golden.model_validate_json(json.dumps({"contains": ["x"], **fields}))


def recipe(**fields: Any) -> Recipe:
    base = {
        "schema_version": 1,
        "name": "tiny",
        "description": "A model for tests",
        "source": {"type": "local", "path": "models/tiny", "license": "mit"},
        "golden": [{"prompt": "Hi", "contains": ["Hi"]}],
        "builds": {"fp16": {"runtime": "openvino", "quantization": {"weights": "fp16"}}},
    }
    return Recipe.model_validate_json(json.dumps({**base, **fields}))


def refused(**fields: Any) -> list[tuple[str, str]]:
    """Where and why a quantization is refused."""
    with pytest.raises(ValidationError) as caught:
        quantization(**fields)
    return [(".".join(map(str, error["loc"])), error["msg"]) for error in caught.value.errors()]


ALLOWED: dict[str, dict[str, Any]] = {
    "fp32": {"weights": "fp32"},
    "int8 symmetric": {"weights": "int8", "symmetric": True},
    "int8 with a scope": {"weights": "int8", "ignored_scope": {"types": ["Gather"]}},
    "int4 with layers kept in 8 bits": {"weights": "int4", "ratio": 0.8, "backup_scope": {"patterns": [".*down_proj.*"]}},
    "all layers but some": {"weights": "int4", "all_layers": True, "backup_precision": "int8_sym", "backup_scope": {"types": ["Gather"]}},
    "the recipe of phi3": {"weights": "int4", "symmetric": True, "group_size": 128, "ratio": 0.6},
    "channel-wise": {"weights": "int4", "symmetric": True, "group_size": -1, "all_layers": True},
    "adjusted groups with a backup": {"weights": "int4", "group_size_fallback": "adjust", "all_layers": True, "backup_precision": "none"},
    "awq without data": {"weights": "int4", "awq": True},
    "awq with data": {"weights": "int4", "awq": True, "calibration": TEXTS},
    "ranked by activations": {"weights": "int4", "ratio": 0.8, "sensitivity_metric": "hessian_input_activation", "calibration": TEXTS},
    "ranked by activations by default": {"weights": "int4", "ratio": 0.8, "calibration": TEXTS},
    "everything together": {"weights": "int4", "awq": True, "scale_estimation": True, "gptq": True, "calibration": TEXTS},
    "lora": {"weights": "int4", "lora_correction": True, "scale_estimation": True, "calibration": TEXTS},
    "gptq with the whole channel": {"weights": "int4", "group_size": -1, "gptq": True, "calibration": TEXTS},
    "nf4 with gptq": {"weights": "nf4", "gptq": True, "calibration": TEXTS},
    "mxfp4": {"weights": "mxfp4", "ratio": 0.5, "group_size_fallback": "ignore", "backup_precision": "int8_sym"},
    "mxfp4 ranked by activations": {"weights": "mxfp4", "ratio": 0.5, "calibration": TEXTS},
    "a calibration from the hub": {
        "weights": "int4",
        "gptq": True,
        "calibration": {"type": "huggingface", "repo": "owner/texts", "revision": "ab" * 20, "file": "texts.txt"},
    },
}


@pytest.mark.parametrize("fields", ALLOWED.values(), ids=ALLOWED.keys())
def test_what_upstream_takes_is_taken(fields: dict[str, Any]) -> None:
    assert quantization(**fields).weights == fields["weights"]


@pytest.mark.parametrize("fields", ALLOWED.values(), ids=ALLOWED.keys())
def test_a_quantization_spelled_out_is_one_too_and_means_the_same(fields: dict[str, Any]) -> None:
    spelled = normal(quantization(**fields))
    assert QUANTIZATION.validate_json(json.dumps(spelled.model_dump(mode="json"))) == spelled
    assert normal(spelled) == spelled


def test_all_that_is_wrong_with_a_quantization_is_reported_at_once_each_at_its_field() -> None:
    assert refused(weights="int4", gptq=True, lora_correction=True, group_size=-1, group_size_fallback="adjust") == [
        ("int4.group_size_fallback", "group_size -1 fits every channel, so group_size_fallback would change nothing"),
        ("int4.gptq", "gptq needs a calibration"),
        ("int4.lora_correction", "lora_correction needs a calibration"),
        ("int4.lora_correction", "lora_correction and gptq cannot be applied together"),
    ]


def test_mxfp4_has_no_group_size_to_choose() -> None:
    assert refused(weights="mxfp4", group_size=32) == [("mxfp4.group_size", "Extra inputs are not permitted")]


SAME: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a default given and left out": ({"weights": "int4"}, {"weights": "int4", "group_size": 128, "ratio": 1.0, "symmetric": False}),
    "a whole number for a ratio": ({"weights": "int4", "ratio": 1}, {"weights": "int4", "ratio": 1.0}),
    "the usual metric": (
        {"weights": "int4", "ratio": 0.6},
        {"weights": "int4", "ratio": 0.6, "sensitivity_metric": "weight_quantization_error"},
    ),
    "the usual metric with data": (
        {"weights": "int4", "ratio": 0.6, "calibration": TEXTS},
        {"weights": "int4", "ratio": 0.6, "calibration": TEXTS, "sensitivity_metric": "max_activation_variance"},
    ),
    "the order of a scope": (
        {"weights": "int8", "ignored_scope": {"names": ["b", "a", "b"]}},
        {"weights": "int8", "ignored_scope": {"names": ["a", "b"], "types": []}},
    ),
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME.keys())
def test_two_quantizations_that_mean_the_same_dump_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert normal(quantization(**one)).model_dump_json() == normal(quantization(**other)).model_dump_json()


def test_two_quantizations_that_differ_dump_differently() -> None:
    dumps = [normal(quantization(**fields)).model_dump_json() for fields in ALLOWED.values()]
    assert len(set(dumps)) == len(dumps)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"prompt": "Hi"}, {"messages": [{"role": "user", "content": "Hi"}]}),
        ({"prompt": "Hi", "contains": ["b", "a"]}, {"prompt": "Hi", "contains": ["a", "b", "a"]}),
        ({"prompt": "Hi", "equals": " x\n"}, {"prompt": "Hi", "equals": "x"}),
        ({"prompt": "Hi", "max_new_tokens": 64, "ends": True}, {"prompt": "Hi"}),
    ],
)
def test_two_golden_prompts_that_mean_the_same_dump_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    dumps = [resolve(recipe(golden=[{"contains": ["x"], **fields}]), "fp16").model_dump_json() for fields in (one, other)]
    assert dumps[0] == dumps[1]


def test_a_raw_prompt_is_not_a_chat() -> None:
    (resolved,) = resolve(recipe(golden=[{"raw": "Hi", "contains": ["Hi"]}]), "fp16").golden
    assert (resolved.raw, resolved.messages, resolved.prompt) == ("Hi", None, None)


def test_a_resolved_build_leaves_nothing_to_defaults() -> None:
    resolved = resolve(load(RECIPES / "phi3.yaml"), "int4-openvino").model_dump(mode="json")
    assert resolved == {
        "name": "phi3-int4-openvino",
        "recipe": "phi3",
        "build": "int4-openvino",
        "description": "Phi-3-mini-4k-instruct for AI PCs",
        "source": {
            "type": "huggingface",
            "repo": "microsoft/Phi-3-mini-4k-instruct",
            "revision": "f39ac1d28e925b323eae81227eaba4464caced4e",
            "license": "mit",
            "license_name": None,
            "license_link": None,
            "gguf": None,
            "remote_code": {},
        },
        "golden": [
            {
                "prompt": None,
                "messages": [{"role": "user", "content": "What is the capital of France?"}],
                "raw": None,
                "contains": ["Paris"],
                "matches": None,
                "equals": None,
                "max_new_tokens": 32,
                "ends": True,
            }
        ],
        "options": {
            "runtime": "openvino",
            "quantization": {
                "weights": "int4",
                "symmetric": True,
                "group_size": 128,
                "group_size_fallback": "error",
                "ratio": 0.6,
                "all_layers": False,
                "backup_precision": "int8_asym",
                "sensitivity_metric": "weight_quantization_error",
                "ignored_scope": None,
                "calibration": None,
                "awq": False,
                "scale_estimation": False,
                "gptq": False,
                "lora_correction": False,
            },
            "min_agreement": 0,
            "runtime_options": {"EXECUTION_MODE_HINT": "ACCURACY"},
        },
    }


def test_a_resolved_build_is_read_back_from_its_dump() -> None:
    for loaded in load_all(RECIPES):
        for build in loaded.recipe.builds:
            resolved = resolve(loaded.recipe, build)
            assert ResolvedBuild.model_validate_json(json.dumps(resolved.model_dump(mode="json"))) == resolved


def test_the_recipe_of_one_build_is_a_recipe_and_resolves_to_the_same(tmp_path: Path) -> None:
    awkward = recipe(
        description="no: 1.10 # 'é' \"日本\" " + "long " * 40 + "end",
        golden=[{"prompt": " yes\n\nno\t~\n", "contains": ["1.10", "null", "2026-11-22", "<<", "&a"], "matches": "^a|b\\d$"}],
    )
    for whole in (awkward, *(loaded.recipe for loaded in load_all(RECIPES))):
        for build in whole.builds:
            resolved = resolve(whole, build)
            path = tmp_path / "recipe.yaml"
            text = yaml.safe_dump(as_recipe(resolved).model_dump(mode="json", exclude_none=True), sort_keys=False, allow_unicode=True)
            path.write_text(text, encoding="utf-8")
            assert resolve(load(path), build) == resolved


@pytest.mark.needs_backend("npu_library", "onnxruntime_genai", "openvino_npu")
def test_the_issue_asks_for_exactly_these_builds() -> None:
    phi3 = load(RECIPES / "phi3.yaml")
    assert phi3.builds["int4-openvino"].quantization == Int4(weights="int4", symmetric=True, group_size=128, ratio=0.6)
    assert {name: build.quantization.weights for name, build in list(phi3.builds.items())[:6]} == {
        "int4-openvino": "int4",
        "int8-openvino": "int8",
        "fp16-openvino": "fp16",
        "int4-ort-cpu": "int4",
        "int4-ort-directml": "int4",
        "fp16-ort-directml": "fp16",
    }
    assert phi3.repositories == {"onnx": ("int4-ort-cpu", "int4-ort-directml", "fp16-ort-directml")}


def test_the_group_size_of_smollm2_divides_its_channels() -> None:
    quantized = load(RECIPES / "smollm2.yaml").builds["int4-openvino"].quantization
    assert isinstance(quantized, Int4)
    assert [size % quantized.group_size for size in (576, 1536)] == [0, 0]


def test_a_build_that_is_not_in_the_recipe_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        resolve(recipe(), "int4")


def test_a_full_name_joins_recipe_and_build() -> None:
    assert full_name("phi3", "int4-openvino") == "phi3-int4-openvino"


def test_a_full_name_of_eighty_characters_is_the_longest() -> None:
    builds = {"x" * 75: {"runtime": "openvino", "quantization": {"weights": "fp16"}}}
    assert len(full_name("tiny", next(iter(recipe(builds=builds).builds)))) == 80


@pytest.mark.parametrize("name", ["a", "0", "phi-3.5_mini", "console", "com10x", "a.b"])
def test_names_that_every_file_system_takes_are_taken(name: str) -> None:
    assert recipe(name=name).name == name


@pytest.mark.parametrize("name", ["", ".a", "-a", "a ", "a/b", "a:b", "a*", "A", "é", "a\n", "nul", "com1.x", "lpt9", "prn.yaml", "a."])
def test_names_that_some_file_system_does_not_take_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        recipe(name=name)


@pytest.mark.parametrize("path", ["a", "a/b.gguf", "a b/c", "a-1.0/ü.bin", ".hidden/x", "con fig"])
def test_paths_that_stay_inside_are_taken(path: str) -> None:
    assert recipe(source={"type": "local", "path": path, "license": "mit"}).source.type == "local"


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "a/..",
        "a/../b",
        "/",
        pytest.param("//a", marks=not_on_windows("there it is another machine's folder")),
        "../a/../b",
        "a/",
        "./a",
        "\\a",
        "a\\..\\b",
        "~",
        "~root/a",
        "$A",
        "${A}/b",
        "c:",
        "a\x00",
        "a\n",
        "a:b",
    ],
)
def test_paths_that_mean_different_things_elsewhere_are_refused(path: str) -> None:
    with pytest.raises(ValidationError):
        recipe(source={"type": "local", "path": path, "license": "mit"})


@pytest.mark.parametrize("version", ["1", "0.1.2", "2026.4.1.0", "1!2.0", "1.0rc1", "1.0.post1", "1.0.dev3", "1.0+cpu"])
def test_exact_versions_are_taken(version: str) -> None:
    assert _pypi(version=version)


@pytest.mark.parametrize("version", ["", "latest", "*", "1.*", "==1", ">=1", "1,2", "~=1", "v1", "1.0 ", "1.0-beta"])
def test_versions_that_are_not_exact_are_refused(version: str) -> None:
    with pytest.raises(ValidationError):
        _pypi(version=version)


def _pypi(**fields: str) -> Recipe:
    source = {"type": "pypi", "package": "a", "version": "1", "file": "a.gguf", "sha256": "ab" * 32, "license": "mit"}
    return recipe(source={**source, **fields})


@pytest.mark.parametrize(
    "licence", ["mit", "Apache-2.0", "LicenseRef-Llama-3", "MIT OR Apache-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"]
)
def test_spdx_identifiers_are_taken(licence: str) -> None:
    assert _pypi(license=licence).source.license == licence


@pytest.mark.parametrize(
    ("licence", "reason"),
    [
        ("Foo-9", "`Foo-9` is not on the SPDX licence list."),
        ("llama3", "`llama3` is not on the SPDX licence list."),
        ("MIT OR mitt", "`mitt` is not on the SPDX licence list."),
        ("other", "`other` alone does not name a licence."),
    ],
)
def test_licences_that_are_on_no_list_are_refused(licence: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(reason)):
        _pypi(license=licence)


@pytest.mark.parametrize(("written", "meant"), [("Apache2", "Apache-2.0"), ("mitt", "MIT"), ("MPL2", "MPL-2.0")])
def test_the_identifier_that_was_meant_is_found(written: str, meant: str) -> None:
    assert spdx.nearest(written) == meant


def test_a_licence_with_a_name_and_a_link_is_taken_as_the_hub_has_it() -> None:
    source = _pypi(license="other", license_name="llama3.2", license_link="LICENSE.txt").source
    assert (source.license, source.license_name, source.license_link) == ("other", "llama3.2", "LICENSE.txt")


@pytest.mark.parametrize("link", ["javascript:alert(1)", "https://a b", "../LICENSE", "https://a)b"])
def test_what_is_not_a_link_to_a_licence_is_refused(link: str) -> None:
    with pytest.raises(ValidationError, match="is not a valid link"):
        _pypi(license="other", license_name="own", license_link=link)


def test_a_name_for_a_licence_that_has_an_identifier_is_refused() -> None:
    with pytest.raises(ValidationError, match="Only `license: other` has a license_name"):
        _pypi(license_name="mine")


@pytest.mark.parametrize("repo", ["a", "a/b/c", "/b", "a/", "a b/c", "a/b--c", "a/b..c", "a/.b", "a/b.git", "https://a/b", "a/" + "b" * 95])
def test_what_the_hub_takes_for_no_repository_is_refused(repo: str) -> None:
    with pytest.raises(ValidationError):
        _pypi(base_model=repo)


def test_a_value_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        golden(prompt="Hi").prompt = "Ho"  # type: ignore[misc]


def test_only_what_looks_at_data_uses_a_calibration() -> None:
    users = [name for name, fields in ALLOWED.items() if isinstance(value := quantization(**fields), FourBit) and value.looks_at_data]
    assert "awq with data" in users
    assert "ranked by activations by default" in users
    assert "the recipe of phi3" not in [name for name in users if ALLOWED[name].get("calibration")]


# --- where builds are published -------------------------------------------------------------------

WHERE = {"repo": "bakers/{recipe}-{build}", "visibility": "public", "branch": "next", "tag": "v1", "sign": True, "allow_pickle": True}


def test_the_name_of_a_repository_is_filled_in_and_one_of_its_own_wins() -> None:
    publish = recipe(publish={"org": "bakers", "repo": "{org}/{name}-ov", "repos": {"fp16": "{org}/Tiny-fp16"}}).publish
    assert destination(publish, "tiny", "int4") == Destination("bakers/tiny-int4-ov", True, "main", False, None, False, False)
    assert destination(publish, "tiny", "fp16") == Destination("bakers/Tiny-fp16", True, "main", False, None, False, False)
    assert destination(recipe(publish=WHERE).publish, "tiny", "fp16") == Destination(
        "bakers/tiny-fp16", False, "next", False, "v1", True, True
    )


def test_a_build_without_a_repository_is_not_published() -> None:
    assert destination(recipe().publish, "tiny", "fp16") is None
    assert destination(recipe(publish={"tags": ["chat"]}).publish, "tiny", "fp16") is None
    assert destination(recipe(publish={"repos": {"fp16": "bakers/a"}}).publish, "tiny", "int4") is None
    assert destination(recipe(publish=WHERE).publish, "tiny", "fp16", listed_only=True) is None


def test_where_a_build_is_published_changes_its_card_and_nothing_else_of_it() -> None:
    published = resolve(recipe(publish=WHERE), "fp16")
    assert published.card == CardWords.model_validate({"repo": "bakers/tiny-fp16", "branch": "next"})
    assert published.model_copy(update={"card": None}) == resolve(recipe(), "fp16")


@pytest.mark.parametrize("more", [{"visibility": "public"}, {"pull_request": True}, {"tag": "v1"}, {"sign": True}, {"license": "MIT"}])
def test_how_a_build_is_published_changes_nothing_of_it(more: dict[str, Any]) -> None:
    plain = {"repo": "bakers/b"}
    assert resolve(recipe(publish=plain | more), "fp16") == resolve(recipe(publish=plain), "fp16")


@pytest.mark.needs_backend("onnxruntime_genai")
def test_a_build_that_is_published_only_within_a_repository_names_none() -> None:
    onnx = {"runtime": "onnxruntime-genai", "execution_provider": "cpu", "quantization": {"weights": "int4"}}
    joined = recipe(builds={"cpu": onnx}, repositories={"onnx": ["cpu"]}, publish={"repo": "bakers/{build}"})
    assert resolve(joined, "cpu").card is None
    words = CardWords.model_validate({"repo": "bakers/onnx"})
    again = Recipe.model_validate_json(json.dumps(yaml.safe_load(recipe_text(resolve(joined, "cpu"), bundle="onnx", words=words))))
    assert resolve(again, "cpu").card is None
    assert home(again, "onnx") == home(joined, "onnx")


def test_what_the_card_says_belongs_to_the_build_and_comes_with_the_recipe_of_its_package() -> None:
    words = {"license": "Apache-2.0", "license_reason": "Its owners allow both.", "tags": ["chat", "chat"]}
    resolved = resolve(recipe(publish={**WHERE, **words}), "fp16")
    assert (resolved.license, resolved.card and resolved.card.tags) == ("Apache-2.0", ("chat",))
    again = yaml.safe_load(recipe_text(resolved))
    assert resolve(Recipe.model_validate_json(json.dumps(again)), "fp16") == resolved


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        ("C:\\models\\tiny", "C:/models/tiny"),
        ("C:/models/tiny", "C:/models/tiny"),
        ("d:\\models/tiny.gguf", "d:/models/tiny.gguf"),
        ("\\\\server\\share\\tiny", "//server/share/tiny"),
        ("../tiny", "../tiny"),
    ],
)
def test_on_windows_a_path_is_taken_as_windows_writes_it(written: str, taken: str) -> None:
    assert types.local_path(written, windows=True) == taken
    pattern = TypeAdapter(types.LocalPath).json_schema()["pattern"]
    assert re.search(pattern, written), "an editor takes it, too"


@pytest.mark.needs_backend("onnxruntime_genai")
def test_an_option_that_means_nothing_at_its_default_is_not_among_the_few_words() -> None:
    build = {"runtime": "onnxruntime-genai", "execution_provider": "cpu", "quantization": {"weights": "int4"}}
    made = recipe(builds={"one": build}).builds["one"]
    assert brief(made.normal()) == "onnxruntime-genai int4 sym b32 cpu"


@pytest.mark.parametrize(
    ("written", "windows", "what"),
    [
        ("C:\\models\\tiny", False, "is one of Windows, and this is another system"),
        ("C:/models/tiny", False, "is one of Windows, and this is another system"),
        ("\\\\server\\share\\tiny", False, "has a backslash"),
        ("models\\tiny", False, "has a backslash"),
        ("models\\tiny", True, "has a backslash"),
        ("C:\\models\\..\\tiny", True, "has `..` after its beginning"),
        ("C:\\models\\nul", True, "has a part that is a device on Windows"),
        ("C:tiny", True, "has a character that file systems do not take"),
    ],
)
def test_a_path_that_only_one_system_understands_is_refused_elsewhere(written: str, windows: bool, what: str) -> None:
    with pytest.raises(PydanticCustomError) as refused:
        types.local_path(written, windows=windows)
    assert refused.value.message() == f"The path `{written}` {what}."
