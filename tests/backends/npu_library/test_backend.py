"""The backend of the Intel NPU Acceleration Library: steps, reasons, the older config; and what is only a matter of words."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import sys
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from inline_snapshot import snapshot
from pydantic import BaseModel

from bakehouse.backends.npu_library import backend as npulib
from bakehouse.backends.npu_library import seams
from bakehouse.backends.npu_library.options import NpuLibrary
from bakehouse.backends.npu_library.workers import check as npulib_check
from bakehouse.backends.npu_library.workers import checkpoint as npulib_checkpoint
from bakehouse.backends.npu_library.workers import compile as npulib_compile
from bakehouse.child import environment
from bakehouse.formats.checkpoint import Survey, Tensor
from bakehouse.steps.maker import Command
from bakehouse.steps.seam import Spec
from bakehouse.steps.step import Step
from tests.support import worker
from tests.support.bench import Bench, recipe
from tests.support.npulib_making import build

ENVIRONMENTS = Path(npulib.__file__).parent / "environments"
CHECKPOINT = Step(kind="download", maker="huggingface", label="model", spec=Spec())
PHI3 = Survey(download_bytes=0, config={"model_type": "phi3"}, tensors=(Tensor(name="lm_head.weight", dtype="BF16", shape=(1000, 1000)),))


def options(weights: str = "int8", **more: Any) -> NpuLibrary:
    return NpuLibrary.model_validate(build(weights, **more))


def steps(weights: str = "int8", **more: Any) -> dict[str, Step]:
    return npulib.steps("model-build", options(weights, **more), CHECKPOINT, "model", None, remote_code=False)


def test_the_environment_is_a_step_that_all_builds_share_and_their_keys_depend_on() -> None:
    one, other = steps("int8"), steps("fp16")
    assert one["environment"].key == other["environment"].key
    assert one["model"].key != other["model"].key
    assert (one["environment"].kind, one["environment"].label) == ("setup", "npulib")
    assert one["model"].need("environment") == one["environment"]
    assert set(one["environment"].options["locks"]) == ({"npulib.txt"} if sys.platform == "win32" else {"npulib.txt", "npulib-linux.txt"})


def test_every_pinned_package_has_a_hash_and_torch_is_not_among_them() -> None:
    for name in ("npulib.txt", "npulib-linux.txt"):
        text = re.sub(r"(?m)^#.*\n", "", (ENVIRONMENTS / name).read_text(encoding="utf-8")).replace("\\\n", "")
        for line in filter(None, text.splitlines()):
            assert re.fullmatch(r"[a-z0-9-]+==[\w.]+( ; sys_platform == \"win32\")?( +--hash=sha256:[0-9a-f]{64})+", line.rstrip()), line
            assert not line.startswith("torch")


def test_the_versions_in_the_key_are_those_of_the_locks() -> None:
    text = "".join((ENVIRONMENTS / name).read_text(encoding="utf-8") for name in ("npulib.txt", "npulib-linux.txt"))
    for name, version in {**steps()["model"].tools, **steps()["environment"].tools}.items():
        assert name == "torch" or f"{name}=={version}" in text


def test_a_worker_in_the_environment_sees_its_packages_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "only.py").write_text("")
    program = environment.argv(tmp_path, "child.events")
    code = program[program.index("-c") + 1].rpartition("runpy")[0]
    look = "import importlib.util as u, bakehouse.child.events as e; print([bool(u.find_spec(n)) for n in ('only', 'torch', 'pydantic')])"
    ended = worker.run(Command((*program[: program.index("-c") + 1], code + look, str(tmp_path), "events")))
    assert ended.text.strip() == "[True, False, False]"


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_other_models_are_refused_with_the_reason(kind: str) -> None:
    (reason,) = npulib.preflight(options(), PHI3.model_copy(update={"config": {"model_type": kind}}))
    assert reason.startswith(f"this backend compiles models of type phi3, not {kind}: others are not shown to work, ")


def test_float16_for_the_rest_takes_half_the_memory_of_the_loaded_checkpoint() -> None:
    wide, narrow = (npulib.estimate(steps(torch_dtype=dtype)["model"], PHI3).memory_bytes for dtype in ("float32", "float16"))
    assert wide - narrow == 2 * PHI3.parameters


def test_the_environment_is_not_made_where_the_library_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert npulib.missing(options()) is None
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert npulib.missing(options()) == snapshot("no C++ compiler: run `apt-get install g++`")
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    assert npulib.missing(options()) == snapshot("it wants Python 3.11 or 3.12")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert npulib.missing(options()) == snapshot("it runs on Linux and Windows, x86-64")


@pytest.mark.parametrize(
    ("plain", "model"),
    [
        (npulib_compile.Request, seams.CompileRequest),
        (npulib_compile.Spec, seams.CompileSpec),
        (npulib_compile.Result, seams.CompileResult),
        (npulib_check.Request, seams.CheckRequest),
        (npulib_check.Result, seams.CheckResult),
    ],
)
def test_workers_without_pydantic_have_the_fields_of_the_models(plain: type, model: type[BaseModel]) -> None:
    assert get_type_hints(plain).keys() == model.model_fields.keys()


# --- the checkpoint in the words of transformers 4.46 ---------------------------------------------------------------------------


def test_a_config_is_written_with_the_older_fields() -> None:
    new = {"model_type": "phi3", "dtype": "bfloat16", "auto_map": {}, "transformers_version": "5.5.4"}
    rope = {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 1.0}
    assert npulib_checkpoint.config(new | {"rope_parameters": rope}) == {
        "model_type": "phi3",
        "torch_dtype": "bfloat16",
        "rope_theta": 10000.0,
        "rope_scaling": None,
    }


def test_a_config_of_the_older_kind_stays_as_it_is() -> None:
    old = {"model_type": "phi3", "torch_dtype": "bfloat16", "rope_theta": 10000.0, "rope_scaling": None}
    assert npulib_checkpoint.config(old) == old


LONG = {"type": "longrope", "short_factor": [1.0], "long_factor": [1.0]}
ALL_OF_A_HEAD = "transformers 4.46 rotates all of a head for these models, this one only 0.75 of it"
SCALED = "this backend compiles models with plain rotary embeddings, and this one scales them: longrope"


@pytest.mark.parametrize(
    ("rope", "reasons"),
    [
        (
            {"rope_parameters": {"rope_type": "longrope", "rope_theta": 1.0}},
            ["transformers 4.46 has no way to say this model's rotary embeddings: longrope"],
        ),
        (
            {"rope_parameters": {"rope_theta": 1.0, "factor": 2}},
            ["transformers 4.46 has no way to say this model's rotary embeddings: factor"],
        ),
        ({"rope_parameters": {"rope_theta": 1.0, "partial_rotary_factor": 0.75}}, [ALL_OF_A_HEAD]),
        ({"rope_theta": 1.0, "rope_scaling": LONG}, [SCALED]),  # Phi-3-mini-128k
        ({"rope_theta": 1.0, "rope_scaling": LONG, "partial_rotary_factor": 0.75}, [SCALED, ALL_OF_A_HEAD]),  # Phi-4-mini
    ],
)
def test_rotary_embeddings_of_another_kind_are_refused_before_the_download_and_by_the_worker(
    rope: dict[str, Any], reasons: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    config = {"model_type": "phi3", **rope}
    assert npulib.preflight(options(), PHI3.model_copy(update={"config": config})) == tuple(reasons)
    with pytest.raises(SystemExit):
        npulib_checkpoint.config(config)
    event = json.loads(capfd.readouterr().out.strip().removeprefix("@bakehouse "))
    assert event["what"] == f"{reasons[0]}."


def test_a_tokenizer_gets_its_older_class_and_its_template_inside() -> None:
    fields = {"tokenizer_class": "TokenizersBackend", "backend": "tokenizers", "eos_token": "x"}
    assert npulib_checkpoint.tokenizer_config(fields, "{{ x }}") == {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "x",
        "chat_template": "{{ x }}",
    }


# --- the loader and lint ----------------------------------------------------------------------------------------------------------


def test_the_loader_refuses_changed_bytes_before_it_imports_anything(tmp_path: Path) -> None:
    shutil.copyfile(ENVIRONMENTS / "npulib-load.py.txt", tmp_path / "load.py")
    (tmp_path / "load.py").write_text((tmp_path / "load.py").read_text().replace("@SHA256@", "0" * 64))
    (tmp_path / "pytorch_npu_model.pt").write_bytes(b"changed")
    load = runpy.run_path(str(tmp_path / "load.py"))["load"]
    with pytest.raises(
        ValueError, match=r"is not the file that was packaged: its sha256 is [0-9a-f]{64}, should be 0{64}\. It was not loaded\.$"
    ):
        load()


def test_lint_says_that_the_model_is_a_pickle(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write(recipe(builds={"int8": build("int8")}, source={"type": "pypi", **_PYPI}))
    assert bench.build("lint").splitlines()[1:] == [f"  tiny-int8: {options('int8').remark()}"]
    assert "is a pickle" in options("int8").remark() and "publish.allow_pickle: true" in options("int8").remark()


_PYPI = {"package": "x", "version": "1", "file": "x.gguf", "sha256": "0" * 64, "license": "MIT"}
