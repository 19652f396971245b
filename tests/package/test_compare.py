"""Packages side by side: what the table and the page say, and that no answer can break out of the page."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console

from bakehouse.package import compare
from bakehouse.records import Agreement, Validation
from tests.package.test_card import manifest, verdict

pytestmark = pytest.mark.needs_backend("openvino")


def package(name: str, answer: str = "Paris.", *, common: int = 8, stand_in: bool = False, **changes: Any) -> compare.Row:
    """The row of a package with one golden prompt."""
    agreement = Agreement(common_tokens=common, answer_tokens=8, source_tokens=8)
    one = verdict(answer=answer, agreement=agreement)
    validation = Validation(verdicts=(one,), device="CPU", device_name="a CPU", stand_in=stand_in, load_s=1.0, peak_memory_bytes=10**9)
    return compare.row(manifest("phi3", "int4-openvino").model_copy(update={"name": name, "validation": validation, **changes}))


def said(*rows: compare.Row) -> list[str]:
    """The tables' lines."""
    stream = io.StringIO()
    for table in compare.tables(rows):
        Console(file=stream, width=160).print(table)
    return [re.sub(r"  +", " | ", line.strip()) for line in stream.getvalue().splitlines()]


def test_the_table_shows_size_bits_agreement_and_answers_and_no_speed() -> None:
    measured = {"model": {"weights": {"int8_asym": 1, "int4_sym": 3}}}
    one, other = package("a", measured=measured), package("b", "Lyon.", common=2, measured={})
    size = compare.size_text(one.size_bytes)
    assert said(one, other) == [
        "package | size | KLD (95 %) | same next token | perplexity ratio | weights | tokens in common | ran on",
        f"a | {size} | - | - | - | int4_sym 75 %, int8_asym 25 % | 8 of 8 | CPU",
        f"b | {size} | - | - | - | - | 2 of 8 | CPU",
        "prompt | package | answer",
        "What is the capital of France? | a | Paris.",
        "b | Lyon.",
    ]


def test_a_stand_in_is_called_one() -> None:
    assert package("a", stand_in=True, targets=("NPU",)).device == "CPU in place of NPU"


def test_a_prompt_that_a_package_did_not_get_has_no_answer() -> None:
    row = package("a")
    assert compare.answers(row, "What is the capital of France?") == "Paris."
    assert compare.answers(row, "Another one?") == "-"


def test_a_long_answer_is_cut_in_the_table_and_complete_on_the_page() -> None:
    long = "word " * 200
    row = package("a", long)
    assert "…" in "".join(said(row))
    assert sum(line.count("word") for line in said(row)) == 60
    assert long.strip() in compare.page([row])


@pytest.mark.parametrize("answer", ["<script>alert(1)</script>", '"><img src=x>'])
def test_no_answer_breaks_out_of_the_page(answer: str) -> None:
    page = compare.page([package("a", answer)])
    assert answer not in page
    assert (page.count("<script"), page.count("<img")) == (1, 0), "the one that sorts"


def test_the_page_needs_nothing_from_outside() -> None:
    page = compare.page([package("a")])
    assert not re.search(r"(src=|url\(|@import|href=\"[^#])", page)
    assert "default-src 'none'" in page, "the browser refuses it, too"
