"""What is kept of a source, and the figures of a model that is so far from it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bakehouse.records import Fidelity
from bakehouse.tasks.text_generation import fidelity
from bakehouse.tasks.text_generation.workers import fidelity_figures as figures
from bakehouse.tasks.text_generation.workers import fidelity_files
from bakehouse.tasks.text_generation.workers.fidelity_figures import ANSWERS, Kept, Window

WORDS = 3000  # more than are kept


def logits(seed: int, rows: int = 40, words: int = WORDS) -> Any:
    """Logits as sharp as a model's: a few tokens have most of the probability."""
    return np.random.default_rng(seed).normal(0, 3, (rows, words)).astype(np.float32)


def window(rows: int, name: str = "prose", words: int = WORDS) -> Window:
    ids = tuple(int(word) for word in np.random.default_rng(7).integers(0, words, rows + 4))
    return Window(name, ids, 3)


def exact(source: Any, model: Any) -> Any:
    """The divergence over all tokens, as its definition says."""
    one, other = (figures.log_softmax(np.asarray(rows, np.float64)) for rows in (source, model))
    return np.sum(np.exp(one) * (one - other), axis=1)


def kept(rows: Any, of: Window) -> Kept:
    return figures.keep(rows, of.ids[of.first + 1 :])


@pytest.mark.parametrize("words", [50, WORDS])
def test_the_divergence_is_nearly_that_over_all_tokens_and_never_more(words: int) -> None:
    of = window(40, words=words)
    source = logits(1, words=words)
    near = source + 0.1 * logits(2, words=words)
    found = figures.compare(of, kept(source, of), near).kl
    wanted = exact(source, near)
    assert (found <= wanted + 1e-6).all()
    assert found.mean() == pytest.approx(wanted.mean(), rel=1e-5 if words < figures.KEPT else 0.03)


def test_a_model_that_computes_the_same_is_nowhere_away() -> None:
    of = window(40)
    found = figures.compare(of, kept(logits(1), of), logits(1))
    assert found.kl.max() < 1e-6
    assert found.same.all()
    assert np.abs(found.nll).max() < 1e-6


def test_the_texts_tokens_and_the_choice_are_exact_though_they_are_not_among_the_kept() -> None:
    of = window(40)
    source, model = logits(1), logits(2)
    found = figures.compare(of, kept(source, of), model)
    targets = list(of.ids[4:])
    logs = [figures.log_softmax(np.asarray(rows, np.float64))[np.arange(40), targets] for rows in (source, model)]
    assert found.nll == pytest.approx(logs[0] - logs[1], abs=1e-5)
    assert not set(targets) <= set(kept(source, of).tokens[0])


def test_logits_that_are_no_numbers_are_as_wrong_as_can_be() -> None:
    of = window(3)
    broken = np.full((3, WORDS), np.nan, np.float32)
    found = figures.figures([figures.compare(of, kept(logits(1, 3), of), broken)])
    assert all(math.isfinite(found[name]["value"]) for name in ("kl_mean", "kl_p99", "ppl_ratio"))
    assert found["kl_mean"]["value"] > 1


def test_a_token_that_the_source_rules_out_counts_nothing() -> None:
    of = window(5, words=20)
    source = logits(1, 5, 20)
    source[:, 7] = -np.inf
    of = Window(of.set, tuple(1 if one == 7 else one for one in of.ids), of.first)
    assert figures.compare(of, kept(source, of), source).kl.max() < 1e-6


def test_the_reference_is_read_as_it_was_written_and_its_bytes_repeat(tmp_path: Path) -> None:
    windows = [window(40), window(9, "code")]
    parts = [kept(logits(1), windows[0]), kept(logits(2, 9), windows[1])]
    facts = fidelity_files.Facts("bakehouse-1", "float32", 0.0)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        assert fidelity_files.write_reference(tmp_path / name, facts, windows, parts) == 49
    assert [(tmp_path / "one" / name).read_bytes() for name in ("reference.json", "reference.npz")] == [
        (tmp_path / "two" / name).read_bytes() for name in ("reference.json", "reference.npz")
    ]
    read = fidelity_files.read_reference(tmp_path / "one")
    assert read.windows == tuple(windows)
    assert read.facts == facts
    assert (read.kept.rows(40, 49).tokens == parts[1].tokens).all()


