"""What the cases are made of: a tokenizer of 1,000 tokens, models of two layers, and the builds that are tried."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import standin

VOCABULARY = 1000
SENTENCE = "The quick brown fox jumps over the lazy dog. "
LONG = SENTENCE * 12 + "Then it runs away and"
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEMPLATE = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful assistant<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def raw(text: str, new_tokens: int = 6) -> dict[str, Any]:
    """A golden prompt that is a text, whose answer may be anything."""
    return {"raw": text, "matches": ".", "max_new_tokens": new_tokens, "ends": False}


RAW = [raw(SENTENCE + "Then it runs away and")]
CHAT = [{"prompt": "Say something short.", "matches": ".", "max_new_tokens": 6, "ends": False}]
OPENVINO = {"ov": {"runtime": "openvino", "quantization": {"weights": "fp16"}}}
ONNX = {"ort": {"runtime": "onnxruntime-genai", "execution_provider": "cpu", "quantization": {"weights": "fp32"}}}
BOTH = {**OPENVINO, **ONNX}


@dataclass(frozen=True)
class Case:
    """One small input: `make` fills an empty folder; `file` is the source within it, "" for the folder itself."""

    make: Callable[[Path], None]
    golden: list[dict[str, Any]] = field(default_factory=lambda: RAW)
    builds: dict[str, Any] = field(default_factory=lambda: BOTH)
    file: str = ""


def tokenizer() -> Any:
    """A byte-level BPE of 1,000 tokens with ChatML's special ones."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(standin.made_once("case-tokenizer-1", _train))


def _train(files: Path) -> None:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(_SPLIT), "isolated")
    made.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.ByteLevel(trim_offsets=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=list(SPECIAL), initial_alphabet=alphabet)
    text = (Path(__file__).parents[3] / "LICENSE").read_text(encoding="utf-8")
    made.train_from_iterator([text], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=made,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token=None,
        clean_up_tokenization_spaces=False,
        model_max_length=512,
        chat_template=TEMPLATE,
    )
    assert len(fast) == VOCABULARY
    fast.save_pretrained(files)


def config(kind: str = "llama", **changes: Any) -> Any:
    """The configuration of a model of 2 layers, hidden 64."""
    from transformers import AutoConfig

    base: dict[str, Any] = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 512,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 2,
        "initializer_range": 0.2,
        "tie_word_embeddings": False,
    }
    return AutoConfig.for_model(kind, **(base | changes))


def model(kind: str = "llama", seed: int = 0, **changes: Any) -> Any:
    """Such a model with random weights in bfloat16."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(config(kind, **changes)).to(torch.bfloat16).eval()


def save(made: Any, files: Path, words: Any = None) -> None:
    """Write model and tokenizer as transformers does."""
    made.save_pretrained(files)
    (words or tokenizer()).save_pretrained(files)


def edit(path: Path, **changes: Any) -> None:
    """Set fields of a JSON file; None takes a field out."""
    old: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    new = {name: value for name, value in (old | changes).items() if name not in changes or value is not None}
    path.write_text(json.dumps(new, indent=2), encoding="utf-8")


def rewrite(files: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Replace the tensors of a checkpoint by what `change` makes of them."""
    from safetensors.torch import load_file, save_file

    path = files / "model.safetensors"
    save_file(change(load_file(path)), path, {"format": "pt"})
