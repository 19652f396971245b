"""A tiny Phi-3 for the Intel NPU Acceleration Library, and that backend's environment, made once per machine by the real doit."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from bakehouse.backends.npu_library import backend as npulib
from bakehouse.backends.npu_library.options import NpuLibrary
from bakehouse.backends.npu_library.seams import CompileRequest, CompileResult, CompileSpec
from bakehouse.child import environment
from bakehouse.steps.maker import Command
from tests.support import standin, worker
from tests.support.bench import Bench, recipe

RUNTIME = "intel-npu-acceleration-library"
FORMAT = 1


def build(weights: str, **more: Any) -> dict[str, Any]:
    """A build for this backend, as written in a recipe."""
    return {"runtime": RUNTIME, "quantization": {"weights": weights}, **more}


CANNOT = npulib.missing(NpuLibrary.model_validate(build("fp16")))
# CI installs a C++ compiler and says so: these tests then fail where they would be skipped elsewhere.
IS_TRIED = CANNOT is None or bool(os.environ.get("BAKEHOUSE_TESTS_HAVE_CXX"))
needs_library = pytest.mark.skipif(not IS_TRIED, reason=f"not on this machine: {CANNOT}")


def tiny_phi3() -> Path:
    """The tiny Llama laid out again as a Phi-3, which computes the same."""
    return standin.made_once(f"tiny-phi3-{FORMAT}", lambda files: _write(standin.tiny_checkpoint(), files, tied=False))


def tied_phi3() -> Path:
    """The same with the embedding for a head: its answers mean nothing, its weights are what is looked at."""
    return standin.made_once(f"tied-phi3-{FORMAT}", lambda files: _write(standin.tiny_checkpoint(), files, tied=True))


def _write(source: Path, files: Path, *, tied: bool) -> None:
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig, Phi3Config, Phi3ForCausalLM

    llama = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    old, weights = llama.config, llama.state_dict()
    config = Phi3Config(
        vocab_size=old.vocab_size,
        hidden_size=old.hidden_size,
        intermediate_size=old.intermediate_size,
        num_hidden_layers=old.num_hidden_layers,
        num_attention_heads=old.num_attention_heads,
        num_key_value_heads=old.num_key_value_heads,
        max_position_embeddings=512,
        original_max_position_embeddings=512,
        rms_norm_eps=old.rms_norm_eps,
        rope_parameters={"rope_type": "default", "rope_theta": old.rope_parameters["rope_theta"]},
        tie_word_embeddings=tied,
        bos_token_id=old.bos_token_id,
        eos_token_id=old.eos_token_id,
        pad_token_id=old.pad_token_id,
    )
    made = {name: weight for name, weight in weights.items() if not name.endswith(("q_proj.weight", "k_proj.weight", "v_proj.weight"))}
    for number in range(old.num_hidden_layers):
        at = f"model.layers.{number}."
        made[f"{at}self_attn.qkv_proj.weight"] = torch.cat([weights[f"{at}self_attn.{name}_proj.weight"] for name in "qkv"])
        made[f"{at}mlp.gate_up_proj.weight"] = torch.cat([made.pop(f"{at}mlp.{name}_proj.weight") for name in ("gate", "up")])
    if tied:
        made["lm_head.weight"] = made["model.embed_tokens.weight"]
    phi3 = Phi3ForCausalLM(config)
    phi3.load_state_dict(made)
    phi3 = phi3.to(torch.bfloat16)
    phi3.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=2)
    phi3.save_pretrained(files)
    for path in source.iterdir():
        if path.name.startswith(("tokenizer", "chat_template", "LICENSE")):
            shutil.copyfile(path, files / path.name)


def furnished() -> Path:
    """An artifacts folder in which the environment is made, by `bakehouse build setup:npulib`."""

    def furnish(files: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            bench = Bench(Path(scratch), {"PIPELINE_ARTIFACTS": str(files / "artifacts")})
            bench.write(recipe(builds={"fp16": build("fp16")}))
            bench.add_model(tiny_phi3())
            bench.build("setup:npulib")

    return standin.made_once(f"npulib-{npulib.environment_step().key[:16]}", furnish) / "artifacts"


def bench(folder: Path, *recipes: dict[str, Any], model: Path) -> Bench:
    """A workbench whose store has the environment already."""
    made = Bench(folder)
    made.write(*recipes)
    made.add_model(model)
    furnish(made)
    return made


def furnish(made: Bench) -> None:
    """Put the environment into a workbench's store, as hard links where that is possible."""
    if subprocess.run(["cp", "-al", str(furnished()), str(made.artifacts)], capture_output=True, check=False).returncode != 0:
        shutil.rmtree(made.artifacts, ignore_errors=True)
        subprocess.run(["cp", "-a", str(furnished()), str(made.artifacts)], check=True)


def compile_in_environment(checkpoint: Path, files: Path, **options: Any) -> CompileResult:
    """Run the compiling worker as it stands, with these options; its result."""
    site = furnished() / "store" / "setup" / npulib.environment_step().key / "files" / "site"
    files.mkdir()
    scratch = files.parent / f"{files.name}-scratch"
    scratch.mkdir()
    spec = CompileSpec.model_validate({"weights": "int8", "torch_dtype": "float32"} | options)
    argv = environment.argv(site, "backends.npu_library.workers.compile")
    request = CompileRequest(checkpoint=checkpoint, files=files, spec=spec)
    ended = worker.run(Command(("env", "-C", str(scratch), *argv), request=request))
    assert ended.code == 0, ended.text
    return ended.report.read(CompileResult)
