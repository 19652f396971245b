"""LoRA adapters next to a model for OpenVINO: applied by its runtime and seen in every layer; what it would pass over is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bakehouse.app.main import main
from bakehouse.backends.openvino.seams import AdapterRequest, AdapterResult
from bakehouse.errors import Failure
from bakehouse.plan.plan import Build
from bakehouse.recipe.loader import RecipeErrors
from bakehouse.stages.package import recipe_text
from bakehouse.steps.maker import worker
from tests.support import delivering, standin
from tests.support import worker as children
from tests.support.bench import Bench, recipe
from tests.support.fakes import HUB, planned

INT8: dict[str, Any] = {"runtime": "openvino", "quantization": {"weights": "int8"}}
FP16: dict[str, Any] = {"runtime": "openvino", "quantization": {"weights": "fp16"}}
SEPARATE = {"adapters": "separate"}
PINNED = {"type": "huggingface", "repo": "owner/lora", "revision": "ab" * 20, "license": "MIT", "scale": 0.5}
LAYERS = tuple(
    f"__module.model.layers.{number}.{part}/ov_ext::linear/MatMul"
    for number in range(12)
    for part in ("self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj")
)


def adapted(**changes: Any) -> dict[str, Any]:
    """A recipe with one adapter, merged into one build and separate in another."""
    return recipe(**{"source": HUB | {"adapters": [PINNED]}, "builds": {"merged": INT8, "separate": INT8 | SEPARATE}} | changes)


def keys(build: Build) -> dict[str, str]:
    """The keys of the steps of a model's parts."""
    return {role: step.key for role, step in build.parts.items()}


def test_the_model_is_that_of_a_recipe_without_adapters(tmp_path: Path) -> None:
    merged, separate = planned(tmp_path / "one", adapted()).builds
    (plain,) = planned(tmp_path / "two", recipe(source=HUB, builds={"plain": INT8})).builds
    assert keys(separate) == keys(plain) | {"adapter-1": separate.parts["adapter-1"].key}
    assert separate.checkpoint.key == plain.checkpoint.key != merged.checkpoint.key
    assert "checkpoint" not in {step.kind for step in separate.package.closure()}
    needs = dict(separate.validate.needs)
    assert needs["reference_without_adapters"].key == dict(plain.validate.needs)["reference"].key
    assert set(dict(needs["reference"].needs)) == {"checkpoint", "adapter-1"}
    assert dict(separate.package.needs)["fidelity"].key == dict(plain.package.needs)["fidelity"].key


def test_the_recipe_in_a_package_says_that_they_are_separate(tmp_path: Path) -> None:
    from bakehouse.recipe.loader import load

    _, separate = planned(tmp_path / "one", adapted()).builds
    (tmp_path / "recipe.yaml").write_text(recipe_text(separate.resolved), encoding="utf-8")
    (back,) = planned(tmp_path / "again", load(tmp_path / "recipe.yaml").model_dump(mode="json", exclude_none=True)).builds
    assert back.package.key == separate.package.key


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"source": HUB}, "The source has no adapters, so this would have no effect."),
        (
            {"drafts": {"small": {"source": HUB, "build": INT8}}, "builds": {"a": INT8 | SEPARATE | {"draft": "small"}}},
            "A draft next to separate adapters was not tried",
        ),
        (
            {
                "searches": {
                    "best": {
                        "runtime": "openvino",
                        "base": SEPARATE,
                        "over": {"group_size": [32, 64]},
                        "minimize": "size",
                        "bounds": {"kl_mean": 0.2},
                    }
                }
            },
            "Separate adapters change no figure of a search.",
        ),
    ],
)
def test_what_would_have_no_effect_or_was_not_tried_is_refused(changes: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeErrors, match=reason):
        planned(tmp_path, adapted(**changes))


def made(adapter: Path, files: Path, scale: float = 1.0, layers: tuple[str, ...] = LAYERS) -> children.Said:
    """What the worker says that makes an adapter for the runtime."""
    request = AdapterRequest(adapter=adapter, scale=scale, layers=layers, files=files)
    return children.run(worker("backends.openvino.workers.adapter", request=request))


