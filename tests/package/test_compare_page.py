"""The page of `compare --html` in a real browser: it fits every window, can be read light and dark, and sorts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bakehouse.package import compare
from bakehouse.records import Agreement
from tests.package.test_card import verdict
from tests.package.test_compare import package
from tests.support import browser
from tests.support.fidelities import fidelity

pytestmark = [pytest.mark.needs_backend("openvino"), browser.needs_browser]

LONG = "A prompt that needs more than one line of a narrow window, because whoever wrote it wanted to know everything about bread?"
NAMES = ["phi3-fp16", "phi3-int4-with-a-name-that-is-far-too-long-for-any-column-of-a-table", "phi3-int8"]
SIZES = [7_640_000_000, 987_000_000, 3_900_000_000]
COMMON = [8, 0, 6]
# Every text whose contrast to what is behind it is below 4.5 to 1 (WCAG 2, level AA), as [text, contrast].
FAINT = """(() => {
  const channels = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = colour => channels(colour).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = node => {
    for (; node; node = node.parentElement) {
      const colour = getComputedStyle(node).backgroundColor;
      if ((channels(colour)[3] ?? 1) > 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), faint = [];
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const node = text.parentElement;
    if (!text.data.trim() || node.tagName === "SCRIPT" || !node.checkVisibility()) continue;
    const [low, high] = [light(getComputedStyle(node).color), light(behind(node))].sort((a, b) => a - b);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < 4.5) faint.push([text.data.trim(), contrast]);
  }
  return faint;
})()"""
# What sticks out of the window, or out of the element that it is in.
OUTSIDE = """[...document.querySelectorAll("body *")].filter(node => node.checkVisibility())
  .filter(node => !node.closest("svg, script"))
  .filter(node => node.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5 || node.scrollWidth > node.clientWidth + 1
    && getComputedStyle(node).display !== "inline").map(node => node.outerHTML.slice(0, 80))"""
BARS = """kind => [...document.querySelectorAll(`i.${kind}`)].map(
  bar => Math.round(100 * bar.getBoundingClientRect().width / bar.parentElement.getBoundingClientRect().width))"""
ORDER = "[...document.querySelectorAll('tbody th a')].map(link => link.textContent)"


def rows() -> list[compare.Row]:
    """Three packages with two prompts, one of which one package did not get."""
    counted = {"model": {"weights": {"int8_asym": 1, "int4_sym": 3}}}
    found = []
    for name, size, common in zip(NAMES, SIZES, COMMON, strict=True):
        one = package(name, "Bread. " * 80, common=common, measured=counted, stand_in=name == NAMES[1], targets=("DirectML",))
        wrong: dict[str, Any] = {"passed": False, "reasons": ("The answer does not contain Paris.",)} if common == 0 else {}
        other = verdict(prompt=LONG, answer="x" * 300, agreement=Agreement(common_tokens=common, answer_tokens=8, source_tokens=8), **wrong)
        answered = one.verdicts if name == NAMES[2] else (*one.verdicts, other)
        measured = None if name == NAMES[2] else fidelity(0.001 if name == NAMES[0] else 0.3)
        found.append(dataclasses.replace(one, fidelity=measured, size_bytes=size, verdicts=answered, common_tokens=common, source_tokens=8))
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Page]:
    with browser.opened(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.mark.whole
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [420, 800, 1400])
def test_the_page_fits_the_window_and_can_be_read(width: int, dark: bool, page: browser.Page, tmp_path: Path) -> None:
    page.show(compare.page(rows()), width, dark=dark)
    page.picture(tmp_path / "page.png")  # for whoever wants to look
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
    assert page.evaluate("innerWidth") == width
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") is dark
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.evaluate(OUTSIDE) == []
    assert page.evaluate(FAINT) == []
    assert page.evaluate(ORDER) == NAMES
    assert page.evaluate("[...document.querySelectorAll('tbody tr')].every(row => row.checkVisibility())")
    dim = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every(channel => channel < 128)")
    assert dim is dark


@pytest.mark.parametrize("width", [420, 1400])
def test_bars_begin_at_nothing_and_end_at_what_is_possible(width: int, page: browser.Page) -> None:
    page.show(compare.page(rows()), width)
    assert page.evaluate(f"({BARS})('agreement')") == [100, 0, 75]
    assert page.evaluate(f"({BARS})('size')") == [100, 13, 51]
    page.show(compare.page(rows()[2:]), width)
    assert page.evaluate(f"({BARS})('agreement')") == [75]


@pytest.mark.parametrize("width", [420, 1400])
def test_a_click_on_a_column_sorts_by_it_and_another_turns_it_round(width: int, page: browser.Page) -> None:
    page.show(compare.page(rows()), width)
    full, small, middle = NAMES
    sort = "document.querySelectorAll('thead th button')[{}].click()"
    for column, ascending in (
        (1, [small, middle, full]),
        (2, [middle, full, small]),
        (5, [small, middle, full]),
        (0, [full, small, middle]),
    ):
        page.evaluate(sort.format(column))
        assert page.evaluate(ORDER) == ascending
        assert page.evaluate(f"document.querySelectorAll('thead th')[{column}].getAttribute('aria-sort')") == "ascending"
        page.evaluate(sort.format(column))
        assert page.evaluate(ORDER) == ascending[::-1]
        assert page.evaluate("document.querySelectorAll('th[aria-sort]').length") == 1


@pytest.mark.parametrize("width", [420, 1400])
def test_every_link_leads_to_an_answer_a_prompt_or_a_package_of_the_page(width: int, page: browser.Page) -> None:
    page.show(compare.page(rows()), width)
    found = page.evaluate(
        "[...document.links].map(link => [link.getAttribute('href'), !!document.querySelector(link.getAttribute('href'))])"
    )
    assert len(found) == len(NAMES) + 2 + 2 * len(NAMES)
    assert all(href.startswith("#") and there for href, there in found)
    first = page.evaluate("document.querySelector('tbody a').hash")
    assert NAMES[0] in page.evaluate(f"document.querySelector('{first}').textContent")


@pytest.mark.parametrize("width", [360, 1400])
def test_all_that_the_chart_says_is_inside_it_and_large_enough_to_read(width: int, page: browser.Page) -> None:
    page.show(compare.page(rows()), width)
    outside = """(() => { const box = document.querySelector("svg").getBoundingClientRect();
      return [...document.querySelectorAll("svg text")].filter(text => { const own = text.getBoundingClientRect();
        return own.left < box.left - 1 || own.right > box.right + 1 || own.top < box.top - 1 || own.bottom > box.bottom + 1
          || own.height < 10; }).map(text => text.textContent) })()"""
    assert page.evaluate(outside) == []
    assert page.evaluate("document.querySelectorAll('figcaption li').length") == 2


@pytest.mark.parametrize(("width", "columns"), [(420, 1), (800, 2), (1400, 3)])
def test_answers_are_side_by_side_where_there_is_room(width: int, columns: int, page: browser.Page) -> None:
    page.show(compare.page(rows()), width)
    lefts = "new Set([...document.querySelector('.answers').children].map(answer => answer.getBoundingClientRect().left)).size"
    assert page.evaluate(lefts) == columns


@pytest.mark.parametrize("width", [420, 1400])
def test_without_a_script_everything_is_shown_but_the_buttons(width: int, page: browser.Page) -> None:
    page.show(compare.page(rows()), width, script=False)
    shown = page.evaluate("document.body.innerText")
    assert all(name in shown for name in NAMES) and "This package did not get this prompt." in shown
    assert page.evaluate("document.querySelectorAll('button').length") == 0
    assert page.evaluate("document.querySelector('thead').checkVisibility()") is (width == 1400)
