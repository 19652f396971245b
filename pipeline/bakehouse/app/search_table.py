"""What came of a search: a table, a sentence, a document for scripts, and the winner as a build."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table
from rich.text import Text

from bakehouse.app import documents
from bakehouse.recipe.build import RuntimeBuild
from bakehouse.search.candidates import Candidate
from bakehouse.search.decide import Done
from bakehouse.search.figures import front
from bakehouse.search.making import Prepared
from bakehouse.search.page import page
from bakehouse.search.results import Result
from bakehouse.text import count_text, size_text


def winner(prepared: Prepared, one: Candidate) -> RuntimeBuild:
    """The candidate's build, with the bounds of the search."""
    options = prepared.trial(one.name).options
    return options.model_copy(update={"bounds": prepared.search.bounds}) if prepared.search.bounds else options


_HEADS = ("candidate", "options", "predicted", "size", "mean KLD", "95 % interval", "verdict")


def table(prepared: Prepared, done: Done | None, results: Mapping[str, Result]) -> Table:
    """A row for each candidate, the smallest first."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for head in _HEADS:
        made.add_column(head, justify="right" if head in ("predicted", "size", "mean KLD") else "left", overflow="fold")
    for row in _rows(prepared, done, results):
        made.add_row(*map(Text, row))
    return made


def as_page(title: str, prepared: Prepared, done: Done, results: Mapping[str, Result]) -> str:
    """The same as a page with a chart."""
    won = done.winner.name if done.winner else ""
    return page(title, words(prepared, done, results), won, results, _HEADS, _rows(prepared, done, results))


def _rows(prepared: Prepared, done: Done | None, results: Mapping[str, Result]) -> list[tuple[str, ...]]:
    best = _front(prepared, results)
    rows: list[tuple[str, ...]] = []
    for one in prepared.candidates:
        result = results.get(one.name, Result())
        fidelity = result.confirmed or result.screened
        kl = fidelity.figures.kl_mean if fidelity else None
        size = size_text(result.size_bytes) if result.size_bytes else ""
        found = (f"{kl.value:.3f}", f"{kl.low:.3f} to {kl.high:.3f}") if kl else ("", "")
        rows.append((one.name, one.text(), size_text(one.predicted_bytes), size, *found, _verdict(one, done, best)))
    return rows


def _verdict(one: Candidate, done: Done | None, best: tuple[str, ...]) -> str:
    if done is None:
        return ""
    if done.winner and one.name == done.winner.name:
        return "wins"
    if one.name in done.tied:
        return f"tied with {done.winner.name if done.winner else ''}"
    verdict = done.verdicts.get(one.name)
    if verdict is None:
        return f"not measured ({done.stopped})"
    front_ = "; nothing is smaller and nearer" if one.name in best else ""
    return f"{verdict.kind}{': ' if verdict.reason else ''}{verdict.reason}{front_}"


def _front(prepared: Prepared, results: Mapping[str, Result]) -> tuple[str, ...]:
    """The measured candidates that nothing beats in both size and divergence."""
    return front(
        (one.name, float(found.size_bytes or one.predicted_bytes), found.confirmed.figures.kl_mean.value)
        for one in prepared.candidates
        if (found := results.get(one.name)) and found.confirmed
    )


def words(prepared: Prepared, done: Done | None, results: Mapping[str, Result]) -> str:
    """What a search comes to, in sentences."""
    total = f"{count_text(len(prepared.candidates), 'candidate')}, {prepared.left_out} left out as invalid, equal to others or unfit."
    if done is None:
        return f"{total} {len(results)} measured already."
    if done.winner is None:
        return f"{total} None is within the bounds."
    tied = f" By the text measured, {', '.join(done.tied)} cannot be distinguished from it." if done.tied else ""
    stopped = f" The search stopped early: {done.stopped}." if done.stopped else ""
    return f"{total} {len(results)} measured. {done.winner.name} wins: {measured(results[done.winner.name])}.{tied}{stopped}"


def measured(result: Result) -> str:
    """Size and divergence of a measured candidate."""
    assert result.confirmed is not None
    kl = result.confirmed.figures.kl_mean
    return f"{size_text(result.size_bytes or 0)}, mean KLD {kl.value:.3f} ({kl.low:.3f} to {kl.high:.3f})"


def document(prepared: Prepared, done: Done | None, results: Mapping[str, Result]) -> documents.Searched:
    """The same for scripts."""
    best = _front(prepared, results)
    return documents.Searched(
        winner=done.winner.name if done and done.winner else None,
        tied=done.tied if done else (),
        stopped=done.stopped if done else "",
        left_out=prepared.left_out,
        candidates=tuple(_row(one, done, results.get(one.name, Result()), best) for one in prepared.candidates),
    )


def _row(one: Candidate, done: Done | None, result: Result, best: tuple[str, ...]) -> documents.SearchedCandidate:
    verdict = done.verdicts.get(one.name) if done else None
    return documents.SearchedCandidate(
        name=one.name,
        options=dict(one.varied),
        predicted_bytes=one.predicted_bytes,
        size_bytes=result.size_bytes,
        screened=result.screened.figures if result.screened else None,
        confirmed=result.confirmed.figures if result.confirmed else None,
        verdict=verdict.kind if verdict else "",
        reason=verdict.reason if verdict else "",
        on_front=one.name in best,
    )
