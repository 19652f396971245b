"""A publication as text: what it would change, or what it changed."""

from __future__ import annotations

from collections.abc import Iterator

from bakehouse.package import signing
from bakehouse.package.file_names import SIGNATURE
from bakehouse.publish.receipts import endpoint
from bakehouse.publish.seams import UploadPlan
from bakehouse.publish.upload import Outcome
from bakehouse.text import size_text


def text(outcome: Outcome) -> str:
    """The plan of a dry run, or what was changed."""
    return "\n".join(_planned(outcome) if outcome.receipt is None else _done(outcome))


def _planned(outcome: Outcome) -> Iterator[str]:
    plan, to = outcome.plan, outcome.destination
    yield f"{outcome.name} to {endpoint()}/{to.repo} ({'private' if to.private else 'public'}), {_target(outcome)}"
    if plan.pull_request is not None:
        yield f"  nothing to do: pull request {plan.pull_request} has exactly this package"
        return
    if not plan.repository:
        yield "  the repository would be created"
    elif not plan.branch and plan.commit:
        yield f"  the branch would be created from main, commit {plan.commit[:12]}"
    for kind, mark, paths in _marked(plan):
        yield from (f"  {mark} {kind:7} {path}" for path in paths)
    yield f"  {_signature(outcome)}"
    if not (plan.new or plan.changed or plan.gone):
        yield "  nothing to do: the hub has exactly this package" if plan.branch else "  no file would be sent"
        return
    yield f"  {size_text(plan.upload_bytes)} differ from what the hub has; the hub decides which of it must be sent"
    yield "  the commit's message:"
    yield from (f"    {line}".rstrip() for line in (outcome.title, "", *outcome.description.splitlines()))
    if plan.card:
        yield "  the model card:"
        yield from (f"    {line}".rstrip() for line in plan.card)
    yield "Nothing was uploaded: this was a dry run."


def _target(outcome: Outcome) -> str:
    to = outcome.destination
    tagged = f", tag {to.tag}" if to.tag else ""
    return ("by a pull request against main" if to.pull_request else f"branch {to.branch}") + tagged


def _signature(outcome: Outcome) -> str:
    if SIGNATURE in (*outcome.plan.new, *outcome.plan.changed, *outcome.plan.same):
        return f"signed: {SIGNATURE} is part of it"
    if signing.wanted():
        return f"not signed yet: PIPELINE_SIGN is set, so `bakehouse publish {outcome.name}` would sign it first"
    return "not signed, as PIPELINE_SIGN is not set"


def _marked(plan: UploadPlan) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """The paths of a plan by what becomes of them, with the mark of that."""
    return (("new", "+", plan.new), ("changed", "~", plan.changed), ("gone", "-", plan.gone), ("same", "=", plan.same))


def _done(outcome: Outcome) -> Iterator[str]:
    receipt = outcome.receipt
    assert receipt is not None
    if not receipt.committed:
        yield f"{outcome.name}: nothing to do, {receipt.url} has exactly this package"
    else:
        counts = ", ".join(f"{len(paths)} {kind}" for kind, _, paths in _marked(outcome.plan) if paths)
        yield f"{outcome.name}: published as {receipt.url}"
        yield f"  files: {counts}"
    yield f"  the hub reports the right hash for all {receipt.files} files, commit {receipt.commit}" + (
        f", tag {receipt.tag}" if receipt.tag else ""
    )
