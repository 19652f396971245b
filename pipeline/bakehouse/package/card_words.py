"""The sentences of a model card that depend on numbers: where the model comes from, how it answered, what has not been shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast
from urllib.parse import quote

from bakehouse.backends import card_words
from bakehouse.package.card_use import Shown, gguf, reference
from bakehouse.package.manifest import PackageManifest
from bakehouse.package.markdown import code, text
from bakehouse.recipe.source import HubAdapter, HuggingFace, Local, LocalAdapter, PyPI, Source
from bakehouse.records import Drafted, NumericCheck, Validation, Verdict
from bakehouse.text import count_text, sentence

_HUB = "https://huggingface.co/"


def title(manifest: PackageManifest) -> str:
    """The repository's name as it is published; the package's for one that is not."""
    words = manifest.build.card
    return words.repo.partition("/")[2] if words and words.repo else manifest.name


def repository(name: str) -> str:
    """A link to a repository of the hub, owner/name."""
    return f"[{text(name)}]({_HUB}{quote(name)})"


def origin(source: Source, *, separate: bool = False) -> str:
    """Where the model was taken from, as Markdown; a path of the machine that made it is not part of that.

    `separate`: its adapters are next to it.
    """
    match source:
        case HuggingFace(repo=repo, revision=revision, gguf=file):
            return f"{code(file) + ' of ' if file else ''}{repository(repo)}, commit {revision[:12]}{_adapters(source, separate)}"
        case PyPI(parts=parts, file=file) if parts:
            wheels = dict.fromkeys(f"{text(part.package)} {text(part.version)}" for part in parts)
            return f"{code(file)}, joined from files of the distributions {', '.join(wheels)} on PyPI"
        case PyPI(package=package, version=version, file=file):
            return f"{code(file)} in the distribution {text(package)} {text(version)} on PyPI"
        case Local(path=path):
            what = f"the local file {code(_last(path))}" if gguf(source) else "a local checkpoint"
            named = source.base_model
            if named is None:
                return f"{what} (`bakehouse.json` has the sha256 of each file){_adapters(source, separate)}"
            return f"{what}; its recipe names {repository(named)} as the model that this was made from{_adapters(source, separate)}"


def _adapters(source: HuggingFace | Local, separate: bool) -> str:
    """Which adapters are in it, or next to it, with their licences."""
    where = "is next to it" if separate else "is merged into it"
    return "".join(
        f"; the LoRA adapter {_adapter(one)} {where}{f', {one.scale:g} times as strong' if one.scale != 1 else ''} "
        f"(licence: {text(one.license_name or one.license)})"
        for one in source.adapters
    )


def _adapter(adapter: HubAdapter | LocalAdapter) -> str:
    return f"{repository(adapter.repo)}, commit {adapter.revision[:12]}," if isinstance(adapter, HubAdapter) else code(_last(adapter.path))


def _last(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2]


def context(manifest: PackageManifest) -> int | None:
    """The model's longest text in tokens, prompt and answer together; None if no part measured it."""
    return next((int(found) for found in _measured(manifest, "context_length") if isinstance(found, int)), None)


def tokenizer(manifest: PackageManifest) -> str:
    """How the tokenizer compares with the source's, a sentence; "" if that was not measured."""
    texts = next(_measured(manifest, "tokenizer_texts_compared"), None)
    if texts is None:
        return ""
    if list(_measured(manifest, "tokenizer_limits")):
        return f"The tokenizer was compared with the source's on {texts} texts; where it differs is under Limitations."
    return f"The tokenizer splits all {texts} texts that were tried into the same tokens as the source's."


def limits(manifest: PackageManifest) -> list[str]:
    """What the runtime's form of this model does not do as the source does, sentences of Markdown."""
    found = [f"{text(one[:1].upper() + one[1:])}." for part in _measured(manifest, "tokenizer_limits") for one in cast("list[str]", part)]
    for full in _measured(manifest, "context_cut_from"):
        reason = next(_measured(manifest, "context_cut_reason"), "")
        found.append(
            f"The context is {context(manifest) or 0:,} tokens long, and the source's {full:,}. {text(sentence(str(reason)))}".strip()
        )
    return found


def _measured(manifest: PackageManifest, name: str) -> Iterator[object]:
    for part in manifest.measured.values():
        if isinstance(part, Mapping) and part.get(name) is not None:
            yield part[name]


