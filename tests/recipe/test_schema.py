"""The JSON Schema and the field table: the same as the model, and of use to an editor and to people."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bakehouse.recipe import field_paths, schema
from bakehouse.recipe.loader import load_all
from bakehouse.recipe.recipe import Recipe
from bakehouse.recipe.yaml_tree import read

RECIPES = Path(__file__).parents[2] / "recipes"
SILENT = {"$schema", "$defs", "description", "default", "discriminator"}
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}


def complaints(value: Any, rule: dict[str, Any], root: dict[str, Any]) -> list[str]:
    """What JSON Schema has against a value; only the keywords that the recipe's schema uses, any other one is an error."""
    found: list[str] = []
    for keyword, wanted in rule.items():
        if keyword in SILENT:
            continue
        match keyword:
            case "$ref":
                found += complaints(value, root["$defs"][wanted.removeprefix("#/$defs/")], root)
            case "type":
                right = isinstance(value, TYPES[wanted]) and (wanted == "boolean" or not isinstance(value, bool))
                found += [] if right else [f"{value!r} is no {wanted}"]
            case "const":
                found += [] if value == wanted else [f"{value!r} is not {wanted!r}"]
            case "enum":
                found += [] if value in wanted else [f"{value!r} is not in {wanted!r}"]
            case "pattern":
                found += [] if not isinstance(value, str) or re.search(wanted, value) else [f"{value!r} is not like {wanted}"]
            case "minimum" if isinstance(value, int | float):
                found += [] if value >= wanted else [f"{value!r} is less than {wanted}"]
            case "exclusiveMinimum" if isinstance(value, int | float):
                found += [] if value > wanted else [f"{value!r} is not more than {wanted}"]
            case "maximum" if isinstance(value, int | float):
                found += [] if value <= wanted else [f"{value!r} is more than {wanted}"]
            case "minimum" | "exclusiveMinimum" | "maximum":
                pass  # they are about numbers alone
            case "minItems" | "minProperties":
                found += [] if len(value) >= wanted else ["too few"]
            case "items":
                found += [one for part in value for one in complaints(part, wanted, root)] if isinstance(value, list) else []
            case "required":
                found += [f"{name} is missing" for name in wanted if name not in value]
            case "properties":
                found += [one for name, part in wanted.items() if name in value for one in complaints(value[name], part, root)]
            case "additionalProperties" if wanted is False:
                found += [f"{name} is unknown" for name in value if name not in rule.get("properties", {})]
            case "additionalProperties" | "patternProperties":
                parts = wanted.values() if keyword == "patternProperties" else [wanted]
                found += [one for part in parts for inside in value.values() for one in complaints(inside, part, root)]
            case "propertyNames":
                found += [one for name in value for one in complaints(name, wanted, root)]
            case "anyOf" | "oneOf":
                right = sum(not complaints(value, part, root) for part in wanted)
                found += [] if right == 1 or (right and keyword == "anyOf") else [f"{right} of {keyword} fit {value!r}"]
            case _:
                raise AssertionError(f"the keyword {keyword} is new here")
    return found


def shipped() -> list[dict[str, Any]]:
    values = []
    for loaded in load_all(RECIPES):
        root, _, problems = read(loaded.text.encode())
        assert root is not None
        assert not problems
        values.append(root.data)
    return values


def test_the_schema_checked_in_is_the_models() -> None:
    assert (RECIPES / schema.NAME).read_text(encoding="utf-8") == schema.text()
    assert (RECIPES / schema.TABLE).read_text(encoding="utf-8") == schema.table()


def test_the_schema_is_written_next_to_the_recipes(tmp_path: Path) -> None:
    written = schema.write(tmp_path)
    assert [path.read_bytes() for path in written] == [schema.text().encode(), schema.table().encode()]


def test_the_schema_takes_the_shipped_recipes() -> None:
    rule = schema.json_schema()
    assert not [one for recipe in shipped() for one in complaints(recipe, rule, rule)]


