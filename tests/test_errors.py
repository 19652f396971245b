"""What a failure shows is fit for a terminal, whatever names it quotes."""

from __future__ import annotations

from bakehouse.errors import Failure


def test_a_stranger_s_text_does_nothing_to_a_terminal() -> None:
    failure = Failure("the file has \x1b[2J in it", where="a\x07b", remedy="rename \udc80", details=("tab\tand\x00nothing", "two\nlines"))
    assert str(failure) == (
        "a\\x07b: The file has \\x1b[2J in it.\n    tab\tand\\x00nothing\n    two\nlines\n  what to do: Rename \\udc80."
    )
