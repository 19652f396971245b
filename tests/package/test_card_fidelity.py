"""What a card says of the distance between a model and its source."""
# ruff: noqa: E501 - a paragraph of a card is one line

from __future__ import annotations

import pytest
from inline_snapshot import snapshot

from bakehouse.package import card, card_fidelity
from bakehouse.package.manifest import PackageManifest
from bakehouse.recipe.bounds import Bounds
from bakehouse.records import GraphsFidelity, UsedFidelity
from bakehouse.text import figure_text
from tests.package.test_card import manifest
from tests.support.fidelities import fidelity, figures

pytestmark = pytest.mark.needs_backend("openvino")

TITLE = "## How close it is to the source"


def shown(made: PackageManifest) -> str:
    """The section of its card; "" if the card has none."""
    rendered = card.render(made)
    return rendered[rendered.index(TITLE) : rendered.index("## Limitations")] if TITLE in rendered else ""


def bounded(**bounds: float) -> PackageManifest:
    """A package with a recipe that has bounds."""
    made = manifest(fidelity=fidelity())
    options = made.build.options.model_copy(update={"bounds": Bounds.model_validate(bounds)})
    return made.model_copy(update={"build": made.build.model_copy(update={"options": options})})


def test_the_section_has_a_sentence_for_everybody_and_tables_with_intervals() -> None:
    assert shown(manifest(fidelity=fidelity())) == snapshot("""\
## How close it is to the source

At 600 positions of text, the probabilities that this model gives to all possible next tokens were compared with the source's. The most likely next token is the source's at 83.3 % of the positions. The mean Kullback-Leibler (KL) divergence from the source is 0.200 nats: 0 would be the same probabilities, and 0.200 means that a token which the source chooses is typically 1.221 times as probable to the source as here.

| figure | value | 95 % interval |
|---|---|---|
| Mean KL divergence, in nats | 0.200 | 0.180 to 0.220 |
| Its 99th percentile | 1.00 | 0.900 to 1.10 |
| Its largest value: noise, as one position decides it | 3.00 | - |
| Same most likely next token | 83.3 % | 75.0 to 91.7 % |
| Perplexity, in multiples of the source's | 1.200 | 1.080 to 1.320 |
| Leading tokens of the source's answers that this model chooses too, on average | 4.0 of 33.3 | 3.6 to 4.4 |

| kind of text | positions | mean KL divergence | 99th percentile | same next token | perplexity ratio |
|---|---|---|---|---|---|
| prose | 400 | 0.160 (0.144 to 0.176) | 0.800 (0.720 to 0.880) | 86.2 % (77.6 to 94.8 %) | 1.160 (1.044 to 1.276) |
| the source's answers | 200 | 0.280 (0.252 to 0.308) | 1.40 (1.26 to 1.54) | 78.1 % (70.3 to 85.9 %) | 1.280 (1.152 to 1.408) |

Measured on the text `bakehouse-1`, which Bakehouse brings, by version 1 of the definitions: 600 positions in 6 windows, on CPU. The source was computed in transformers, in float32. The intervals (95 %) come from drawing complete windows again; those of one kind of text rest on few windows and are rough. Figures of packages compare only if text and version are the same.

""")


def test_a_package_of_an_older_version_has_no_section_and_says_that_nothing_was_measured() -> None:
    assert shown(manifest()) == ""
    assert "- No benchmark was run, neither of quality nor of speed." in card.render(manifest())


def test_a_measured_package_does_not_say_that_quality_was_not_measured() -> None:
    rendered = card.render(manifest(fidelity=fidelity()))
    assert "No benchmark was run" not in rendered
    assert "- Quality was measured as closeness to the source, on short texts, and not by any benchmark of tasks." in rendered