def stored(measured: Mapping[str, Any]) -> str:
    """What the model's files hold, counted: "53 % int4, symmetric; 47 % fp16"; "" if the backend does not count it."""
    counts: Mapping[str, int] = measured.get("model", {}).get("weights", {})
    total = sum(counts.values())
    if not total:
        return ""
    most_first = sorted(counts.items(), key=lambda pair: -pair[1])
    shares = [f"{_percent(number / total)} {precision(name)}" for name, number in most_first]
    return f"{'; '.join(shares)} ({_many(total)} weights in all)"


def precision(name: str) -> str:
    """A precision as the files of a model are counted by: "int4_sym" is "int4, symmetric"."""
    return card_words.stored({"f16": "fp16", "f32": "fp32"}.get(name, name)).partition(" (")[0]


def _percent(share: float) -> str:
    return "under 1 %" if share < 0.01 else f"{100 * share:.0f} %"


def _many(number: int) -> str:
    for unit, factor in (("billion", 1e9), ("million", 1e6)):
        if number >= factor:
            return f"{number / factor:.2f} {unit}"
    return f"{number:,}"


def how_answered(validation: Validation) -> str:
    """How the prompts were answered, one or two sentences of Markdown."""
    used = validation.in_use
    first = f"Each prompt was answered on {text(validation.device)}, always with the most likely token"
    options = ", ".join(code(f"{name}={value}") for name, value in validation.runtime_options.items())
    if used is None:
        return f"{first}, with {options}." if options else f"{first}, with the options of the program above."
    if used.runtime_options == validation.runtime_options:
        return f"{first}, with {'the options' if options else 'the defaults'} of the program above{': ' + options if options else ''}."
    where = f", which computed in {text(used.precision)} on that machine" if used.precision else ""
    return f"{first}, twice: with the options of the program above{where}, and in the model's own precision ({options})."


def draft_figures(drafted: Drafted) -> str:
    """What a draft is good for, in a few words: "accepted 62 % of 40 tokens, 1.4 times as fast"."""
    share = f"{100 * drafted.accepted / drafted.proposed:.0f} % of {count_text(drafted.proposed, 'token')}" if drafted.proposed else "none"
    return f"accepted {share}, {drafted.seconds_without / drafted.seconds:.1f} times as fast"


def drafted(manifest: PackageManifest) -> str:
    """What was seen of the draft in a package, in sentences of Markdown; "" for a package without one."""
    found, draft = manifest.validation.drafted, manifest.build.draft
    if found is None or draft is None:
        return ""
    share = f" ({100 * found.accepted / found.proposed:.0f} %)" if found.proposed else ""
    proposed = count_text(found.proposed, "proposed token")
    took = f"{found.seconds:.2g} seconds with the draft and {found.seconds_without:.2g} without it"
    licence = text(draft.source.license_name or draft.source.license)
    return (
        f"The folder `draft` has a second, small model, made from {origin(draft.source)}; its licence is {licence}. It proposes the next "
        "tokens, and the model keeps those that it would choose itself: with the program's options every answer has the same tokens with "
        f"the draft and without it. Of {proposed} the model accepted {found.accepted:,}{share}. All answers took {took}, once, "
        "on the machine that made the package; whether it is faster "
        "depends on the machine and on the text."
    )


def adapted(manifest: PackageManifest) -> str:
    """What was seen of the separate adapters of a model, in sentences of Markdown; "" for a model without some."""
    found = manifest.validation.adapted
    if found is None:
        return ""
    same = sum(map(identical, found.without))
    count = count_text(len(found.without), "prompt")
    return (
        f"The answers below were given with the adapters, and are compared with those of {reference(manifest)} to which peft applies "
        f"them. Each part of the adapters was applied by itself, and changed what the runtime computes: parts for "
        f"{count_text(found.layers, 'layer')}. Without the adapters, the model answers {same} of {count} token for token as the source "
        "without them; those answers are in `bakehouse.json`. Closeness to the source was measured without the adapters."
    )


def verdict(one: Shown, manifest: PackageManifest) -> str:
    """What is known of an answer, in sentences of Markdown."""
    found = one.verdict
    run = {"program": "The answer of the program above. ", "own precision": "The answer in the model's own precision. "}.get(one.run, "")
    run = "Both runs gave this answer. " if one.run == "both" else run
    end = "" if found.ended else f"The answer did not end by itself: it was cut after {count_text(len(found.tokens), 'token')}. "
    wrong = "" if found.passed else f"**It is not what the recipe expects:** {text('; '.join(found.reasons))}. "
    return f"{run}{end}{wrong}{_agreement(found, reference(manifest))}"


