"""The page docs/reference/models.md: which architectures work in which runtime, and why the others do not."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bakehouse.toolchains.table import INSTALLED
from tests.architectures import outcomes
from tests.architectures.lanes import BUILDS
from tests.architectures.outcomes import MOST, RUNTIMES, Outcome, Table
from tests.architectures.rows import LAYERS, ROWS

Best = tuple[str, Outcome]  # a toolchain and what came of it
_LONGEST = 220
_STAGES = ("reference", "rules", "export", "tokenizer", "conversion", "answers")  # in their order


def page(table: Table, notice: str) -> str:
    """The page as Markdown."""
    count = {runtime: len(working(table, runtime)) for runtime in RUNTIMES}
    rows = [f"| {name} | {' | '.join(_cell(best(table, name, runtime)) for runtime in RUNTIMES)} |" for name in ROWS]
    parts = [
        "# Models",
        notice,
        f"What came of tiny checkpoints of {len({kind for kind, _ in ROWS.values()})} architectures: {LAYERS} layers of random weights, "
        f"three prompts of 4 to 330 tokens, {MOST} greedy tokens each, compared with transformers. The weights were "
        + ", ".join(f"{BUILDS[runtime]['quantization']['weights']} for `{runtime}`" for runtime in RUNTIMES)
        + "; NPU graphs ran on the CPU. That a tiny model works says that the architecture is computed rightly, and nothing of how good "
        "a quantized model is: every build of yours is checked by itself.",
        "All tokens agree with " + ", ".join(f"`{runtime}` for {count[runtime]}" for runtime in RUNTIMES) + " architectures. "
        "`python -m tests.architectures` in a checkout repeats it; `bakehouse support` prints what the converters themselves list.",
        "yes: all tokens agree. A toolchain in brackets is one that the recipe has to name. *try*: on no list, so the build needs "
        "`unknown_architecture: try`. A number is that of the first tokens that agree, of the worst of the three prompts.",
        f"| model | {' | '.join(RUNTIMES)} |\n|---|{'---|' * len(RUNTIMES)}\n" + "\n".join(rows),
        "## Why not",
        "What stopped the others, and what the upstream command alone comes to with the same checkpoint (`optimum-cli export openvino` or "
        "the model builder, then the runtime's own pipeline).",
        "| model | runtime | Bakehouse | upstream alone |\n|---|---|---|---|\n" + "\n".join(_reasons(table)),
    ]
    return "\n\n".join(parts) + "\n"


def working(table: Table, runtime: str) -> set[str]:
    """The model types of which a checkpoint agrees in all tokens, with some toolchain."""
    return {kind for name, (kind, _) in ROWS.items() if (found := best(table, name, runtime)) and found[1].outcome == "agrees"}


def best(table: Table, name: str, runtime: str) -> Best | None:
    """What came of a row with the toolchain that it works with, else with that with which it came furthest; None if it was not tried."""
    tried = [(chain, found[name][runtime]) for chain, found in table.items() if runtime in found.get(name, {})]
    ranked = sorted(tried, key=lambda one: (one[1].outcome != "agrees", -_STAGES.index(one[1].stage), one[0] != INSTALLED))
    return ranked[0] if ranked else None


def _cell(found: Best | None) -> str:
    if found is None:
        return "-"
    chain, outcome = found
    words = {"agrees": "yes", "differs": f"{min(outcome.agree, default=0)}", "refused": "no"}.get(outcome.outcome, "no")
    marks = [f"({chain})"] if outcome.outcome == "agrees" and chain != INSTALLED else []
    return " ".join([words, *marks, *(["*try*"] if outcome.outcome == "agrees" and not outcome.listed else [])])


def _reasons(table: Table) -> Iterator[str]:
    """A row for each architecture and reason, the runtimes that share it together."""
    for name in ROWS:
        shared: dict[tuple[str, str], list[str]] = {}
        for runtime in RUNTIMES:
            found = best(table, name, runtime)
            if found and found[1].outcome != "agrees":
                outcome = found[1]
                words = (_words(outcome), _words(outcome.upstream) if outcome.upstream else "not tried")
                shared.setdefault(words, []).append(runtime)
        for (ours, theirs), runtimes in shared.items():
            yield f"| {name} | {', '.join(runtimes)} | {ours} | {'the same' if theirs == ours else theirs} |"


def _words(outcome: Outcome) -> str:
    match outcome.outcome:
        case "agrees":
            return "agrees"
        case "differs":
            return f"{', '.join(map(str, outcome.agree))} of {MOST} tokens"
        case _:
            return _short(outcome.why)


def _short(text: str) -> str:
    """The first sentences, for a cell of a table."""
    whole = re.sub(r"\s+", " ", text).replace("|", "\\|").replace("<", "&lt;")
    kept = ""
    for sentence in re.split(r"(?<=[.;]) ", whole):
        if kept and len(kept) + len(sentence) > _LONGEST:
            break
        kept = f"{kept} {sentence}".strip()
    return kept if len(kept) <= 2 * _LONGEST else f"{kept[: 2 * _LONGEST]} ..."


def of_checkout(notice: str) -> str:
    """The page of the table that is checked in."""
    return page(outcomes.read(), notice)