@pytest.fixture(scope="module")
def trained(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.support import lora

    return lora.adapter(tiny_checkpoint, tmp_path_factory.mktemp("lora") / "adapter", size=0.4, seed=1)


def changed(adapter: Path, folder: Path, tensors: dict[str, Any] | None = None, **config: Any) -> Path:
    """A copy of an adapter with other tensors or another configuration."""
    from safetensors.torch import save_file

    shutil.copytree(adapter, folder)
    if tensors is not None:
        save_file(tensors, folder / "adapter_model.safetensors")
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | config), encoding="utf-8")
    return folder


@pytest.mark.model
def test_what_the_runtime_would_pass_over_is_refused_by_name(trained: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    plain = load_file(trained / "adapter_model.safetensors")
    first, *_ = plain
    cases = {
        "OpenVINO GenAI would pass over: base_model.model.lm_head.weight.": plain | {"base_model.model.lm_head.weight": torch.ones(4, 4)},
        "would pass over: base_model.model.model.embed_tokens.lora_embedding_A.": plain
        | {"base_model.model.model.embed_tokens.lora_embedding_A": torch.ones(4, 4)},
        f"would pass over: {first.removeprefix('base_model.model.')}.": {
            name.removeprefix("base_model.model.") if name == first else name: one for name, one in plain.items()
        },
        "has no layer that the adapter names model.layers.0.self_attn.qq_proj,": {
            name.replace("layers.0.self_attn.q_proj", "layers.0.self_attn.qq_proj"): one for name, one in plain.items()
        },
        "Several layers of the model for OpenVINO have names with q_proj,": {
            f"base_model.model.q_proj.lora_{part}.weight": torch.ones(4, 4) for part in "AB"
        },
    }
    for number, (reason, tensors) in enumerate(cases.items()):
        said = made(changed(trained, tmp_path / f"{number}", tensors), tmp_path / f"files-{number}")
        assert reason.split(":")[-1].split(",")[0].strip(" .") in said.refusal, said.text
        assert not (tmp_path / f"files-{number}").exists()


@pytest.mark.model
@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"peft_type": "IA3"}, "The adapter is of the kind IA3, and OpenVINO GenAI applies only LORA."),
        ({"use_dora": True}, "The adapter has `use_dora`, which OpenVINO GenAI does not apply."),
    ],
)
def test_another_kind_of_adapter_is_refused(config: dict[str, Any], reason: str, trained: Path, tmp_path: Path) -> None:
    assert made(changed(trained, tmp_path / "other", **config), tmp_path / "files").refusal.startswith(reason)