def test_what_the_default_mode_costs_is_one_sentence_with_numbers() -> None:
    used = UsedFidelity(runtime_options={}, precision="bf16", figures=figures(0.25))
    assert section_notes(fidelity(in_use=used))[1] == snapshot(
        "The figures above are those of the model's own precision. With the runtime's defaults, as in the program above, computed in bf16 on that machine, the mean KL divergence is 0.250 (0.225 to 0.275) instead of 0.200, and the most likely next token is the source's at 80.0 % of the positions instead of 83.3 %."
    )
    used = UsedFidelity(runtime_options={"KV_CACHE_PRECISION": "u8"}, figures=figures(0.25))
    assert section_notes(fidelity(in_use=used))[1].startswith(
        "The figures above are those of the model's own precision. "
        "With the options of the program above (`KV_CACHE_PRECISION=u8`), the mean KL divergence is 0.250 (0.225 to 0.275)"
    )


def section_notes(measured: object) -> list[str]:
    """The paragraphs under the tables."""
    section = card_fidelity.section(manifest(fidelity=measured))
    assert section is not None
    notes: list[str] = section["notes"]
    return notes


def test_the_graphs_of_an_npu_are_shown_with_their_model() -> None:
    graphs = GraphsFidelity(graphs=figures(0.21, positions=64), model=figures(0.2, positions=64))
    assert section_notes(fidelity(graphs=graphs))[1] == snapshot(
        "The figures above are those of the model before it is made into the NPU's graphs of fixed shape. At 64 positions of the source's answers these graphs, run on the CPU, have a mean KL divergence of 0.210 (0.189 to 0.231) and the source's most likely next token at 82.6 % of the positions; the model has 0.200 and 83.3 % at the same positions."
    )


def test_a_stand_in_single_tokens_and_the_floor_of_the_reference_are_named() -> None:
    measured = fidelity(stand_in=True, stepped=True, reference_precision="bfloat16", floor_kl=0.0011, text="the recipe's own")
    assert section_notes(measured)[0] == snapshot(
        "Measured on the recipe's own text, by version 1 of the definitions: 600 positions in 6 windows, on CPU, in place of the device that it is made for. The source was computed in transformers, in bfloat16, which by itself is 0.00110 nats from float32: less than twice that cannot be seen. Its tokens were given one by one, because this runtime gives the probabilities after the last token only. The intervals (95 %) come from drawing complete windows again; those of one kind of text rest on few windows and are rough. Figures of packages compare only if text and version are the same."
    )


def test_bounds_of_the_recipe_and_that_they_hold_are_shown() -> None:
    assert "Its recipe sets bounds (`kl_mean: 0.25`, `top1: 0.7`). The far end of each interval is within its bound." in shown(
        bounded(kl_mean=0.25, top1=0.7)
    )
    assert "**The model is beyond the bounds of its recipe:**" in shown(bounded(kl_mean=0.21)), "its interval ends at 0.22"


def test_a_bundle_has_a_section_for_each_member_that_was_measured() -> None:
    members = (manifest(fidelity=fidelity(0.2)), manifest(fidelity=fidelity(0.004)), manifest())
    section = shown(manifest(members=members))
    assert section.count("\n### ") == 2 and "0.200 nats" in section and "0.00400 nats" in section


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.172885, "0.173"), (0.00407035, "0.00407"), (3.59936e-08, "3.6e-08"), (12.34, "12.3"), (123.4, "123"), (0, "0.00")],
)
def test_a_divergence_has_three_digits_that_count(value: float, shown: str) -> None:
    assert figure_text(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(1.0, "100"), (0.9999, "99.9"), (0.776086, "77.6"), (0, "0.0")])
def test_a_share_is_all_only_if_it_is_all(value: float, shown: str) -> None:
    assert card_fidelity.percent(value) == shown


def test_a_model_without_a_difference_is_not_compared_by_a_factor_of_one() -> None:
    section = shown(manifest(fidelity=fidelity(3.6e-8)))
    assert "3.6e-08 nats: 0 would be the same probabilities.\n" in section
