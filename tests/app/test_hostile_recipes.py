"""A recipe from a stranger's pull request: it can run nothing, reach nothing outside its folder, and learn nothing of the environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from inline_snapshot import snapshot

from bakehouse.app.workspace import open_workspace
from bakehouse.errors import Failure
from tests.support.bench import recipe
from tests.support.systems import IS_WINDOWS

SECRET = "hush-hush-0123456789"


def _refused(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is said to the recipe, which must not be taken."""
    monkeypatch.setenv("HF_TOKEN", SECRET)
    (folder / "recipes").mkdir()
    (folder / "recipes" / "tiny.yaml").write_text(text, encoding="utf-8")
    places = {"PIPELINE_RECIPES": str(folder / "recipes"), "PIPELINE_ARTIFACTS": str(folder / "artifacts")}
    environ = {**os.environ, **places, "PIPELINE_UNTRUSTED": "", "GITHUB_EVENT_NAME": "pull_request"}
    with pytest.raises(Failure) as caught:
        open_workspace(environ)
    return str(caught.value)


@pytest.mark.needs_backend("openvino")
@pytest.mark.parametrize("path", ["../outside", "a/../../outside", "/etc", "~/secrets", "$HOME", "${HF_TOKEN}/x", "..\\outside", "C:\\x"])
@pytest.mark.parametrize("place", ["source", "calibration"])
def test_no_path_leads_out_of_the_recipes_folder(tmp_path: Path, path: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "outside").mkdir()
    changes: dict[str, object] = {"source": {"type": "local", "path": path, "license": "MIT"}}
    if place == "calibration":
        asked = {"weights": "int4", "awq": True, "calibration": {"type": "file", "path": path}}
        changes = {"builds": {"int4": {"runtime": "openvino", "quantization": asked}}}
    said = _refused(tmp_path, yaml.safe_dump(recipe(**changes)), monkeypatch)
    path = path.replace("C:\\", "C:/") if IS_WINDOWS else path
    assert f"{path} lies outside the recipe's folder, and this recipe is not trusted." in said or f"The path `{path}` " in said
    assert SECRET not in said


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path [ran]]",
        "!!python/object/apply:os.system ['touch ran']",
        "!!python/name:os.system ''",
    ],
)
def test_no_tag_of_yaml_runs_anything(tmp_path: Path, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = yaml.safe_dump(recipe()).replace("description: A tiny model that knows one capital.", f"description: {value}")
    assert value in text
    _refused(tmp_path, text, monkeypatch)
    assert not (tmp_path / "ran").exists()


@pytest.mark.needs_backend("openvino")
def test_a_variable_in_a_text_stays_the_text_that_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    source = {"type": "huggingface", "repo": "me/tiny", "revision": "0" * 40, "license": "MIT"}
    text = yaml.safe_dump(recipe(description="$HF_TOKEN ${HF_TOKEN} {{ env.HF_TOKEN }} %HF_TOKEN%", source=source))
    (tmp_path / "tiny.yaml").write_text(text, encoding="utf-8")
    (build,) = open_workspace({"PIPELINE_RECIPES": str(tmp_path), "PIPELINE_ARTIFACTS": str(tmp_path / "artifacts")}).plan.builds
    assert build.resolved.description == snapshot("$HF_TOKEN ${HF_TOKEN} {{ env.HF_TOKEN }} %HF_TOKEN%")
    assert SECRET not in build.resolved.model_dump_json()


@pytest.mark.needs_backend("openvino")
def test_whether_recipes_are_untrusted_is_read_from_the_given_environment_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_UNTRUSTED", "1")
    monkeypatch.setenv("GITHUB_EVENT_NAME", "pull_request")
    (tmp_path / "recipes").mkdir()
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    text = yaml.safe_dump(recipe(source={"type": "local", "path": "../model.gguf", "license": "MIT"}))
    (tmp_path / "recipes" / "tiny.yaml").write_text(text, encoding="utf-8")
    environ = {"PIPELINE_RECIPES": str(tmp_path / "recipes"), "PIPELINE_ARTIFACTS": str(tmp_path / "artifacts")}
    opened = open_workspace(environ)
    assert opened.plan.builds and not opened.confined
    with pytest.raises(Failure, match="this recipe is not trusted"):
        open_workspace({**environ, "PIPELINE_UNTRUSTED": "1"})
