"""Holds an OpenVINO model's weights, as openvino_ir read them, against what the recipe asked of them. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from typing import Any

from bakehouse.formats.openvino_ir import FLOATS, Model, Weight

# What an element type means, with (False) and without (True) zero points.
_PRECISIONS = {
    ("i4", True): "int4_sym",
    ("u4", False): "int4_asym",
    ("i8", True): "int8_sym",
    ("u8", False): "int8_asym",
    ("nf4", True): "nf4",
    ("f4e2m1", True): "mxfp4",
}
_FLOAT_TYPES = {"fp16": "f16", "fp32": "f32"}
_ROUNDING = 1e-9  # shares are quotients of counts
_LEAST_ADJUSTED_GROUP = 32  # NNCF's AdvancedCompressionParameters.min_adjusted_group_size


def precision(weight: Weight) -> str:
    """What a weight's bits are: "int4_sym", "int8_asym", "bf16"; a combination that nothing here makes is spelled out."""
    if weight.type in FLOATS:
        return weight.type
    return _PRECISIONS.get((weight.type, weight.symmetric), f"{weight.type} {'without' if weight.symmetric else 'with'} zero points")


def primary(options: Mapping[str, Any]) -> str:
    """The precision that the options ask for in the first place."""
    weights: str = options["weights"]
    if weights in ("int4", "int8"):
        return f"{weights}_{'sym' if options['symmetric'] else 'asym'}"
    return _FLOAT_TYPES.get(weights, weights)


