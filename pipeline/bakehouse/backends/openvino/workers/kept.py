"""What stays in memory of the tensors that OpenVINO's constants share while a model is exported: all that is needed, and no more."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakehouse.child import mapped

_LARGE_BYTES = 1 << 22
_SAMPLE = 2048  # numbers at three places of a constant
_PLAIN = re.compile(r"[\w./:-]+")
_NUMBERED = re.compile(r'(?P<before><layer id="\d+" name=")(?P<kind>\w+)_(?P<number>\d+)(?P<after>" type="(?P<type>\w+)")')
_NUMBERS = 4  # of nodes that are made for one that is postponed, and when it is saved (openvino 2026.4.1)
_COPIED = ("torch.bfloat16", "torch.float8")  # what numpy does not have, so that no array holds the copy


@dataclass(frozen=True)
class Taken:
    """How many numbers of nodes postponed constants took, after that of the node `last`."""

    last: int
    count: int


@contextmanager
def temporaries() -> Iterator[None]:
    """Keep what the frontend makes of a tensor that does not lie in one piece, until the model is saved.

    It shares the memory of a copy that nothing else holds (openvino 2026.4.1, frontend/pytorch/utils.py, torch_tensor_to_ov_const): of
    weights in bfloat16 that are parts of others, such as the experts of an AFMoE, what is written to that memory next comes into the model.
    """
    from openvino.frontend.pytorch import utils

    original, held = utils.torch_tensor_to_ov_const, list[Any]()

    def kept(tensor: Any, shared_memory: bool = True) -> Any:
        if not tensor.is_contiguous() and str(tensor.dtype).startswith(_COPIED):
            tensor = tensor.contiguous()
            held.append(tensor)
        return original(tensor, shared_memory)

    utils.torch_tensor_to_ov_const = kept
    try:
        yield
    finally:
        utils.torch_tensor_to_ov_const = original


@contextmanager
def small_while_saved(checkpoint: Path, most_bytes: int = mapped.ONCE_BYTES) -> Iterator[None]:
    """While the exporter saves a model, release what was saved of the checkpoint, which is mapped; nothing changes weights by then."""
    from optimum.exporters.openvino import convert

    original, taken, release_if_many = convert.save_model, list[Taken](), mapped.releasing(checkpoint, most_bytes=most_bytes)

    def save_model(model: Any, path: Path, *given: Any) -> None:
        names, let_go = dict[str, str](), list[Callable[[], None]]()
        last = max(int(node.get_name().rpartition("_")[2]) for node in model.get_ops())
        for constant in _large(model):
            names[constant.get_friendly_name()] = next(iter(constant.output(0).get_names()), "")
            let_go.append(_postpone(constant, release_if_many))
        original(model, path, *given)
        _name_outputs(Path(path), names)
        _number_as_without(Path(path), taken)
        taken.append(Taken(last, _NUMBERS * len(names)))
        for one in let_go:
            one()
        release_if_many()

    convert.save_model = save_model
    try:
        yield
    finally:
        convert.save_model = original


def _large(model: Any) -> list[Any]:
    """The large constants that no other is equal to: of equal ones save_model writes one, but not if they are postponed."""
    found: dict[tuple[int, bytes], list[Any]] = {}
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Constant" and node.get_byte_size() >= _LARGE_BYTES and _is_plain(node):
            data = node.data.reshape(-1)
            some = b"".join(part.tobytes() for part in (data[:_SAMPLE], data[data.size // 2 :][:_SAMPLE], data[-_SAMPLE:]))
            found.setdefault((node.get_byte_size(), some), []).append(node)
    return [nodes[0] for nodes in found.values() if len(nodes) == 1]


def _is_plain(constant: Any) -> bool:
    """Whether a constant has no more than one name for its output, and names that stand in XML as they are."""
    names = constant.output(0).get_names()
    return len(names) <= 1 and all(_PLAIN.fullmatch(name) for name in (constant.get_friendly_name(), *names))


def _postpone(constant: Any, before: Callable[[], None]) -> Callable[[], None]:
    """Have a constant's values asked for when they are written, and `before` called then: save_model lets no other thread run.

    What is returned lets go of the values: OpenVINO keeps the function that gives them for ever.
    """
    import openvino as ov
    from openvino.utils import make_postponed_constant

    held = [constant]

    def values() -> Any:
        before()
        return ov.Tensor(held[0].data, held[0].shape, held[0].get_element_type())

    made = make_postponed_constant(constant.get_element_type(), constant.get_output_shape(0), values, constant.get_friendly_name())
    for consumer in list(constant.output(0).get_target_inputs()):
        consumer.replace_source_output(made.output(0))
    return held.clear


def _name_outputs(xml: Path, names: Mapping[str, str]) -> None:
    """Write the names of constants' outputs, by the constants' own: save_model forgets those of postponed ones (openvino 2026.4.1)."""
    own = re.compile(r'<layer id="\d+" name="([^"]*)" type="Const"|<port id="0" precision="\w+"')
    name = ""

    def named(found: re.Match[str]) -> str:
        nonlocal name
        if found[1] is not None:
            name = names.get(found[1], "")
            return found[0]
        given, name = name, ""
        return f'{found[0]} names="{given}"' if given else found[0]

    xml.write_bytes(own.sub(named, xml.read_bytes().decode()).encode())


def _number_as_without(xml: Path, taken: Sequence[Taken]) -> None:
    """Name nodes as if no numbers had been taken: one without a name of its own is named by how many were made before it, in all models."""

    def named(found: re.Match[str]) -> str:
        kind, number = found["kind"], int(found["number"])
        count = sum(one.count for one in taken if one.last < number)
        is_own = kind != ("Constant" if found["type"] == "Const" else found["type"])
        return found[0] if is_own else f"{found['before']}{kind}_{number - count}{found['after']}"

    if taken:
        xml.write_bytes(_NUMBERED.sub(named, xml.read_bytes().decode()).encode())