@pytest.mark.model
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_rslora": True, "r": 3},
        {"rank_pattern": {"v_proj": 2, r"layers\.0\.self_attn\.q_proj": 8}, "alpha_pattern": {"down_proj": 3}},
    ],
)
def test_the_scaling_is_in_the_numbers_and_peft_reads_the_same_from_it(
    options: dict[str, Any], tiny_checkpoint: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from bakehouse.tasks.text_generation.workers import adapters
    from tests.support import lora

    source = lora.adapter(tiny_checkpoint, tmp_path / "source", size=0.4, **options)
    said = made(source, tmp_path / "files", 0.3)
    assert said.code == 0, said.text
    assert len(said.report.read(AdapterResult).ranks) == 6

    def logits(folder: Path, factor: float) -> Any:
        model = AutoModelForCausalLM.from_pretrained(tiny_checkpoint, dtype=torch.float32).eval()
        adapters.apply(model, [folder], [factor])
        with torch.inference_mode():
            return model(torch.arange(3, 40)[None]).logits

    with torch.inference_mode():
        plain = AutoModelForCausalLM.from_pretrained(tiny_checkpoint, dtype=torch.float32).eval()(torch.arange(3, 40)[None]).logits
    wanted = logits(source, 0.3)
    assert torch.allclose(logits(tmp_path / "files", 1.0), wanted, atol=1e-4) and not torch.allclose(plain, wanted, atol=0.1)


@pytest.mark.model
def test_two_adapters_act_together(tiny_checkpoint: Path, trained: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from bakehouse.tasks.text_generation.workers import adapters
    from tests.support import lora

    other = lora.adapter(tiny_checkpoint, tmp_path / "other", size=0.3, seed=5, r=2)
    model = AutoModelForCausalLM.from_pretrained(tiny_checkpoint, dtype=torch.float32).eval()
    adapters.apply(model, [trained, other], [0.5, 2.0])
    merged = AutoModelForCausalLM.from_pretrained(tiny_checkpoint, dtype=torch.float32).eval()
    for folder, factor in ((trained, 0.5), (other, 2.0)):
        adapted = adapters.fitting(merged, folder, "1")
        lora_scale(adapted, factor)
        merged = adapted.merge_and_unload()
    given = torch.arange(3, 40)[None]
    with torch.inference_mode():
        assert torch.allclose(model(given).logits, merged(given).logits, atol=1e-3)


def lora_scale(model: Any, factor: float) -> None:
    from bakehouse.sources.workers import lora

    lora.scale(model, factor)


GOLDEN = [
    {"prompt": standin.QUESTION, "matches": "The", "ends": False, "max_new_tokens": 24},
    {"prompt": "What is two plus two?", "matches": "wo", "ends": False, "max_new_tokens": 24},
]


@pytest.fixture(scope="module")
def baked(trained: Path, tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The tiny model with an adapter of which it says something else, merged and separate."""
    bench = Bench(tmp_path_factory.mktemp("adapters"))
    shutil.copytree(trained, bench.recipes / "polite")
    (bench.recipes / "polite" / "LICENSE").write_text("Be polite.\n", encoding="utf-8")
    adapter = {"type": "local", "path": "polite", "license": "Apache-2.0", "scale": 0.5}
    source = {"type": "local", "path": "model", "license": "MIT", "adapters": [adapter]}
    exact = {"runtime_options": {"EXECUTION_MODE_HINT": "ACCURACY"}}
    builds = {"merged": FP16 | exact, "fp16": FP16 | SEPARATE | exact, "int8": INT8 | SEPARATE | exact}
    bench.write(json.loads(json.dumps(recipe(source=source, golden=GOLDEN, builds=builds))))
    bench.add_model(tiny_checkpoint)
    bench.build("build")
    return bench


@pytest.mark.model
def test_golden_prompts_are_answered_with_the_adapters_and_without(baked: Bench) -> None:
    merged, separate, int8 = (baked.manifest(f"tiny-{name}") for name in ("merged", "fp16", "int8"))
    for found in (separate, int8):
        adapted = found.validation.adapted
        assert adapted and adapted.layers == found.measured["adapter-1"]["adapted_layers"] == 6
        assert all(verdict.passed for verdict in adapted.without)
        assert [one.answer for one in adapted.without] == [standin.TINY_ANSWERS[one.prompt] for one in adapted.without]
        assert [one.answer for one in found.verdicts] != [one.answer for one in adapted.without]
    assert [one.tokens for one in separate.verdicts] == [one.tokens for one in merged.verdicts]
    assert merged.validation.adapted is None
    assert separate.source.described == "the local files model, with the LoRA adapter polite next to it"
    assert {"adapter-1/adapter_config.json", "adapter-1/adapter_model.safetensors"} <= {file.path for file in separate.source.files}


@pytest.mark.model
def test_a_package_has_the_adapter_with_its_licence_and_is_whole(baked: Bench) -> None:
    package = baked.artifacts / "packages" / "tiny-int8"
    assert {path.name for path in (package / "adapter-1").iterdir()} == {"LICENSE", "adapter_config.json", "adapter_model.safetensors"}
    assert main(["check", str(package)]) == 0
    assert "adapter-1/adapter_model.safetensors" in (package / "provenance.json").read_text(encoding="utf-8")
    card = (package / "README.md").read_text(encoding="utf-8")
    assert "the LoRA adapter `polite` is next to it, 0.5 times as strong (licence: Apache-2.0)" in card
    assert "Each part of the adapters was applied by itself, and changed what the runtime computes: parts for 6 layers." in card


@pytest.mark.model
def test_the_program_of_the_card_and_run_give_the_answer_with_the_adapters(
    baked: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = baked.artifacts / "packages" / "tiny-int8"
    used = baked.manifest("tiny-int8").validation.in_use
    assert used
    program, *_ = delivering.blocks(package, "python")
    assert delivering.run_python(program, package.parent, None, tmp_path / "home") == used.verdicts[0].answer
    assert main(["run", str(package), standin.QUESTION, "--max-tokens", "24"]) == 0
    assert capsys.readouterr().out.strip() == used.verdicts[0].answer


@pytest.mark.model
def test_evaluations_and_a_model_server_which_would_leave_the_adapters_out_are_refused(
    baked: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = baked.artifacts / "packages" / "tiny-int8"
    with pytest.raises(Failure, match="no field of the server's graph names such files"):
        delivering.deliver(package, "ovms", tmp_path / "out")
    (tmp_path / "task.yaml").write_text("task: capitals\n", encoding="utf-8")
    assert main(["evaluate", str(package), "--tasks", str(tmp_path / "task.yaml")]) != 0


@pytest.mark.model
def test_a_part_that_the_runtime_does_not_apply_is_seen(baked: Bench, trained: Path, tmp_path: Path) -> None:
    """A folder that no step would have made: one of its layers is none of the model's."""
    from safetensors.torch import load_file

    from bakehouse.backends.openvino.seams import AdaptedRequest, GenerateRequest
    from bakehouse.tasks.text_generation.seams import GenerateResult
    from bakehouse.tasks.text_generation.workers.answers import Prompt

    tensors = load_file(trained / "adapter_model.safetensors")
    other = {name.replace("layers.1.mlp.down_proj", "layers.1.mlp.dawn_proj"): one for name, one in tensors.items()}
    folder = changed(trained, tmp_path / "adapter-1", other)
    prompts = (Prompt(raw="Two", max_new_tokens=4),)
    adapted = AdaptedRequest(adapters=(folder,), answers=tmp_path / "c")
    package = baked.artifacts / "packages" / "tiny-fp16"
    request = GenerateRequest(
        model=package, prompts=prompts, answers=tmp_path / "a", in_use=tmp_path / "b", runtime_options=None, adapted=adapted
    )
    said = children.run(worker("backends.openvino.workers.generate", request=request))
    assert said.code == 0, said.text
    found = said.report.read(GenerateResult).adapted
    assert found and (found.layers, found.without_effect) == (6, ("adapter-1: model.layers.1.mlp.dawn_proj",))


@pytest.mark.model
def test_kept_prompts_are_those_of_the_adapters_that_were_there(baked: Bench, trained: Path) -> None:
    """Why the card says not to change adapters in a pipeline that keeps prompts: if this fails, it is no longer so."""
    import openvino_genai

    package = baked.artifacts / "packages" / "tiny-fp16"
    adapters = openvino_genai.AdapterConfig([openvino_genai.Adapter(package / "adapter-1" / "adapter_model.safetensors")])

    def likely(pipe: Any, **given: Any) -> float:
        settings = {"max_new_tokens": 8, "do_sample": False, "ignore_eos": True, "logprobs": 1}
        config = pipe.get_generation_config()
        for name, value in (settings | given).items():
            setattr(config, name, value)
        return float(pipe.generate(pipe.get_tokenizer().encode("What is the capital of France? " * 20), config).scores[0])

    def loaded(**options: Any) -> Any:
        return openvino_genai.LLMPipeline(package, "CPU", adapters=adapters, EXECUTION_MODE_HINT="ACCURACY", **options)

    nothing = openvino_genai.AdapterConfig()
    alone = likely(loaded(), adapters=nothing)
    keeping = loaded()
    likely(keeping)
    assert likely(keeping, adapters=nothing) != pytest.approx(alone, abs=0.1)
    scheduler = openvino_genai.SchedulerConfig()
    scheduler.enable_prefix_caching, scheduler.max_num_batched_tokens = False, 1 << 32
    forgetting = loaded(scheduler_config=scheduler)
    likely(forgetting)
    assert likely(forgetting, adapters=nothing) == pytest.approx(alone, abs=0.001)


def test_what_a_build_takes_is_known_although_the_adapter_is_not_here(untrained_checkpoint: Path, tmp_path: Path) -> None:
    from bakehouse.executor.session import Session
    from bakehouse.stages import preflight
    from bakehouse.store.store import Store

    source = {"type": "local", "path": str(untrained_checkpoint), "license": "MIT", "adapters": [PINNED]}
    (separate,) = planned(tmp_path / "recipes", adapted(source=source, builds={"separate": INT8 | SEPARATE})).builds
    found = preflight.forecast([separate], Session(Store(tmp_path / "artifacts")), ask=False)
    (plain,) = planned(tmp_path / "plain", recipe(source={**source, "adapters": []}, builds={"plain": INT8})).builds
    without = preflight.forecast([plain], Session(Store(tmp_path / "artifacts")), ask=False)
    assert found.memory_bytes == without.memory_bytes and found.disk_bytes and found.disk_bytes >= (without.disk_bytes or 0)