def measure(model: Model, source: Model, options: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers for the manifest and the card: weights by precision, group sizes, shares in 4 bits, where embeddings and last MatMul are."""
    own = [weight for weight in model.weights if weight.role != "adapter"]
    counts: Counter[str] = Counter()
    for weight in own:
        counts[precision(weight)] += weight.count
    facts: dict[str, Any] = {
        "weights": dict(sorted(counts.items())),
        "embedding": _joined(precision(weight) for weight in own if weight.role == "embedding"),
        "last_matmul": _joined(precision(weight) for weight in own if weight.role == "last") or "shared with the embedding",
    }
    if options["weights"] not in _FLOAT_TYPES and options["weights"] != "int8":
        wanted = primary(options)
        four = [weight for weight in own if precision(weight) == wanted]
        defining = ratio_defining(source, options)
        facts["group_sizes"] = sorted({weight.group_size for weight in four})
        facts["share_4bit"] = _share(four, own)
        facts["share_4bit_of_ratio_defining"] = _share([weight for weight in four if weight.user in defining], defining.values())
    return facts


def judge(model: Model, source: Model, options: Mapping[str, Any]) -> tuple[str, ...]:
    """Sentences, one for each way in which `model`, made from the export `source`, is not what `options` ask."""
    faults = [*_whole(model, source), *_told(model, options), *_idle(source, options)]
    before = {weight.user: weight for weight in source.weights}
    if options["weights"] in _FLOAT_TYPES:
        wrong = [weight for weight in model.weights if precision(weight) != primary(options)]
        return (*faults, *_differ(wrong, _is, f"be {primary(options)}"))
    own = [weight for weight in model.weights if weight.role != "adapter" and weight.user in before]
    free = [weight for weight in own if _ignored(before[weight.user], options)]
    faults += _differ([w for w in free if w.type not in FLOATS], _is, "be in floating point: it is in the ignored scope")
    bound = [weight for weight in own if weight not in free]
    if options["weights"] == "int8":
        wrong = [weight for weight in bound if precision(weight) != primary(options) or weight.group_size != -1]
        return (*faults, *_differ(wrong, _is, f"be {primary(options)} with one scale a channel"))
    return (*faults, *_four_bit(bound, source, options), *_adapters(model, options))


def ratio_defining(source: Model, options: Mapping[str, Any]) -> dict[str, Weight]:
    """The weights of the export that may get 4 bits and that the ratio counts, by user.

    As NNCF chooses them (WeightCompression._get_ratio_defining_params, 3.4.0): MatMuls but the last, with all_layers also that
    one and embeddings; without those that no group fits, unless that is an error.
    """
    chosen = _candidates(source, options)
    strict = options["group_size_fallback"] == "error"
    return {user: weight for user, weight in chosen.items() if strict or _group(weight, options) is not None}


def _candidates(source: Model, options: Mapping[str, Any]) -> dict[str, Weight]:
    roles = ("matmul", "last", "embedding") if options["all_layers"] else ("matmul",)
    return {weight.user: weight for weight in source.weights if weight.role in roles and not _ignored(weight, options)}


def _left(source: Model, options: Mapping[str, Any]) -> Set[str]:
    """The users of weights that stay in floating point because no group fits them."""
    if options["group_size_fallback"] != "ignore":
        return set()
    return _candidates(source, options).keys() - ratio_defining(source, options).keys()


def _group(weight: Weight, options: Mapping[str, Any]) -> int | None:
    """The group size that a weight of the export should get; None if none fits."""
    asked: int = options["group_size"]
    if asked == -1 or weight.channel % asked == 0:
        return asked
    power = weight.channel & -weight.channel  # the largest power of two that divides it
    return power if options["group_size_fallback"] == "adjust" and power >= _LEAST_ADJUSTED_GROUP else None


def _four_bit(bound: list[Weight], source: Model, options: Mapping[str, Any]) -> Iterator[str]:
    wanted, backup = primary(options), options["backup_precision"]
    defining = ratio_defining(source, options)
    left = _left(source, options)
    four = [weight for weight in bound if precision(weight) == wanted]
    rest = [weight for weight in bound if precision(weight) != wanted]
    held = [weight for weight in four if weight.user in defining]
    yield from _differ([weight for weight in four if weight.user not in defining], _is, f"be {backup}")
    wrong = [weight for weight in held if weight.group_size != _group(defining[weight.user], options)]
    yield from _differ(wrong, lambda weight: f"has {_groups(weight.group_size)}", f"have {_groups(options['group_size'])}")
    stray = [weight for weight in rest if not _is_backup(weight, left, options)]
    yield from _differ([weight for weight in stray if weight.user in defining], _is, f"be {wanted} or {backup}")
    yield from _differ([weight for weight in stray if weight.user not in defining], _is, f"be {backup}")
    yield from _ratio(held, defining, options["ratio"])


def _is_backup(weight: Weight, left: Set[str], options: Mapping[str, Any]) -> bool:
    """Whether a weight without 4 bits is in the backup precision, or in floating point where the group size left it so."""
    if weight.type in FLOATS:
        return options["backup_precision"] == "none" or weight.user in left
    return precision(weight) == options["backup_precision"] and weight.group_size == -1


def _ratio(held: list[Weight], defining: dict[str, Weight], ratio: float) -> Iterator[str]:
    """NNCF adds weights to the 4-bit ones, least sensitive first, as long as their share stays below the ratio.

    So the share is below the ratio by no more than that of the largest weight; with ratio 1.0 it is all of them.
    """
    share = _share(held, defining.values())
    largest = max((weight.count for weight in defining.values()), default=0) / max(1, sum(w.count for w in defining.values()))
    least = 1.0 if ratio == 1.0 else ratio - largest
    if not held:
        yield "no weight has 4 bits"
    elif share > ratio + _ROUNDING or share < least - _ROUNDING:
        yield f"{share:.1%} of the ratio-defining weights have 4 bits, should be {least:.1%} to {ratio:.1%}"


def _whole(model: Model, source: Model) -> Iterator[str]:
    after = {user: weight.count for weight in model.weights if weight.role != "adapter" for user in weight.users}
    before = {user: weight.count for weight in source.weights for user in weight.users}
    missing = sorted(before.keys() - after.keys())
    if missing:
        yield f"{len(missing)} of the export's {len(before)} weights are not in the model, first that of {missing[0]}"
    changed = sorted(user for user in before.keys() & after.keys() if before[user] != after[user])
    if changed:
        yield f"the weight of {changed[0]} has {after[changed[0]]} numbers, the export's {before[changed[0]]}"


def _told(model: Model, options: Mapping[str, Any]) -> Iterator[str]:
    """What NNCF wrote down that it was asked, against what it should have been."""
    at = ("nncf", "weight_compression")
    if options["weights"] in _FLOAT_TYPES:
        if model.option(*at, "mode") is not None:
            yield f"NNCF compressed the weights to {model.option(*at, 'mode')}, nothing should be quantized"
        return
    names = {"backup_mode": "backup_precision"} | {name: name for name in ("ratio", "group_size", "all_layers", "sensitivity_metric")}
    names |= {name: name for name in ("awq", "scale_estimation", "gptq", "lora_correction")}
    expected = {"mode": primary(options)} | {told: str(options[name]) for told, name in names.items() if options["weights"] != "int8"}
    for name, value in expected.items():
        found = model.option(*at, name)
        if found != value:
            yield f"NNCF was given {name} {found}, should be {value}"


def _adapters(model: Model, options: Mapping[str, Any]) -> Iterator[str]:
    count = sum(weight.role == "adapter" for weight in model.weights)
    if bool(count) != options["lora_correction"]:
        yield f"there are {count} low-rank corrections, there should be {'some' if options['lora_correction'] else 'none'}"


def _ignored(weight: Weight, options: Mapping[str, Any]) -> bool:
    """Whether the ignored scope names the weight or its user; patterns match from the name's beginning, as in NNCF."""
    scope = options["ignored_scope"]
    if not scope:
        return False
    names = (*weight.users, weight.name)
    if weight.kind in scope["types"] or any(name in scope["names"] for name in names):
        return True
    return any(re.match(pattern, name) for pattern in scope["patterns"] for name in names)


def _idle(source: Model, options: Mapping[str, Any]) -> Iterator[str]:
    """Entries of the ignored scope that leave out nothing; NNCF itself asks only that each matches some operation."""
    scope = options.get("ignored_scope") or {}
    weights = _compressible(source, {**options, "ignored_scope": None}) if scope else []
    for kind, entries in scope.items():
        for entry in entries:
            alone = {**options, "ignored_scope": {"names": (), "patterns": (), "types": (), kind: (entry,)}}
            if not any(_ignored(weight, alone) for weight in weights):
                yield f"{entry!r} in {kind} of ignored_scope matches no weight that would have been compressed without it"


def _compressible(source: Model, options: Mapping[str, Any]) -> list[Weight]:
    """The weights of the export that do not stay in floating point in any case."""
    if options["weights"] == "int8":
        return list(source.weights)
    if options["backup_precision"] == "none":
        return list(ratio_defining(source, options).values())
    left = _left(source, options)
    return [weight for weight in source.weights if weight.user not in left]


def _differ(wrong: list[Weight], found: Callable[[Weight], str], should: str) -> Iterator[str]:
    """One sentence for all weights that are wrong in the same way."""
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        yield f"the weight of {wrong[0].user}{more} {found(wrong[0])}, should {should}"


def _is(weight: Weight) -> str:
    return f"is {precision(weight)}" if weight.group_size == 0 else f"is {precision(weight)} with {_groups(weight.group_size)}"


def _groups(size: int) -> str:
    return "one scale a channel" if size == -1 else f"groups of {size}"


def _share(some: Iterable[Weight], of: Iterable[Weight]) -> float:
    return sum(weight.count for weight in some) / max(1, sum(weight.count for weight in of))


def _joined(names: Iterable[str]) -> str:
    return ", ".join(sorted(set(names)))
