"""LoRA adapters are merged into a checkpoint: the weights are those of the formula, and the merged model says what peft says."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from bakehouse.recipe.source import HuggingFace
from bakehouse.sources import adapters, huggingface, local, table
from bakehouse.sources.seams import MergeRequest, MergeResult
from bakehouse.steps.maker import worker
from bakehouse.steps.step import Step
from tests.support import worker as children
from tests.support.bench import Bench, recipe
from tests.support.fakes import HUB, FakeSpec

BASE = Step(kind="download", maker="local", label="tiny", spec=FakeSpec(revision="0" * 40))


def merge(checkpoint: Path, files: Path, *folders: Path, scales: tuple[float, ...] = ()) -> children.Said:
    files.mkdir()
    request = MergeRequest(checkpoint=checkpoint, adapters=folders, scales=scales or (1.0,) * len(folders), files=files)
    return children.run(worker("sources.workers.merge_adapters", request=request))


def tensors(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


@pytest.fixture(scope="module")
def trained(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.support import lora

    return lora.adapter(tiny_checkpoint, tmp_path_factory.mktemp("lora") / "adapter")


@pytest.mark.model
def test_every_weight_is_that_of_the_formula_and_all_others_are_the_sources(tiny_checkpoint: Path, trained: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    said = merge(tiny_checkpoint, tmp_path / "files", trained, scales=(0.5,))
    assert said.code == 0, said.text
    before, after, parts = tensors(tiny_checkpoint), tensors(tmp_path / "files"), load_file(trained / "adapter_model.safetensors")
    changed = {name.removeprefix("base_model.model.").replace(".lora_A.weight", ".weight") for name in parts if "lora_A" in name}
    assert changed and said.report.read(MergeResult).changed == len(changed)
    for name, old in before.items():
        if name not in changed:
            assert torch.equal(after[name], old)
            continue
        at = "base_model.model." + name.removesuffix(".weight")
        added = parts[f"{at}.lora_B.weight"] @ parts[f"{at}.lora_A.weight"] * (8 / 4) * 0.5  # alpha / r, and the recipe's scale
        assert torch.equal(after[name], (old.float() + added).to(old.dtype)), name
    others = {path.name for path in tiny_checkpoint.iterdir()} - {"model.safetensors"}
    assert all((tmp_path / "files" / name).read_bytes() == (tiny_checkpoint / name).read_bytes() for name in others)
    step = adapters.checkpoint(BASE, [(BASE, 0.5)], "tiny")
    assert adapters.verify(step, {"base": tiny_checkpoint}, tmp_path / "files", said.report).faults == ()
    assert adapters.verify(step, {"base": trained}, tmp_path / "files", said.report).faults != ()


@pytest.mark.model
def test_the_merged_model_writes_the_tokens_of_the_adapters_at_run_time(tiny_checkpoint: Path, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tests.support import lora

    first = lora.adapter(tiny_checkpoint, tmp_path / "first", size=1.0)  # strong enough to change what it says
    second = lora.adapter(tiny_checkpoint, tmp_path / "second", size=1.0, seed=1, r=2, use_rslora=True)
    assert merge(tiny_checkpoint, tmp_path / "files", first, second).code == 0
    tokenizer = AutoTokenizer.from_pretrained(tiny_checkpoint)
    given = tokenizer("What is the capital of France?", return_tensors="pt")

    def written(model: Any) -> list[int]:
        return [int(token) for token in model.eval().generate(**given, do_sample=False, max_new_tokens=24)[0]]

    plain = AutoModelForCausalLM.from_pretrained(tiny_checkpoint, dtype=torch.float32)
    alone = written(plain)
    both = PeftModel.from_pretrained(plain, first, adapter_name="one")
    both.load_adapter(second, adapter_name="two")
    both.base_model.set_adapter(["one", "two"])
    found = written(AutoModelForCausalLM.from_pretrained(tmp_path / "files", dtype=torch.float32))
    assert found == written(both) != alone


@pytest.mark.model
def test_what_cannot_be_merged_is_refused_in_words(tiny_checkpoint: Path, trained: Path, tmp_path: Path) -> None:
    from tests.support import lora

    nothing = lora.adapter(tiny_checkpoint, tmp_path / "nothing", size=0.0)
    assert merge(tiny_checkpoint, tmp_path / "1", nothing).refusal.startswith("Adapter 1 changes nothing that the model says.")
    other = shutil.copytree(trained, tmp_path / "other")
    config = json.loads((other / "adapter_config.json").read_text())
    (other / "adapter_config.json").write_text(json.dumps(config | {"target_modules": ["query_key_value"]}))
    assert merge(tiny_checkpoint, tmp_path / "2", trained, other).refusal.startswith("Adapter 2 does not fit the model.")
    (other / "adapter_config.json").write_text(json.dumps(config | {"peft_type": "IA3"}))
    assert merge(tiny_checkpoint, tmp_path / "3", other).refusal.startswith("The adapter is of the kind IA3, and only LORA is merged.")
    assert not list((tmp_path / "2").glob("*.safetensors"))


@pytest.mark.model
@pytest.mark.needs_backend("openvino")
def test_a_build_says_which_adapter_is_in_it(tiny_checkpoint: Path, trained: Path, tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    shutil.copytree(trained, bench.recipes / "polite")
    adapter = {"type": "local", "path": "polite", "license": "Apache-2.0", "scale": 0.25}
    source = {"type": "local", "path": "model", "license": "MIT", "adapters": [adapter]}
    builds = {"int8": {"runtime": "openvino", "quantization": {"weights": "int8"}}}
    bench.write(recipe(source=source, builds=builds))
    bench.add_model(tiny_checkpoint)
    bench.build("build:tiny-int8")
    manifest = bench.manifest("tiny-int8")
    assert manifest.source.described == "the local files model, with the LoRA adapter polite merged into it"
    assert {"adapter-1/adapter_config.json", "adapter-1/adapter_model.safetensors"} <= {file.path for file in manifest.source.files}
    card = (bench.artifacts / "packages" / "tiny-int8" / "README.md").read_text(encoding="utf-8")
    assert "the LoRA adapter `polite` is merged into it, 0.25 times as strong (licence: Apache-2.0)" in card
    bench.write(recipe(source={**source, "adapters": [{**adapter, "scale": 0.5}]}, builds=builds))
    planned = bench.build("plan", "tiny-int8")
    assert re.search(r"have  download:tiny ", planned) and re.search(r"run   export:tiny-checkpoint", planned)


def test_an_adapter_is_no_model_and_a_model_no_adapter(tmp_path: Path) -> None:
    from bakehouse.errors import Failure

    (tmp_path / "lora").mkdir()
    (tmp_path / "lora" / "adapter_config.json").write_text("{}")
    with pytest.raises(Failure, match=r"There is adapter_config\.json, and no adapter_model\.safetensors\."):
        local.resolve_adapter(tmp_path, "lora", confined=False)
    (tmp_path / "lora" / "adapter_model.safetensors").write_bytes(b"")
    assert local.resolve_adapter(tmp_path, "lora", confined=False) == tmp_path / "lora"
    with pytest.raises(Failure, match=r"This is an adapter \(LoRA\), a change to a model and not a model\."):
        local.resolve_model(tmp_path, "lora", confined=False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(Failure):
        local.resolve_adapter(tmp_path, "empty", confined=False)


def test_an_adapter_of_the_hub_is_pinned_and_the_key_without_adapters_is_as_before() -> None:
    pinned = {"type": "huggingface", "repo": "owner/lora", "revision": "ab" * 20, "license": "MIT"}
    plain, adapted = (HuggingFace.model_validate(HUB | more) for more in ({}, {"adapters": (pinned,)}))
    assert "adapter" not in huggingface.download(plain, "tiny").options
    made = table.checkpoint(adapted, "tiny", None, (None,))
    assert (made.maker, made.need("base").key) == ("adapters", table.checkpoint(plain, "tiny").key)
    fetched = made.need("adapter-1")
    assert fetched.options == {"repo": "owner/lora", "revision": "ab" * 20, "gguf": None, "remote_code": {}, "adapter": True}
    request = huggingface.command(fetched, {}, Path("files")).request
    assert (request.only, request.beside) == ("adapter_model.safetensors", ("adapter_config.json",))


@pytest.mark.model
@pytest.mark.filterwarnings("ignore::UserWarning:peft")  # of what is meant here
def test_an_adapter_of_an_embedding_that_the_head_shares_is_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """Merged, it changes the head, too; at run time it does not. So the checkpoint's second copy of the weight is never out of date."""
    from safetensors.torch import load_file, save_file

    from tests.support import lora

    tied = shutil.copytree(tiny_checkpoint, tmp_path / "tied")
    config = json.loads((tied / "config.json").read_text(encoding="utf-8"))
    (tied / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}), encoding="utf-8")
    weights = load_file(tied / "model.safetensors")
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
    save_file(weights, tied / "model.safetensors", {"format": "pt"})
    of_layers = lora.adapter(tied, tmp_path / "layers", size=0.3)
    said = merge(tied, tmp_path / "1", of_layers)
    assert said.code == 0, said.text
    assert tensors(tmp_path / "1").keys() == weights.keys()
    of_embedding = lora.adapter(tied, tmp_path / "embedding", size=0.3, target_modules=["embed_tokens"], matrix="lora_embedding_A")
    assert merge(tied, tmp_path / "2", of_embedding).refusal.startswith(
        "The merged model says something else than the adapters at run time"
    )
