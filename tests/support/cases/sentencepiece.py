"""Tokenizers of SentencePiece's kind, as Llama 2, Phi-3 and Mistral have them: byte fallback, and no cuts before the merges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.cases.making import CHAT, VOCABULARY, Case, model

BLANK = "\N{LOWER ONE EIGHTH BLOCK}"
_FIRST = ("<unk>", "<s>", "</s>")
_PHI3 = ("<|endoftext|>", "<|assistant|>", "<|placeholder1|>", "<|system|>", "<|end|>", "<|user|>")
_PHI3_TEMPLATE = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
_LLAMA2_TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' + m['content'].strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'].strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)


def _engine(size: int) -> Any:
    """`size` tokens: three special ones, 256 bytes, letters, words trained on the licence, and runs of blanks last of all merges."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    trained = Tokenizer(models.BPE())
    blanks, digits = pre_tokenizers.Metaspace(prepend_scheme="always"), pre_tokenizers.Digits(individual_digits=True)
    trained.pre_tokenizer = pre_tokenizers.Sequence([blanks, digits])
    letters = [BLANK, *map(chr, range(33, 127))]
    runs = [(BLANK * count, BLANK * count) for count in (1, 2, 4, 8)] + [(BLANK * count, BLANK) for count in (2, 3, 4, 5, 6)]
    names = [first + second for first, second in runs]
    trainer = trainers.BpeTrainer(vocab_size=size - 3 - 256 - len(set(names)), initial_alphabet=letters, show_progress=False)
    trained.train_from_iterator([(Path(__file__).parents[3] / "LICENSE").read_text(encoding="utf-8").replace("\n", " ")], trainer)
    words = sorted(trained.get_vocab(), key=trained.get_vocab().__getitem__)
    vocabulary = {name: at for at, name in enumerate([*_FIRST, *(f"<0x{byte:02X}>" for byte in range(256)), *words, *dict.fromkeys(names)])}
    assert len(vocabulary) == size
    merges = _merges(trained) + runs
    made = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend(BLANK), normalizers.Replace(" ", BLANK)])
    made.decoder = decoders.Sequence(
        [decoders.Replace(BLANK, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)],
    )
    return made


def _merges(trained: Any) -> list[tuple[str, str]]:
    import json

    return [(first, second) for first, second in json.loads(trained.to_str())["model"]["merges"]]


def _save(files: Path, engine: Any, template: str, end: str, **ids: Any) -> None:
    from transformers import PreTrainedTokenizerFast

    words = PreTrainedTokenizerFast(
        tokenizer_object=engine,
        bos_token="<s>",
        eos_token=end,
        unk_token="<unk>",
        pad_token=end,
        clean_up_tokenization_spaces=False,
        model_max_length=512,
        chat_template=template,
    )
    assert len(words) == VOCABULARY
    words.save_pretrained(files)
    model(**ids).save_pretrained(files)


def _begins(engine: Any) -> None:
    from tokenizers import processors

    engine.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])


def _llama2(files: Path) -> None:
    engine = _engine(VOCABULARY)
    _begins(engine)
    engine.add_special_tokens([*_FIRST])
    _save(files, engine, _LLAMA2_TEMPLATE, "</s>")


def _phi3(files: Path) -> None:
    """As Phi-3's: tokens that take the blanks after them, a `</s>` that is not special, and no token before a text."""
    from tokenizers import AddedToken

    engine = _engine(VOCABULARY - len(_PHI3))
    engine.add_special_tokens(["<unk>", "<s>"])
    engine.add_tokens([AddedToken("</s>", rstrip=True, normalized=False)])
    engine.add_special_tokens([AddedToken(name, rstrip=name != "<|endoftext|>", normalized=False) for name in _PHI3])
    end, turn_end = (VOCABULARY - len(_PHI3) + _PHI3.index(name) for name in ("<|endoftext|>", "<|end|>"))
    _save(files, engine, _PHI3_TEMPLATE, "<|endoftext|>", eos_token_id=[end, turn_end], pad_token_id=end)


def metaspace(files: Path) -> None:
    """As newer conversions of Mistral's: a blank before the first piece of a text only, which onnxruntime-genai 0.18 puts before all."""
    from tokenizers import normalizers, pre_tokenizers

    engine = _engine(VOCABULARY)
    _begins(engine)
    engine.normalizer = normalizers.Sequence([])
    engine.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    engine.add_special_tokens([*_FIRST])
    _save(files, engine, _LLAMA2_TEMPLATE, "</s>")


def _gemma(files: Path) -> None:
    """As Gemma's: no blank before a text, and runs of blanks that are added tokens, too."""
    from tokenizers import AddedToken, decoders, normalizers, pre_tokenizers

    engine = _engine(VOCABULARY)
    _begins(engine)
    engine.normalizer = normalizers.Replace(" ", BLANK)
    engine.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    engine.decoder = decoders.Sequence([decoders.Replace(BLANK, " "), decoders.ByteFallback(), decoders.Fuse()])
    engine.add_special_tokens([*_FIRST])
    engine.add_tokens([AddedToken(BLANK * count, normalized=False) for count in (2, 3, 4, 8)])
    _save(files, engine, _LLAMA2_TEMPLATE, "</s>")


CASES = {
    "spm-gemma": Case(_gemma, golden=CHAT),
    "spm-llama2": Case(_llama2, golden=CHAT),
    "spm-phi3": Case(_phi3, golden=CHAT),
}
