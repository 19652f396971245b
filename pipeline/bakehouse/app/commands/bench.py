"""`bakehouse bench`: how fast packages are on this machine."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence

from bakehouse.app import running
from bakehouse.app.screen import escape_what_cannot_be_shown, for_tables, in_place
from bakehouse.app.workspace import artifacts_folder
from bakehouse.inference import bench
from bakehouse.inference.bench import Bench
from bakehouse.inference.busy import Others, Watch
from bakehouse.inference.found import Found
from bakehouse.text import size_text

_LOOK_S = 2.0
_QUIET_LOOKS = 3  # in a row


def parser() -> argparse.ArgumentParser:
    """The arguments of `bench`."""
    made = running.parser(
        "bench",
        "Measure packages one after the other: a warm-up, then the median of several answers for each length of prompt. "
        "Results are kept in artifacts/bench.",
        packages="+",
    )
    made.add_argument("--runs", type=running.positive, default=5, metavar="N", help="answers to measure for each length (default: 5)")
    made.add_argument(
        "--prompt-tokens",
        type=_lengths,
        default=(32, 256, 1024),
        metavar="N,N",
        help="lengths of prompts, cut to what the model takes (default: 32,256,1024)",
    )
    made.add_argument("--new-tokens", type=running.positive, default=64, metavar="N", help="tokens of each answer (default: 64)")
    made.add_argument("--wait", action="store_true", help="wait until other programs leave the processor alone")
    made.add_argument("--json", action="store_true", help="print the results as JSON")
    return made


def _lengths(text: str) -> tuple[int, ...]:
    return tuple(running.positive(one) for one in text.split(","))


def run(given: argparse.Namespace) -> int:
    """Measure every package and print a table.

    Raises:
        Failure: a package cannot be run; those before it are kept.
    """
    escape_what_cannot_be_shown()
    packages = [running.package(name, given.device) for name in given.package]  # all of them before the first is measured
    results = [_measured(found, given) for found in packages]
    if given.json:
        print(json.dumps([result.model_dump(mode="json") for result in results], indent=2))
    else:
        _print(results)
    return 0


def _measured(found: Found, given: argparse.Namespace) -> Bench:
    if given.wait:
        _wait()
    with running.loaded(found, given.device) as runner:
        result = bench.measure(found, runner, given.prompt_tokens, given.new_tokens, given.runs, in_place)
    in_place("")
    cut = [length for length in given.prompt_tokens if length not in {row.prompt_tokens for row in result.lengths}]
    if cut:
        longest = result.lengths[-1].prompt_tokens
        print(f"{found.name}: prompts of {', '.join(map(str, cut))} tokens are cut to {longest}, the most it takes.", file=sys.stderr)
    cores = int(result.machine["cores"])
    if not Others(result.others_cores, cores).quiet:
        who = f" ({', '.join(result.others[:3])})" if result.others else ""
        used = f"others used {result.others_cores:.1f} of {cores} cores meanwhile{who}"
        print(f"{found.name}: {used}; --wait waits for a quiet machine.", file=sys.stderr)
    bench.keep(result, artifacts_folder())
    return result


def _wait() -> None:
    """Wait until the machine is quiet, and say who is in the way."""
    quiet, before = 0, ""
    while quiet < _QUIET_LOOKS:
        watch = Watch()
        time.sleep(_LOOK_S)
        others = watch.others()
        quiet = quiet + 1 if others.quiet else 0
        names = ", ".join(name for name, _ in others.programs)
        if not others.quiet and names != before:
            before = names
            print(f"waiting: {others}", file=sys.stderr)


def _print(results: Sequence[Bench]) -> None:
    from rich.table import Table

    console = for_tables()
    for result in results:
        loaded = f"loaded in {running.seconds_text(result.load_s)}, {size_text(result.peak_memory_bytes)} of memory at most"
        print(f"{result.name} on {result.device}: {loaded}")
        table = Table(box=None, padding=(0, 2), header_style="bold")
        drafted = any(row.accepted is not None for row in result.lengths)
        for title in ("prompt tokens", "first token", "tokens/s", "lowest-highest", *(["draft accepted"] if drafted else [])):
            table.add_column(title, justify="right", no_wrap=True)
        for row in result.lengths:
            speed = f"{row.tokens_per_s:.1f}" if row.tokens_per_s else "-"
            spread = "{:.1f}-{:.1f}".format(*row.tokens_per_s_range) if row.tokens_per_s_range else "-"
            share = [f"{100 * row.accepted:.0f} %" if row.accepted is not None else "-"] if drafted else []
            table.add_row(str(row.prompt_tokens), running.seconds_text(row.first_token_s), speed, spread, *share)
        console.print(table)
    first = results[0]
    runtimes = sorted({f"{name} {version}" for result in results for name, version in result.tools.items()})
    machine = first.machine
    print(
        f"medians of {first.runs} runs after a warm-up, {first.lengths[0].new_tokens} new tokens each; "
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory']}; {', '.join(runtimes)}; {first.made_at:%Y-%m-%d}"
    )