WRONG: dict[str, dict[str, Any]] = {
    "another version": {"schema_version": 2},
    "a name with capitals": {"name": "Phi3"},
    "an unknown field": {"extends": "base"},
    "a source of an unknown kind": {"source": {"type": "ftp"}},
    "a branch": {"source": {"type": "huggingface", "repo": "a/b", "revision": "main", "license": "mit"}},
    "no golden prompts": {"golden": []},
    "no expectation": {"golden": [{"prompt": "Hi"}]},
    "no prompt": {"golden": [{"contains": ["Hi"]}]},
    "two prompts": {"golden": [{"prompt": "Hi", "raw": "Hi", "contains": ["Hi"]}]},
    "null": {"golden": [{"prompt": "Hi", "contains": ["Hi"], "matches": None}]},
    "an unknown runtime": {"builds": {"a": {"runtime": "x", "quantization": {"weights": "fp16"}}}},
    "ratio with int8": {"builds": {"a": {"runtime": "openvino", "quantization": {"weights": "int8", "ratio": 0.5}}}},
    "a ratio above 1": {"builds": {"a": {"runtime": "openvino", "quantization": {"weights": "int4", "ratio": 1.5}}}},
    "a group of no weights": {"builds": {"a": {"runtime": "openvino", "quantization": {"weights": "int4", "group_size": 0}}}},
    "a publication to nowhere": {"publish": {}},
    "a repository with a blank": {"publish": {"repo": "a b/c"}},
    "a repository whose name is filled from elsewhere": {"publish": {"repo": "$A/b"}},
    "a visibility that the hub does not know": {"publish": {"repo": "a/b", "visibility": "hidden"}},
    "a branch with a blank": {"publish": {"repo": "a/b", "branch": "a b"}},
    "a build that no folder can be called": {"builds": {"a/b": {"runtime": "openvino", "quantization": {"weights": "fp16"}}}},
}


@pytest.mark.whole
@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_the_schema_refuses_what_the_model_refuses(change: dict[str, Any]) -> None:
    rule = schema.json_schema()
    assert complaints({**shipped()[0], **change}, rule, rule)


def test_every_field_has_one_sentence() -> None:
    described = [(model.__name__, name, info.description or "") for _, model, name, info in field_paths.walk(Recipe)]
    assert [row for row in described if not re.fullmatch(r"[A-Z`][^\n]*[.]", row[2])] == []
    assert len(described) > 50


def test_the_schema_describes_every_field() -> None:
    definitions = json.loads(schema.text())["$defs"]
    for model in dict.fromkeys(model for _, model, _, _ in field_paths.walk(Recipe) if model.__name__ in definitions):
        for name, info in model.model_fields.items():
            assert definitions[model.__name__]["properties"][name]["description"] == info.description


def test_the_table_has_a_row_for_every_field() -> None:
    rows = [line for line in schema.field_table().splitlines() if line.startswith("| `")]
    for _, _, name, info in field_paths.walk(Recipe):
        assert any(row.startswith(f"| `{name}` |") and row.endswith(f"| {info.description} |") for row in rows)


@pytest.mark.needs_backend("onnxruntime_genai", "openvino")
def test_the_table_says_which_precisions_have_a_field() -> None:
    rows = schema.field_table().splitlines()
    ratio = next(row for row in rows if row.startswith("| `ratio` |"))
    assert ratio.startswith("| `ratio` | `int4`, `nf4`, `mxfp4` | number | `1.0` | Share of the ratio-defining weights")
    weights = next(row for row in rows if row.startswith("| `weights` |"))
    assert weights.startswith("| `weights` | all | `fp32` or `fp16` or `int8` or `int4` or `nf4` or `mxfp4` or `bf16` | required |")


def test_all_tables_are_well_formed() -> None:
    for part in schema.field_table().split("\n\n"):
        lines = [line for line in part.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) <= 1
