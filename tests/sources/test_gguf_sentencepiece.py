"""A SentencePiece BPE read from a GGUF's metadata cuts texts as the algorithm does that the file was made for."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from bakehouse.child import events
from tests.support import standin

pytestmark = pytest.mark.model

SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
WORDS = [
    "he",
    "ll",
    "hell",
    "hello",
    "o" + SPACE,
    SPACE + "w",
    "or",
    SPACE + "wor",
    "ld",
    SPACE + "h",
    SPACE + "he",
    "aa",
    "aaa",
    "12",
    SPACE + SPACE,
]
CHARACTERS = [SPACE, *"abcdefghijklmnopqrstuvwxyz", *"0123456789", "é", "日"]
SPECIAL = ["<unk>", "<s>", "</s>"]
USER = ["\n\n", "<div>"]
TEXTS = [
    "hello world",
    " hello",
    "aaaaaaa",
    "x\n\n\ny",
    "naïve é 日本 🙂",
    "a  b   c",
    "<s>hello</s> w",
    "<div>hello<div>",
    "1212 ½",
    "\ttab",
    "",
    "   ",
]


def metadata(**changes: Any) -> dict[str, Any]:
    tokens = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *USER, *WORDS, *CHARACTERS]
    types = [2, 3, 3, *[6] * 256, *[4] * len(USER), *[1] * (len(WORDS) + len(CHARACTERS))]
    scores = [0.0] * (3 + 256 + len(USER)) + [-float(number) for number in range(len(WORDS) + len(CHARACTERS))]
    own = {"model": "llama", "pre": "default", "tokens": tokens, "token_type": types, "scores": scores}
    own |= {"unknown_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    kept = {key: value for key, value in standin.byte_level_metadata().items() if not key.startswith("tokenizer.")}
    return kept | {f"tokenizer.ggml.{key}": value for key, value in (own | changes).items()}


def joined(text: str, known: dict[str, Any]) -> list[int]:
    """The tokens of a text without special tokens: the best pair is joined until there is none, leftmost of equals; then bytes."""
    tokens, scores = known["tokenizer.ggml.tokens"], known["tokenizer.ggml.scores"]
    pieces = list(text.replace(" ", SPACE))
    while True:
        pairs = [(-scores[tokens.index(a + b)], at) for at, (a, b) in enumerate(itertools.pairwise(pieces)) if a + b in tokens]
        if not pairs:
            break
        at = min(pairs)[1]
        pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
    ids: list[int] = []
    for piece in pieces:
        ids += [tokens.index(piece)] if piece in tokens else [3 + byte for byte in piece.encode()]
    return ids


def expected(text: str, known: dict[str, Any], *, prefix: bool) -> list[int]:
    """The tokens of a text: special and user-defined ones are found first, and what lies between them is joined."""
    import re

    tokens = known["tokenizer.ggml.tokens"]
    found = [1]
    for part in re.split("(" + "|".join(map(re.escape, [*SPECIAL, *USER])) + ")", text):
        if part in [*SPECIAL, *USER]:
            found.append(tokens.index(part))
        elif part:
            found += joined(" " + part if prefix else part, known)
    return found


@pytest.mark.parametrize("prefix", [True, False], ids=["space before", "no space before"])
def test_texts_are_joined_by_score_and_fall_back_to_bytes(prefix: bool) -> None:
    from bakehouse.sources.workers import gguf_tokenizer

    known = metadata(add_space_prefix=prefix)
    tokenizer = gguf_tokenizer.build(known)
    assert [tokenizer.encode(text) for text in TEXTS] == [expected(text, known, prefix=prefix) for text in TEXTS]


def test_the_tokens_of_a_text_become_the_text_again() -> None:
    from bakehouse.sources.workers import gguf_tokenizer

    tokenizer = gguf_tokenizer.build(metadata(add_space_prefix=False))
    plain = [text for text in TEXTS if "<s>" not in text]
    assert [tokenizer.decode(tokenizer.encode(text), skip_special_tokens=True) for text in plain] == plain


def test_a_text_begins_with_bos_and_a_space_unless_configured_otherwise() -> None:
    from bakehouse.sources.workers import gguf_tokenizer

    assert gguf_tokenizer.build(metadata()).encode("hello")[0] == 1
    assert gguf_tokenizer.build(metadata(add_bos_token=False)).encode("b")[0] != 1
    assert gguf_tokenizer.build(metadata()).encode("b") == expected("b", metadata(), prefix=True)


def changed(key: str, token: str, value: Any) -> dict[str, Any]:
    """The metadata with another value of one token."""
    known = metadata()
    values = list(known[f"tokenizer.ggml.{key}"])
    values[known["tokenizer.ggml.tokens"].index(token)] = value
    return known | {f"tokenizer.ggml.{key}": values}


@pytest.mark.parametrize(
    ("known", "what", "details"),
    [
        (changed("tokens", "ll", "he"), "The GGUF's tokenizer has the same token twice.", []),
        (
            changed("token_type", "<0x41>", 1),
            "The GGUF's tokenizer has no token for each byte, so that some texts cannot be tokens.",
            [],
        ),
        (
            changed("token_type", SPACE * 2, 4),
            f"The GGUF's tokenizer has user-defined tokens with {SPACE} in the place of spaces, which no text has.",
            [SPACE * 2],
        ),
        (
            changed("scores", "he", metadata()["tokenizer.ggml.scores"][metadata()["tokenizer.ggml.tokens"].index("or")]),
            "The GGUF's tokenizer gives several tokens the same score, so the order of its merges is not known.",
            [],
        ),
    ],
    ids=["twice", "no byte", "hidden space", "same score"],
)
def test_a_vocabulary_that_leaves_the_cut_open_is_refused(
    known: dict[str, Any], what: str, details: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    from bakehouse.sources.workers import gguf_tokenizer

    with pytest.raises(SystemExit):
        gguf_tokenizer.build(known)
    line = next(line for line in capfd.readouterr().out.splitlines() if line.startswith(events.MARK))
    said = json.loads(line.removeprefix(events.MARK))
    assert (said["what"], said["details"]) == (what, details)
