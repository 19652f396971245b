"""Texts on which tokenizers differ, and the comparison of two of them. Which tokenizers these are, the caller says."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from typing import Any

# A tokenizer as two functions: text to ids, and ids to text.
Tokenizer = tuple[Callable[[str], list[int]], Callable[[list[int]], str]]

TEXTS: tuple[str, ...] = (
    "",
    " ",
    "Hello, world!",
    " leading and trailing ",
    "two  three   four    spaces",
    "tab\tand\t\ttabs",
    "line\nline\n\nline\n\n\n\nend\n",
    "carriage\r\nreturn\r\n\r\nand\ralone",
    "\n",
    "\t  \n  mixed \u00a0 blanks\u2003here\u200bzero\u3000wide",
    "def f(x):\n    if x > 0:\n        return {'a': [1, 2.5e-3, 0xFF]}  # done\n",
    "for (int i = 0; i < n; ++i) { a[i] += b->c * *d; } // <=> != ===",
    "3.14159 1,234,567.89 1234567890 007 1e10 ½ ² ٣٤٥ １２３",
    "I'm you're he'll they've she'd it's WE'RE don't",
    "naïve café Ångström œuvre ﬁne ẞ İstanbul ŁÓDŹ",
    "e\u0301 n\u0303 a\u0308\u0323 Z\u0351\u036b\u0343\u036a",
    "Привет, мир! Ελληνικά. 你好，世界。こんにちは 한국어 ไทย हिन्दी தமிழ் አማርኛ",
    "مرحبا بالعالم שלום עולם \u202bright to left\u202c",
    "😀 👍🏽 👨‍👩‍👧‍👦 🏳️‍🌈 🇫🇷 1️⃣ ❤️",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐍈 𠜎 \U0010fffd \ufffd \ue000",
    "\x01\x02\x1b[0m\x7f\u0085\u2028\u2029\ufeffbom",
    "http://example.org/a?b=c&d=%20#e user@example.org C:\\path\\file",
    '"quoted" «guillemets» “curly” ‘single’ —dash– …',
    "<s> </s> <|endoftext|> <|im_start|>user<|im_end|> <|end|> [INST] [/INST] <unk> <pad>",
    "a" * 600,
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
    "ＦＵＬＬＷＩＤＴＨ ｈａｌｆ ㎏ Ⅳ ™ ﷺ",
    "!!!???...,,,;;;:::---___***###@@@$$$%%%^^^&&&",
)


UNCOMPOSED = "a text must be in composed form (Unicode NFC): the runtime does not compose it as the tokenizer asks"


def special_texts(tokens: Iterable[str]) -> tuple[str, ...]:
    """Every special token alone, and glued to letters and between blanks."""
    return tuple(text for token in tokens for text in (token, f"a{token}b", f"  {token}  \n{token}{token}"))


def differences(texts: Iterable[str], expected: Tokenizer, got: Tokenizer) -> list[dict[str, Any]]:
    """Where the second (encode, decode) pair is not the first: the text, and ids or decoded text of both.

    Both decode the first's ids. What only befalls a text whose accents stand apart from their letters has a `limit`: neither
    openvino_tokenizers 2026.4 nor onnxruntime-genai 0.18 composes characters as the NFC normalizer of Qwen's tokenizers does.
    """
    found: list[dict[str, Any]] = []
    for text in texts:
        ids, other_ids = expected[0](text), got[0](text)
        if ids != other_ids:
            composed = unicodedata.normalize("NFC", text)
            limit = {"limit": UNCOMPOSED} if composed != text and got[0](composed) == expected[0](composed) else {}
            found.append({"text": text, "expected_ids": ids, "ids": other_ids, **limit})
        back, other_back = expected[1](ids), got[1](ids)
        if back != other_back:
            found.append({"text": text, "expected_text": back, "decoded_text": other_back})
    return found


def limits(found: Iterable[dict[str, Any]]) -> dict[str, list[str]]:
    """What a runtime's tokenizer does not do, of some `differences`, as a measured fact; empty if there is nothing."""
    told = sorted({case["limit"] for case in found if "limit" in case})
    return {"tokenizer_limits": told} if told else {}
