"""Compares an OpenVINO model's weights, as `formats.openvino_ir` reads them, with what the recipe requests. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import replace

from bakehouse.backends.openvino.quantization import Scope
from bakehouse.backends.openvino.seams import Compression, FloatSpec, FourBitSpec, Int8Spec, MeasuredModel
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


def primary(spec: Compression) -> str:
    """The precision that the recipe requests in the first place."""
    if isinstance(spec, FloatSpec):
        return _FLOAT_TYPES[spec.weights]
    if spec.weights in ("int4", "int8"):
        return f"{spec.weights}_{'sym' if spec.symmetric else 'asym'}"
    return spec.weights


def measure(model: Model, source: Model, spec: Compression) -> MeasuredModel:
    """Numbers for the manifest and the card: weights by precision, group sizes, shares in 4 bits, where embeddings and last MatMul are."""
    own = [weight for weight in model.weights if weight.role != "adapter"]
    counts: Counter[str] = Counter()
    for weight in own:
        counts[precision(weight)] += weight.count
    facts = MeasuredModel(
        weights=dict(sorted(counts.items())),
        embedding=_joined(precision(weight) for weight in own if weight.role == "embedding"),
        last_matmul=_joined(precision(weight) for weight in own if weight.role == "last") or "shared with the embedding",
    )
    if not isinstance(spec, FourBitSpec):
        return facts
    four = [weight for weight in own if precision(weight) == primary(spec)]
    defining = ratio_defining(source, spec)
    shares = {
        "group_sizes": tuple(sorted({weight.group_size for weight in four})),
        "share_4bit": _share(four, own),
        "share_4bit_of_ratio_defining": _share([weight for weight in four if weight.user in defining], defining.values()),
    }
    return facts.model_copy(update=shares)


def judge(model: Model, source: Model, spec: Compression) -> tuple[str, ...]:
    """Sentences, one for each way in which `model`, made from the export `source`, is not what the recipe requests."""
    faults = [*_complete(model, source), *_recorded(model, spec)]
    if isinstance(spec, FloatSpec):
        wrong = [weight for weight in model.weights if precision(weight) != primary(spec)]
        return (*faults, *_differ(wrong, _is, f"be {primary(spec)}"))
    faults += _idle(source, spec)
    before = {weight.user: weight for weight in source.weights}
    own = [weight for weight in model.weights if weight.role != "adapter" and weight.user in before]
    free = [weight for weight in own if _in_scope(before[weight.user], spec.ignored_scope)]
    faults += _differ([w for w in free if w.type not in FLOATS], _is, "be in floating point: it is in the ignored scope")
    bound = [weight for weight in own if weight not in free and weight.role != "fixed"]  # NNCF takes what is fixed for no weight
    if isinstance(spec, Int8Spec):
        wrong = [weight for weight in bound if precision(weight) != primary(spec) or weight.group_size != -1]
        return (*faults, *_differ(wrong, _is, f"be {primary(spec)} with one scale a channel"))
    return (*faults, *_four_bit(bound, source, spec), *_adapters(model, spec))


def ratio_defining(source: Model, spec: FourBitSpec) -> dict[str, Weight]:
    """The weights of the export that may get 4 bits and that the ratio counts, by user.

    As NNCF chooses them (WeightCompression._get_ratio_defining_params, 3.4.0): MatMuls but the last, with all_layers also that
    one and embeddings; without those that no group fits, unless that is an error.
    """
    chosen = _candidates(source, spec)
    strict = spec.group_size_fallback == "error"
    return {user: weight for user, weight in chosen.items() if strict or _group(weight, spec) is not None}


def _candidates(source: Model, spec: FourBitSpec) -> dict[str, Weight]:
    roles = ("matmul", "last", "embedding") if spec.all_layers else ("matmul",)
    scopes = (spec.ignored_scope, spec.backup_scope)
    chosen = [weight for weight in source.weights if weight.role in roles and not any(_in_scope(weight, scope) for scope in scopes)]
    return {weight.user: weight for weight in chosen}


def _left(source: Model, spec: FourBitSpec) -> Set[str]:
    """The users of weights that stay in floating point because no group fits them."""
    if spec.group_size_fallback != "ignore":
        return set()
    return _candidates(source, spec).keys() - ratio_defining(source, spec).keys()


def _group(weight: Weight, spec: FourBitSpec) -> int | None:
    """The group size that a weight of the export should get; None if none fits."""
    if spec.group_size == -1 or weight.channel % spec.group_size == 0:
        return spec.group_size
    power = weight.channel & -weight.channel  # the largest power of two that divides it
    return power if spec.group_size_fallback == "adjust" and power >= _LEAST_ADJUSTED_GROUP else None


def _four_bit(bound: list[Weight], source: Model, spec: FourBitSpec) -> Iterator[str]:
    wanted, backup = primary(spec), spec.backup_precision
    defining = ratio_defining(source, spec)
    left = _left(source, spec)
    four = [weight for weight in bound if precision(weight) == wanted]
    rest = [weight for weight in bound if precision(weight) != wanted]
    held = [weight for weight in four if weight.user in defining]
    yield from _differ([weight for weight in four if weight.user not in defining], _is, f"be {backup}")
    wrong = [weight for weight in held if weight.group_size != _group(defining[weight.user], spec)]
    yield from _differ(wrong, lambda weight: f"has {_groups(weight.group_size)}", f"have {_groups(spec.group_size)}")
    stray = [weight for weight in rest if not _is_backup(weight, left, spec)]
    yield from _differ([weight for weight in stray if weight.user in defining], _is, f"be {wanted} or {backup}")
    yield from _differ([weight for weight in stray if weight.user not in defining], _is, f"be {backup}")
    yield from _ratio(held, defining, spec.ratio)


def _is_backup(weight: Weight, left: Set[str], spec: FourBitSpec) -> bool:
    """Whether a weight without 4 bits is in the backup precision, or in floating point where the group size left it so."""
    if weight.type in FLOATS:
        return spec.backup_precision == "none" or weight.user in left
    return precision(weight) == spec.backup_precision and weight.group_size == -1


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


def _complete(model: Model, source: Model) -> Iterator[str]:
    after = {user: weight.count for weight in model.weights if weight.role != "adapter" for user in weight.users}
    before = {user: weight.count for weight in source.weights for user in weight.users}
    missing = sorted(before.keys() - after.keys())
    if missing:
        yield f"{len(missing)} of the export's {len(before)} weights are not in the model, first that of {missing[0]}"
    changed = sorted(user for user in before.keys() & after.keys() if before[user] != after[user])
    if changed:
        yield f"the weight of {changed[0]} has {after[changed[0]]} numbers, the export's {before[changed[0]]}"


def _recorded(model: Model, spec: Compression) -> Iterator[str]:
    """What NNCF recorded as its options, compared with what they should be."""
    at = ("nncf", "weight_compression")
    if isinstance(spec, FloatSpec):
        if model.option(*at, "mode") is not None:
            yield f"NNCF compressed the weights to {model.option(*at, 'mode')}, nothing should be quantized"
        return
    expected = {"mode": primary(spec)}
    if isinstance(spec, FourBitSpec):
        expected["backup_mode"] = spec.backup_precision
        expected |= {name: str(getattr(spec, name)) for name in ("ratio", "group_size", "all_layers", "sensitivity_metric")}
        expected |= {name: str(getattr(spec, name)) for name in ("awq", "scale_estimation", "gptq", "lora_correction")}
    for name, value in expected.items():
        found = model.option(*at, name)
        if found != value:
            yield f"NNCF was given {name} {found}, should be {value}"


def _adapters(model: Model, spec: FourBitSpec) -> Iterator[str]:
    count = sum(weight.role == "adapter" for weight in model.weights)
    if bool(count) != spec.lora_correction:
        yield f"the model has {count} low-rank corrections, and should have {'some' if spec.lora_correction else 'none'}"


def _in_scope(weight: Weight, scope: Scope | None) -> bool:
    """Whether the scope names the weight or its user."""
    return scope is not None and scope.holds(weight.kind, (*weight.users, weight.name))


def _idle(source: Model, spec: Int8Spec | FourBitSpec) -> Iterator[str]:
    """Entries of the scopes that change nothing; NNCF itself demands only that each matches some operation."""
    compressible = _compressible(source, spec.model_copy(update={"ignored_scope": None}))
    for kind, entry in _matching_none(spec.ignored_scope, compressible):
        yield f"{entry!r} in {kind} of ignored_scope matches no weight that would have been compressed without it"
    if isinstance(spec, FourBitSpec):
        candidates = list(_candidates(source, spec.model_copy(update={"backup_scope": None})).values())
        for kind, entry in _matching_none(spec.backup_scope, candidates):
            yield f"{entry!r} in {kind} of backup_scope matches no weight that could have had 4 bits without it"


def _matching_none(scope: Scope | None, weights: list[Weight]) -> Iterator[tuple[str, str]]:
    """The entries of a scope, each with its kind, that name none of the weights."""
    if scope is None:
        return
    for kind, entries in (("names", scope.names), ("patterns", scope.patterns), ("types", scope.types)):
        for entry in entries:
            single = Scope.model_validate({kind: (entry,)})
            if not any(_in_scope(weight, single) for weight in weights):
                yield kind, entry


def _compressible(source: Model, spec: Int8Spec | FourBitSpec) -> list[Weight]:
    """The weights of the export that do not stay in floating point in any case."""
    source = replace(source, weights=tuple(weight for weight in source.weights if weight.role != "fixed"))
    if isinstance(spec, Int8Spec):
        return list(source.weights)
    if spec.backup_precision == "none":
        return list(ratio_defining(source, spec).values())
    left = _left(source, spec)
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
