"""The files of fidelity: which windows of a reference a runtime with less room takes."""

from __future__ import annotations

import numpy as np
import pytest

from bakehouse.tasks.text_generation.workers import fidelity_figures, fidelity_files
from bakehouse.tasks.text_generation.workers.fidelity_figures import Window
from bakehouse.tasks.text_generation.workers.fidelity_files import Facts, Reference

LONG, SHORT = Window("prose", tuple(range(9)), 2), Window("code", (3, 4, 5, 6), 1)


def reference() -> Reference:
    """Of a vocabulary of nine; at each position the token there is the most likely one."""
    kept = [
        fidelity_figures.keep(np.eye(9)[list(window.ids[window.first : -1])], window.ids[window.first + 1 :]) for window in (LONG, SHORT)
    ]
    arrays = {
        name: np.concatenate([getattr(one, name) for one in kept]) for name in ("tokens", "log_probabilities", "rest", "target", "choice")
    }
    return Reference(Facts("text", "float32", 0.0), (LONG, SHORT), fidelity_figures.Kept(**arrays))


def test_windows_are_selected_with_what_is_kept_in_them() -> None:
    found = fidelity_files.select(reference(), lambda window: window.set == "code")
    assert found.windows == (SHORT,)
    assert found.kept.choice.tolist() == [4, 5]


def test_windows_longer_than_a_models_context_are_left_out() -> None:
    assert fidelity_files.within(reference(), 9).windows == (LONG, SHORT)
    assert fidelity_files.within(reference(), 8).windows == (SHORT,)


def test_a_context_without_room_for_any_window_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fidelity_files.within(reference(), 3)
    assert "The model's context of 3 tokens has room for no window of the evaluation text." in capfd.readouterr().out
