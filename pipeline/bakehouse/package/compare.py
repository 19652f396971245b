"""Compare packages: size, bits, agreement with the source, answers; as tables for a terminal, or as a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table
from rich.text import Text

from bakehouse.package import card_fidelity, card_words, compare_fidelity
from bakehouse.package.card_use import cut
from bakehouse.package.manifest import PackageManifest
from bakehouse.recipe.brief import brief
from bakehouse.recipe.source import Source
from bakehouse.recipe.texts import Texts
from bakehouse.records import Drafted, Fidelity, Verdict
from bakehouse.text import figure_text, size_text

TEMPLATE = "compare.html.jinja"
_LONGEST_ANSWER = 300  # characters, in a terminal; the page has complete answers


@dataclass(frozen=True)
class Row:
    """What is compared of one package.

    Attributes:
        shares: precision of weights -> share of all weights, largest first; empty if the backend does not count them.
        common_tokens: leading tokens that the answers share with the source's, over all prompts.
        source_tokens: all tokens of the source's answers.
        own_text: the recipe's own, that fidelity was measured on.
    """

    name: str
    made: str
    size_bytes: int
    shares: dict[str, float]
    common_tokens: int
    source_tokens: int
    device: str
    verdicts: tuple[Verdict, ...]
    source: Source
    own_text: Texts | None = None
    fidelity: Fidelity | None = None
    drafted: Drafted | None = None

    @property
    def agreement(self) -> float:
        """Share of the source's answers that the package gives too, 0 to 1."""
        return self.common_tokens / self.source_tokens if self.source_tokens else 0.0

    @property
    def bits(self) -> str:
        """The shares as text."""
        return ", ".join(f"{precision} {100 * share:.0f} %" for precision, share in self.shares.items()) or "-"


def row(manifest: PackageManifest) -> Row:
    """The row of one package. Speed is not compared: a validation runs once, cold, with whatever else runs on the machine."""
    verdicts, validation = manifest.verdicts, manifest.validation
    stands_in = f" in place of {', '.join(manifest.unproven)}" if validation.stand_in else ""
    return Row(
        name=manifest.name,
        made=brief(manifest.build.options),
        size_bytes=manifest.size_bytes,
        shares=_shares(manifest),
        common_tokens=sum(verdict.agreement.common_tokens for verdict in verdicts),
        source_tokens=sum(verdict.agreement.source_tokens for verdict in verdicts),
        device=f"{validation.device}{stands_in}",
        verdicts=verdicts,
        source=manifest.build.source,
        own_text=manifest.build.evaluation,
        fidelity=manifest.fidelity,
        drafted=validation.drafted,
    )


def _shares(manifest: PackageManifest) -> dict[str, float]:
    counts: dict[str, int] = manifest.measured.get("model", {}).get("weights", {})
    total = sum(counts.values())
    return {name: count / total for name, count in sorted(counts.items(), key=lambda pair: -pair[1])} if total else {}


def prompts(rows: Iterable[Row]) -> list[str]:
    """Every prompt that was answered, in the order in which the packages have them."""
    return list(dict.fromkeys(verdict.prompt for row in rows for verdict in row.verdicts))


def answers(row: Row, prompt: str) -> str:
    """What a package answered; "-" if it did not get this prompt."""
    return next((verdict.answer.strip() for verdict in row.verdicts if verdict.prompt == prompt), "-")


def figures(row: Row) -> tuple[str, str, str]:
    """Mean KL divergence with its interval, share of equal next tokens, perplexity ratio; "-" where they were not measured."""
    if row.fidelity is None:
        return "-", "-", "-"
    found = row.fidelity.figures
    mean = f"{figure_text(found.kl_mean.value)} ({card_fidelity.interval(found.kl_mean)})"
    return mean, f"{card_fidelity.percent(found.top1.value)} %", card_fidelity.ratio(found.ppl_ratio.value)


def nearness(one: Row) -> str:
    """How near the answers are to the source's, as text: tokens in common, of vectors their least cosine."""
    found = [verdict.similarity.least_to_source for verdict in one.verdicts if verdict.similarity]
    return f"cosine {min(found):.4f}" if found else f"{one.common_tokens} of {one.source_tokens}"


def tables(rows: Sequence[Row]) -> tuple[Table | Text, ...]:
    """A table of numbers, which package is closer to the source, and a table of answers, for a terminal."""
    numbers = Table(box=None, padding=(0, 2), pad_edge=False, header_style="bold")
    titles = ("package", "size", "KLD (95 %)", "same next token", "perplexity ratio", "weights", "tokens in common", "ran on")
    pairs = any(one.drafted for one in rows)
    for title in (*titles, *(["draft"] if pairs else [])):
        numbers.add_column(title, overflow="fold")
    for one in rows:
        draft = [card_words.draft_figures(one.drafted) if one.drafted else "-"] if pairs else []
        cells = (one.name, size_text(one.size_bytes), *figures(one), one.bits, nearness(one), one.device, *draft)
        numbers.add_row(*(Text(cell) for cell in cells))
    texts = Table(box=None, padding=(0, 2), pad_edge=False, header_style="bold")
    for title in ("prompt", "package", "answer"):
        texts.add_column(title, overflow="fold")
    for prompt in prompts(rows):
        for position, one in enumerate(rows):
            texts.add_row(Text("" if position else prompt), Text(one.name), Text(cut(answers(one, prompt), _LONGEST_ANSWER)))
    closer = [Text(one.sentence) for one in compare_fidelity.pairs(rows)]
    return numbers, *closer, texts


def page(rows: Sequence[Row]) -> str:
    """One self-contained HTML page: a table that can be sorted, and the answers side by side; it needs no script to be read."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # most commands do not write a page

    folder = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    largest = max((one.size_bytes for one in rows), default=0) or 1
    lines = [
        {
            "row": one,
            "size": size_text(one.size_bytes),
            "size_percent": 100 * one.size_bytes / largest,
            "weights": "; ".join(f"{100 * share:.0f} % {card_words.precision(name)}" for name, share in one.shares.items())
            or "not counted",
            "agreement_percent": 100 * one.agreement,
            "nearness": nearness(one),
            "figures": figures(one),
            "measured": one.fidelity.figures if one.fidelity else None,
            "draft": card_words.draft_figures(one.drafted) if one.drafted else "",
        }
        for one in rows
    ]
    answered = [(prompt, [_answer(one, prompt) for one in rows]) for prompt in prompts(rows)]
    pairs, chart = compare_fidelity.pairs(rows), compare_fidelity.chart(rows)
    return environment.get_template(TEMPLATE).render(lines=lines, prompts=answered, pairs=pairs, chart=chart)


def _answer(row: Row, prompt: str) -> Verdict | None:
    return next((verdict for verdict in row.verdicts if verdict.prompt == prompt), None)
