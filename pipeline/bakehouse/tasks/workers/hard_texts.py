"""Texts on which tokenizers differ, and the comparison of two tokenizers."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping

from bakehouse.tasks.workers.tokenizer_difference import DifferentIds, DifferentText

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
    "Steps:\n   1. one\n      2. two\n        0, 1\n",
    "x = y()[0]) + {'': \"\", 'a': (), \"b\", `c()}`];\n  _d()]",
)


# What a runtime does not do as the source's tokenizer does, by kind: the card says so, and a build is not refused for it.
UNCOMPOSED = "a text must be in composed form (Unicode NFC): the runtime does not compose it as the tokenizer does"
LONG_RUN = "more than 90 bytes of blanks, or without a blank or a line end, may be cut into other tokens of the same text"
FIRST_BLANK = "a decoded text begins with a blank more than transformers gives it"
NEXT_TO_SPECIAL = "special tokens, and blanks next to them, are left out of decoded texts in other places than by transformers"
AS_A_BYTE = "a token of four characters in angle brackets, such as <code>, is decoded as one byte"

_FOUR_IN_BRACKETS = re.compile(r"<[^<>]{4}>")  # openvino_tokenizers 2026.4 takes every token of this form for a byte (<0x0A>)
_RUN = re.compile(r"[^ \n]{23,}| {91,}|\n{91,}")


def special_texts(tokens: Iterable[str]) -> tuple[str, ...]:
    """Every special token alone, and glued to letters and between blanks."""
    return tuple(text for token in tokens for text in (token, f"a{token}b", f"  {token}  \n{token}{token}"))


def differences(
    texts: Iterable[str], expected: Tokenizer, got: Tokenizer, *, special: Mapping[int, str] | None = None, cuts_runs: bool = False
) -> list[DifferentIds | DifferentText]:
    """Where the second (encode, decode) pair is not the first.

    Both decode the first's ids. A difference of a known, bounded kind has a `limit`. What only befalls a text whose accents are separate
    from their letters is one: neither openvino_tokenizers 2026.4 nor onnxruntime-genai 0.18 composes characters as the NFC normalizer of
    Qwen's tokenizers does.

    Args:
        special: special tokens by id, of a runtime that treats them and the blanks next to them in its own way when it decodes.
        cuts_runs: whether the runtime cuts long runs of characters, before it looks for tokens.
    """
    found: list[DifferentIds | DifferentText] = []
    for text in texts:
        ids, other_ids = expected[0](text), got[0](text)
        if ids != other_ids:
            limit = _encoding_limit(text, other_ids, expected, got, cuts_runs)
            found.append(DifferentIds(text, ids, other_ids, limit))
        back, other_back = expected[1](ids), got[1](ids)
        if back != other_back:
            limit = AS_A_BYTE if _taken_for_bytes(back, other_back) else None
            if limit is None and special is not None:
                limit = _decoding_limit(ids, expected[1], got[1], special)
            found.append(DifferentText(text, back, other_back, limit))
    return found


def _encoding_limit(text: str, other_ids: list[int], expected: Tokenizer, got: Tokenizer, cuts_runs: bool) -> str | None:
    def cured(changed: str) -> bool:
        return changed != text and got[0](changed) == expected[0](changed)

    if cured(unicodedata.normalize("NFC", text)):
        return UNCOMPOSED
    short = _RUN.sub(lambda run: run[0][:10] if len(run[0].encode()) > 90 else run[0], text)
    same_text = expected[1](other_ids) == expected[1](expected[0](text))
    return LONG_RUN if cuts_runs and same_text and cured(short) else None


def _taken_for_bytes(back: str, other: str) -> bool:
    """Whether a text came back with one character, or none, in the place of each token of four characters in angle brackets."""
    others = [re.escape(part) for part in _FOUR_IN_BRACKETS.split(back)]
    return len(others) > 1 and re.fullmatch(".?".join(others), other, re.DOTALL) is not None


def _decoding_limit(
    ids: list[int], expected: Callable[[list[int]], str], got: Callable[[list[int]], str], special: Mapping[int, str]
) -> str | None:
    """The kind of a difference between two decoded texts; None if what stands between special tokens differs in more than a first blank."""

    def bare(text: str) -> str:
        for token in sorted(special.values(), key=len, reverse=True):
            text = text.replace(token, "")
        return text.replace(" ", "")

    runs = [list(run) for is_special, run in itertools.groupby(ids, lambda token: token in special) if not is_special]
    if any(got(run) not in (text, f" {text}") for run in runs for text in [expected(run)]):
        return None
    back, other_back = expected(ids), got(ids)
    if bare(back) != bare(other_back):
        return None
    return FIRST_BLANK if other_back == f" {back}" else NEXT_TO_SPECIAL
