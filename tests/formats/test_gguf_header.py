"""What a GGUF says of itself is read without any tool, and what cannot be exact is known before the work."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from bakehouse.formats import gguf_faults, gguf_header

PLAIN: dict[str, Any] = {
    "general.architecture": "llama",
    "llama.embedding_length": 64,
    "llama.attention.head_count": 4,
    "llama.rope.dimension_count": 16,
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "smollm",
    "tokenizer.ggml.tokens": ["a"] * 200,
    "tokenizer.ggml.scores": [1.0] * 200,
    "tokenizer.ggml.eos_token_id": 2,
}


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _value(value: Any) -> bytes:
    match value:
        case str():
            return struct.pack("<I", 8) + _text(value)
        case bool():
            return struct.pack("<I?", 7, value)
        case int():
            return struct.pack("<II", 4, value)
        case float():
            return struct.pack("<If", 6, value)
        case [str(), *_]:
            return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_text, value))
        case _:
            return struct.pack("<IIQ", 9, 6, len(value)) + struct.pack(f"<{len(value)}f", *value)


def write(path: Path, pairs: dict[str, Any]) -> Path:
    body = b"".join(_text(name) + _value(value) for name, value in pairs.items())
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)) + body)
    return path


def without(*names: str, **more: Any) -> dict[str, Any]:
    kept = {name: value for name, value in PLAIN.items() if name not in names}
    return kept | {name.replace("__", "."): value for name, value in more.items()}


def test_every_key_is_read_and_of_arrays_the_beginning(tmp_path: Path) -> None:
    metadata = gguf_header.read(write(tmp_path / "a b.gguf", PLAIN))
    assert {name: value for name, value in metadata.items() if not isinstance(value, list)} == {
        name: value for name, value in PLAIN.items() if not isinstance(value, list)
    }
    assert list(gguf_faults.faults(metadata)) == []


@pytest.mark.parametrize(
    ("pairs", "what", "details"),
    [
        (without(general__architecture="granite"), 'The GGUF\'s architecture is "granite", and only llama, qwen2, qwen3', ()),
        (without(split__count=2, split__no=0), "The GGUF is part 1 of 2; only a file with the whole model is read.", ()),
        (
            without(llama__rope__scaling__type="linear", llama__rope__scaling__factor=4.0),
            "The GGUF describes parts of the model that its reader ignores.",
            ("llama.rope.scaling.type = linear", "llama.rope.scaling.factor = 4.0"),
        ),
        (without("tokenizer.ggml.pre"), "The GGUF does not say how its tokenizer splits text (tokenizer.ggml.pre), as files", ()),
        (without(tokenizer__ggml__pre="bert-bpe"), 'The GGUF\'s tokenizer splits text the way "bert-bpe" does; only gpt-2, llama-bpe', ()),
        (without(tokenizer__ggml__model="t5"), 'The GGUF\'s tokenizer is of the kind "t5", and only gpt2', ()),
        (
            without("tokenizer.ggml.scores", tokenizer__ggml__model="llama"),
            "The GGUF's SentencePiece tokenizer has no tokenizer.ggml.scores and tokenizer.ggml.token_type",
            (),
        ),
        (without(tokenizer__ggml__add_eos_token=True), "The GGUF's tokenizer puts an end token behind every text", ()),
        (without("tokenizer.ggml.eos_token_id"), "The GGUF names no token that ends an answer (tokenizer.ggml.eos_token_id)", ()),
    ],
    ids=["architecture", "split", "rope", "no pre", "pre", "model", "no scores", "end behind", "no end"],
)
def test_what_cannot_be_exact_is_one_sentence(pairs: dict[str, Any], what: str, details: tuple[str, ...], tmp_path: Path) -> None:
    [(said, lines)] = gguf_faults.faults(gguf_header.read(write(tmp_path / "m.gguf", pairs)))
    assert said.startswith(what)
    assert tuple(lines) == details


def test_a_chat_template_may_name_the_end_where_no_key_does() -> None:
    metadata = without("tokenizer.ggml.eos_token_id", tokenizer__chat_template="{{ messages }}")
    assert list(gguf_faults.faults(metadata)) == []


@pytest.mark.parametrize("content", [b"", b"GGML1234", b"GGUF\x03", b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + b"\xff" * 40])
def test_what_is_not_a_complete_gguf_is_an_error_of_its_own(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(content)
    with pytest.raises(gguf_header.NotGGUF):
        gguf_header.read(tmp_path / "m.gguf")


@pytest.mark.parametrize(
    "value",
    [
        struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 5000,
        struct.pack("<IIQ", 9, 4, 1 << 62) + bytes(300),
        struct.pack("<IIQ", 9, 8, 70) + _text("") * 64 + b"\xff" * 8,
    ],
    ids=["arrays in arrays", "more numbers than a file has", "a text longer than a file"],
)
def test_a_header_of_sizes_that_cannot_be_is_an_error_of_its_own(value: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + _text("a") + value)
    with pytest.raises(gguf_header.NotGGUF):
        gguf_header.read(tmp_path / "m.gguf")