def _agreement(found: Verdict, reference: str) -> str:
    same = found.agreement
    if identical(found) and same.answer_tokens == 1:
        return f"Its only token is the same as that of {reference}."
    if identical(found):
        return f"All {count_text(same.answer_tokens, 'token')} are the same as those of {reference}."
    if not same.common_tokens:
        begun = f"It differs from the answer of {reference} from the first token on."
    else:
        begun = f"The first {same.common_tokens} of its {count_text(same.answer_tokens, 'token')} are the same as those of {reference}"
        begun += f", whose answer has {count_text(same.source_tokens, 'token')}."
    if same.compared_tokens is None:
        return begun
    return f"{begun} Only the first {count_text(same.compared_tokens, 'token')} can be compared (see Limitations)."


def identical(found: Verdict) -> bool:
    """Whether an answer is the source's, token for token."""
    return found.agreement.common_tokens == found.agreement.answer_tokens == found.agreement.source_tokens


def exact(verdicts: Sequence[Verdict], reference: str) -> str:
    """How many prompts were answered exactly as by the source, a sentence."""
    same, total = sum(identical(one) for one in verdicts), len(verdicts)
    if total == 1:
        who = "The prompt was" if same else "The prompt was not"
    elif same in (0, total):
        who = f"All {total} prompts were" if same else f"None of the {total} prompts was"
    else:
        who = f"{same} of {total} prompts were"
    return f"{who} answered exactly as by {reference}, token for token."


def numeric_check(check: NumericCheck | None) -> str:
    """What the numeric check compared and found, in sentences of Markdown; "" if nothing was compared."""
    if check is None:
        return ""
    lines = []
    if check.lengths:
        across = f", also across {text(', '.join(check.crossed))}" if check.crossed else ""
        lines.append(
            f"The converted model, with weights in floating point, was compared with the source in transformers (float32) on inputs of "
            f"{min(check.lengths):,} to {max(check.lengths):,} tokens{across}: the most likely next token is the same at {check.same} of "
            f"{check.positions} positions, and the largest KL divergence is {check.largest_kld:.1e} nats "
            f"({check.tolerance_kld:.1e} are allowed)."
        )
        if check.layers < check.of:
            all_of_them = f", and all of them on inputs of up to {check.whole_on:,} tokens" if check.whole_on else ""
            lines.append(f"The first {check.layers} of {check.of} layers were compared{all_of_them}.")
    if check.not_checked:
        lines.append(f"Not compared: {text('; '.join(check.not_checked))}.")
    return " ".join(lines)


def made_for(manifest: PackageManifest) -> str:
    """The devices that a package is made for, and on which of them it has not been run yet."""
    missing = f"; not yet run on {both(manifest.unproven)}" if manifest.unproven else ""
    return text(both(manifest.targets) + missing)


def ran(manifest: PackageManifest) -> str:
    """Where the model was run and where it was not, in sentences of Markdown."""
    run = manifest.validation
    machine = text(run.device) if run.device_name in ("", run.device) else f"{text(run.device)} ({text(run.device_name)})"
    instead = ", in place of the device that it is made for" if run.stand_in else ""
    memory = f" It took at most {run.peak_memory_bytes / 1e9:.2f} GB of memory." if run.peak_memory_bytes else ""
    return f"was run on {machine}{instead}.{memory}{_not_run(manifest)}"


def _not_run(manifest: PackageManifest) -> str:
    missing = list(manifest.unproven)
    if not missing:
        return ""
    shown = f" It has **not** been run on {text(both(missing))}."
    if not manifest.validation.stand_in:
        return shown
    if not all(one.passed for one in (*manifest.verdicts, *manifest.in_use_verdicts)):
        warning = "**An answer above is not as expected. Try the model on its own device before you use it.**"
        return f"{shown} {warning} It was packaged because its fidelity is within the recipe's bounds."
    return f"{shown} The answers above show that the model is complete. They do not show that it runs there, or how fast."


def both(names: Iterable[str]) -> str:
    """A list in words: "CPU, GPU and NPU"."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
