"""Where a rebuild finds the local files that a package was made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakehouse.errors import Failure
from bakehouse.release import rebuild


def test_a_rebuild_says_which_files_to_put_where(tmp_path: Path) -> None:
    with pytest.raises(Failure) as failure:
        rebuild._provided(tmp_path, "tiny")
    assert str(failure.value) == (
        f"{tmp_path}: tiny does not exist.\n"
        f"  what to do: A package does not hold what it was made of: put the same files at {tmp_path / 'tiny'}."
    )


@pytest.mark.parametrize("path", ["/etc", "../outside"])
def test_a_rebuild_reads_nothing_outside_the_recipes_folder(tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_UNTRUSTED", "0")  # counts for recipes of one's own; a package's recipe came with it
    with pytest.raises(Failure, match="lies outside the recipe's folder, and this recipe is not trusted"):
        rebuild._provided(tmp_path / "recipes", path)


def test_recordings_are_among_the_files_that_a_rebuild_needs() -> None:
    recipe = {"source": {"type": "local", "path": "tiny"}, "golden": [{"audio": "a.wav"}, {"audio": "b.wav", "text": "hello"}]}
    assert list(rebuild._local_files(recipe)) == ["tiny", "a.wav", "b.wav"]
