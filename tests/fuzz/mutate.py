"""Makes damaged and hostile inputs out of valid ones; the same random numbers make the same inputs."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from copy import deepcopy
from random import Random
from typing import Any

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 3, 7, 2**31, 2**32, 2**63, 2**64, 10**30, -(2**63), 0.5, -0.0, 1e308, float("inf"), float("nan")),
    *("", " ", "a", "0", "-1", "../../etc/passwd", "/etc/passwd", "C:\\x", "con", ".", "..", "a/b", "x" * 5000, "\x00", "\x1b[31m\x07"),
    *("\ud800", "\u202e\u2028", "é", "line\nline", "{{ x }}", "%s", "1e999", "2026-01-01"),
    *([], {}, [[]], [{}], {"": ""}, [None], [1, 2, 3], ["a", 1], {"a": {"b": {"c": None}}}, [-1], [0, 0], [2**62, 2**62]),
)
NUMBERS = (0, 1, 2, 7, 8, 255, 256, 0x7FFF, 0xFFFF, 1 << 20, 1 << 28, (1 << 28) + 1, 1 << 31, 1 << 32, 1 << 62, 1 << 63, (1 << 64) - 1)
_YAML = ("[" * 30, "{a: " * 30, "- " * 40, "0x1f", "1_000", "~", "yes", "!!python/name:os.system", "*x", "&x y", "9" * 400)
DEEP = 100_000  # brackets: more than Python's stack


def of_bytes(random: Random, bases: Sequence[bytes]) -> bytes:
    """One of the inputs with one to four changes: bits, parts left out, doubled or exchanged, numbers that mean too much, an early end."""
    body = bytearray(random.choice(bases))
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        at, length = random.randrange(len(body) + 1), random.choice((1, 1, 2, 4, 8, 64))
        match random.randrange(9):
            case 0 | 1 if body:
                body[at % len(body)] ^= 1 << random.randrange(8)
            case 2:
                del body[at : at + length]
            case 3:
                body[at:at] = random.randbytes(length)
            case 4:
                body[at : at + length] = body[at : at + length] * random.choice((2, 3, 100))
            case 5 | 6:
                kind = random.choice(("<B", "<H", "<I", "<Q", ">I"))
                number = struct.pack(kind, random.choice(NUMBERS) % (1 << 8 * struct.calcsize(kind)))
                body[at : at + len(number)] = number
            case 7:
                other = random.choice(bases)
                start = random.randrange(len(other) + 1)
                body[at:] = other[start:]
            case _:
                del body[at:]
    return bytes(body)


def of_text(random: Random, bases: Sequence[bytes]) -> bytes:
    """One of the texts with lines and words left out, doubled or exchanged; now and then as `of_bytes`."""
    if random.random() < 0.3:
        return of_bytes(random, bases)
    lines = random.choice(bases).decode(errors="replace").split("\n")
    for _ in range(random.choice((1, 1, 2, 3))):
        at = random.randrange(len(lines))
        match random.randrange(8):
            case 0 if len(lines) > 1:
                del lines[at]
            case 1:
                lines.insert(at, random.choice(lines))
            case 2:
                lines[at] = " " * random.choice((1, 2, 4)) + lines[at]
            case 3:
                lines[at] = lines[at].lstrip()
            case 4:
                lines[at] += random.choice(
                    (":", " #", "\t", '"', "'", "&a", "*a", "!!x", "|", ">", "{", "[", "]", "? ", "<<: ", "\x85", "%")
                )
            case _:
                before, sign, _ = lines[at].partition(random.choice((":", "=", '"', "<", " ")))
                lines[at] = before + sign + " " + _written(random)
    return "\n".join(lines).encode(errors="surrogatepass")


def _written(random: Random) -> str:
    odd = random.choice((*ODD, *_YAML))
    return odd if isinstance(odd, str) else json.dumps(odd)


def of_json(random: Random, bases: Sequence[bytes]) -> bytes:
    """One of the JSON documents with one to three values exchanged, left out, doubled or nested too deep; now and then as `of_bytes`."""
    chance = random.random()
    if chance < 0.15:
        return of_bytes(random, bases)
    document = json.loads(random.choice(bases))
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        document = changed(random, document)
    text = json.dumps(document)
    if chance < 0.16:
        text = text.replace("null", "[" * DEEP, 1) if "null" in text else '{"a":' * DEEP
    elif chance < 0.18:
        text = text.replace("{", '{"x": ' + random.choice(("1" * 5000, "1e400", "NaN", "-Infinity", '"\\ud800"')) + ",", 1)
    return text.encode(errors="surrogatepass")


def changed(random: Random, document: Any) -> Any:
    """A JSON value with one of its parts exchanged for something odd."""
    path: list[Any] = []
    here = document
    while isinstance(here, dict | list) and here and (not path or random.random() < 0.8):
        key = random.choice(list(here)) if isinstance(here, dict) else random.randrange(len(here))
        path.append((here, key))
        here = here[key]
    if not path:
        return _odd(random)
    holder, key = path[-1]
    match random.randrange(6):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[random.choice(("", "x", "\ud800", f"{key}s", "__proto__"))] = holder.pop(key)
        case 2 if isinstance(holder, list):
            holder.append(here)
        case 3 if isinstance(here, int) and not isinstance(here, bool):
            holder[key] = random.choice((here + 1, here - 1, -here, here * 2**40, float(here), str(here)))
        case _:
            holder[key] = _odd(random)
    return document


def _odd(random: Random) -> Any:
    """One of the odd values, as a copy: the next change may reach into it."""
    return deepcopy(random.choice(ODD))