def reference(count: int = 8) -> fidelity_files.Reference:
    windows = tuple(window(40, ANSWERS if number % 2 else "prose") for number in range(count))
    parts = [kept(logits(number), windows[number]) for number in range(count)]
    joined = Kept(*(np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])))
    return fidelity_files.Reference(fidelity_files.Facts("bakehouse-1", "float32", 0.0), windows, joined)


def answered(noise: float) -> Any:
    """A model of the windows of `reference`, in their order, with so much noise in its logits."""
    numbers = iter(range(100))

    def rows(part: Window) -> Any:
        number = next(numbers)
        return (logits(number) + noise * logits(1000 + number))[: len(part.scored)]

    return rows


def measured(noise: float, folder: Path, positions: int | None = None) -> Fidelity:
    found = fidelity_files.measure(reference(), answered(noise), positions)
    fidelity_files.write(folder, reference(), found, "CPU", in_use=None)
    verification = fidelity.verify(folder)
    assert not verification.faults
    return Fidelity.model_validate_json(json.dumps(verification.measured))


def test_more_noise_is_further_away_and_intervals_lie_around_their_figures(tmp_path: Path) -> None:
    near, far = measured(0.05, tmp_path).figures, measured(0.2, tmp_path).figures
    assert near.kl_mean.high < far.kl_mean.low
    assert near.top1.low > far.top1.high
    for name in ("kl_mean", "kl_p99", "top1", "ppl_ratio", "prefix"):
        one = getattr(far, name)
        assert one.low <= one.value <= one.high
    assert far.positions == 320
    assert far.windows == 8


def test_the_same_model_measured_twice_leaves_the_same_bytes(tmp_path: Path) -> None:
    made = []
    for _ in range(2):
        measured(0.1, tmp_path)
        made.append((tmp_path / "fidelity.json").read_bytes())
    assert made[0] == made[1]


def test_figures_are_given_for_each_kind_of_text_and_prefixes_of_answers_only(tmp_path: Path) -> None:
    found = measured(0.1, tmp_path)
    assert list(found.sets) == ["prose", ANSWERS]
    assert sum(one.positions for one in found.sets.values()) == found.figures.positions
    assert found.sets["prose"].prefix is None
    assert [one.prefix is None for one in found.windows] == [True, False] * 4
    assert sum(one.kl_sum for one in found.windows) / 320 == pytest.approx(found.figures.kl_mean.value, rel=1e-5)


def test_a_part_of_the_positions_is_taken_of_every_window(tmp_path: Path) -> None:
    found = measured(0.1, tmp_path, positions=60)
    assert [one.positions for one in found.windows] == [8] * 8
    complete = measured(0.1, tmp_path)
    assert found.figures.kl_mean.high - found.figures.kl_mean.low > complete.figures.kl_mean.high - complete.figures.kl_mean.low


def test_intervals_come_from_windows_and_not_from_positions() -> None:
    """Positions of one window are alike: with as many positions in fewer windows less is known."""
    rng = np.random.default_rng(3)
    level = np.repeat(rng.uniform(0.1, 1.0, 10), 100)

    def interval(windows: int) -> float:
        parts = [figures.Compared("prose", kl, kl > 0, kl) for kl in np.split(level, windows)]
        found = figures.figures(parts)["kl_mean"]
        return float(found["high"] - found["low"])

    assert interval(10) > 2 * interval(500)


def test_the_prefix_ends_at_the_first_other_choice() -> None:
    same = np.array([True, True, False, True])
    assert figures.prefix(figures.Compared(ANSWERS, same, same, same)) == 2
    assert figures.prefix(figures.Compared(ANSWERS, same, same[:2], same)) == 2


def test_what_a_worker_leaves_that_are_no_figures_is_refused(tmp_path: Path) -> None:
    assert fidelity.verify(tmp_path).faults == ("fidelity.json was not made",)
    (tmp_path / "fidelity.json").write_text("{}", encoding="utf-8")
    assert fidelity.verify(tmp_path).faults[0].startswith("fidelity.json does not have the figures of fidelity")
