"""What all runners have in common: stop texts, and prompts of a given length."""

from __future__ import annotations

import pytest

from bakehouse.tasks.text_generation.workers import chats, jobs
from bakehouse.tasks.text_generation.workers.jobs import Job, Pieces


def passed(stops: tuple[str, ...], *texts: str) -> tuple[list[str], bool]:
    """What is passed on of an answer that comes in these texts, and whether a stop text ended it."""
    sent: list[str] = []
    pieces = Pieces(stops, sent.append, lambda: False)
    goes_on = [pieces.take(text) for text in texts]  # also those after the stop text, which a runtime may still give
    if all(goes_on):
        pieces.end()
    return sent, pieces.stopped


@pytest.mark.parametrize(
    ("stops", "texts", "sent", "stopped"),
    [
        ((), ("a", "b"), ["a", "b"], False),
        (("END",), ("one E", "N", "D two"), ["one "], True),
        (("END",), ("one E", "Nough"), ["one ", "ENough"], False),
        (("END",), ("one EN",), ["one ", "EN"], False),
        (("b", "a"), ("xab",), ["x"], True),
        (("",), ("a",), ["a"], False),
    ],
)
def test_an_answer_ends_before_the_first_stop_text(stops: tuple[str, ...], texts: tuple[str, ...], sent: list[str], stopped: bool) -> None:
    assert passed(stops, *texts) == (sent, stopped)


def test_an_answer_has_room_up_to_the_context() -> None:
    assert [jobs.room(*given) for given in ((None, 5, 9), (100, 5, 9), (10, 5, 9))] == [9, 9, 5]
    with pytest.raises(jobs.Declined, match="has 10 tokens, and the context holds 10"):
        jobs.room(10, 10, 1)


def test_fillers_have_their_length_and_differ_from_the_first_token_on() -> None:
    one, other = (Job(max_new_tokens=1, filler_tokens=7, filler_variant=variant).filler([1, 2, 3]) for variant in (0, 1))
    assert one == [1, 2, 3, 1, 2, 3, 1] and other == [2, 3, 1, 2, 3, 1, 2]


def test_a_person_gets_todays_date_and_a_golden_prompt_a_fixed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chats, "_todays_date", False)  # as in a worker that has just been started
    template = "{{ strftime_now('%Y') }}"
    assert chats.still(template).endswith(f"2024{{%- else -%}}26 Jul 2024{{%- endif -%}}{{%- endmacro -%}}{template}")
    loaded = jobs.Loaded(device="CPU", device_name="", load_s=0.0, context=None)
    seen: list[str] = []

    def answer(job: Job, take: jobs.Take) -> jobs.Counted:
        seen.append(chats.still(template))
        return jobs.Counted(prompt_tokens=1, tokens=1, first_token_s=0.0, tokens_per_s=None, ended=True)

    jobs.serve(loaded, answer, ['{"job": {"max_new_tokens": 1}}'])
    assert seen == [template]
