"""What a pickled model holds, read without running any of it: classes are only names, and tensors only dtypes and shapes."""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakehouse.text import printable

_LIBRARY = "intel_npu_acceleration_library.nn"
_MODEL = "transformers.models.phi3"
# All that a Phi-3 compiled by the library 1.4.0 refers to (torch 2.13, transformers 4.46). Unpickling calls what a pickle names,
# so one more name can be a program.
CLASSES = frozenset(
    {
        *(f"{_LIBRARY}.{name}" for name in ("linear.Linear", "linear.QuantizedLinear", "autograd.AutogradMatMul")),
        *(f"{_MODEL}.modeling_phi3.Phi3{name}" for name in ("ForCausalLM", "Model", "DecoderLayer", "SdpaAttention", "MLP", "RMSNorm")),
        f"{_MODEL}.modeling_phi3.Phi3RotaryEmbedding",
        f"{_MODEL}.configuration_phi3.Phi3Config",
        "transformers.generation.configuration_utils.GenerationConfig",
        *(f"torch.nn.modules.{name}" for name in ("activation.SiLU", "container.ModuleList", "dropout.Dropout", "sparse.Embedding")),
    }
)
_STORAGES = {"HalfStorage": "float16", "FloatStorage": "float32", "CharStorage": "int8", "ByteStorage": "uint8"}
_WIDTHS = {"float16": 2, "float32": 4, "int8": 1, "uint8": 1}
_DTYPES = ("float16", "float32")
_MOST_BYTES = 1 << 26  # of the program; that of the full Phi-3 has less than one megabyte
_LONGEST = 500  # characters of a sentence
# What zipfile raises for archives that it cannot read: also for another method, a password, a name in no known encoding, a damaged stream.
_DAMAGED = (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, RuntimeError, OSError, UnicodeDecodeError, struct.error)


class Foreign(ValueError):
    """The pickle refers to something that a compiled model does not need, or has another layout.

    What it says may name what the pickle names: it is as much of that as a person reads, and nothing that a terminal would act on.
    """

    def __init__(self, what: str) -> None:
        said = printable(what)
        super().__init__(said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…")


@dataclass(frozen=True)
class Tensor:
    """A tensor by dtype and shape."""

    dtype: str
    shape: tuple[int, ...]


class Thing:
    """An object of a class that is only a name."""

    name = ""

    def __init__(self, *arguments: Any) -> None:
        pass

    def __repr__(self) -> str:
        return f"<{type(self).name}>"


def read(path: Path) -> Thing:
    """The model in a file that torch.save wrote.

    Raises:
        Foreign: torch.save did not write it, or it refers to anything but the parts of a compiled Phi-3.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            programs = [name for name in archive.namelist() if name.endswith(".pkl")]
            if len(programs) != 1:
                raise Foreign(f"it holds {len(programs)} pickles and should hold one")
            sizes = {info.filename: info.file_size for info in archive.infolist()}
            if archive.getinfo(programs[0]).compress_size > path.stat().st_size:
                raise Foreign("its pickle would be larger than the file that it is in")
            if sizes[programs[0]] > _MOST_BYTES:
                raise Foreign(f"its pickle has {sizes[programs[0]]:,} bytes, which no compiled model's has")
            program = archive.read(programs[0])
        _refuse_wild_numbers(program)
        model = _load(_Reader(io.BytesIO(program), programs[0].removesuffix("data.pkl"), sizes))
    except (*_DAMAGED, pickle.UnpicklingError) as error:
        raise Foreign(f"it is not complete: {error}") from error
    if not isinstance(model, Thing):
        raise Foreign("what it holds is not a model")
    _refuse_other_layouts(model)
    return model


def _refuse_wild_numbers(program: bytes) -> None:
    """Refuse a program that has Python's reader take memory for more than there is: before it reads the parts that are not there."""
    try:
        for code, argument, _ in pickletools.genops(program):
            if code.name in ("PUT", "LONG_BINPUT") and isinstance(argument, int) and argument > len(program):
                raise Foreign(f"its pickle is damaged: it remembers a thing as number {argument}")
    except Foreign:
        raise
    except (ValueError, IndexError, OverflowError) as error:
        raise Foreign(f"its pickle is damaged: {error}") from error


def _refuse_other_layouts(module: Thing, *above: Thing) -> None:
    """Refuse modules that do not hold modules and parameters in mappings by name, that hold themselves, or that give themselves a name."""
    held = vars(module)
    children = held.get("_modules", {})
    if "name" in held or module in above or not isinstance(children, Mapping) or not isinstance(held.get("_parameters", {}), Mapping):
        raise Foreign("its modules are not laid out as torch lays them out")
    for child in children.values():
        if isinstance(child, Thing):
            _refuse_other_layouts(child, module, *above)


def modules(model: Thing, name: str = "") -> Iterator[tuple[str, Thing]]:
    """Name and module of the model and all below it, as torch names them."""
    yield name, model
    for child, module in vars(model).get("_modules", {}).items():
        if isinstance(module, Thing):
            yield from modules(module, f"{name}.{child}" if name else child)


def parameters(module: Thing) -> Mapping[str, Tensor]:
    """A module's own tensors by name; those of a quantized layer are attributes and not registered."""
    registered = vars(module).get("_parameters", {})
    plain = {name: value for name, value in vars(module).items() if isinstance(value, Tensor)}
    return plain | {name: value for name, value in registered.items() if isinstance(value, Tensor)}


def _load(reader: _Reader) -> Any:
    """What the reader reads; a damaged program ends with an error of any kind."""
    try:
        return reader.load()
    except Foreign:
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise Foreign(f"its pickle is damaged: {error}") from error


class _Reader(pickle.Unpickler):
    """Python's own reader, which gets stand-ins for everything that the pickle names."""

    def __init__(self, program: Any, prefix: str, sizes: Mapping[str, int]) -> None:
        super().__init__(program, encoding="utf-8")
        self.prefix, self.sizes = prefix, sizes
        self.classes: dict[str, type[Thing]] = {}

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module.replace('__builtin__', 'builtins')}.{name}"
        if full in CLASSES:
            return self.classes.setdefault(full, type(name, (Thing,), {"name": full}))
        if full in _CALLS:
            return _CALLS[full]
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if module == "torch" and name in _DTYPES:
            return full
        raise Foreign(f"it refers to {full}, which a compiled Phi-3 does not need")

    def persistent_load(self, pid: Any) -> Tensor:
        match pid:
            case ("storage", str(dtype), str(key), _, int(count)) if dtype in _WIDTHS:
                pass
            case _:
                raise Foreign(f"it refers to {pid!r}, which is not the storage of a tensor")
        if self.sizes.get(f"{self.prefix}data/{key}") != count * _WIDTHS[dtype]:
            raise Foreign(f"the {count} numbers of tensor {key} are not all in it")
        return Tensor(dtype, (count,))


def _tensor(storage: Any, offset: Any, size: Any, *rest: Any) -> Tensor:
    match storage, size:
        case Tensor(dtype=dtype), tuple() if all(isinstance(one, int) for one in size):
            return Tensor(dtype, size)
        case _:
            raise Foreign(f"it makes a tensor of {storage!r} and {size!r}")


def _parameter(data: Any, *rest: Any) -> Tensor:
    if not isinstance(data, Tensor):
        raise Foreign(f"it makes a parameter of {data!r}, which is not a tensor")
    return data


def _attribute(of: Any, name: str) -> str:
    """The one attribute that the library's layers refer to."""
    if getattr(of, "name", "") != f"{_LIBRARY}.autograd.AutogradMatMul" or name != "apply":
        raise Foreign(f"it refers to the attribute {name} of {getattr(of, 'name', of)}")
    return name


_CALLS: Mapping[str, object] = {
    "collections.OrderedDict": OrderedDict,
    "builtins.set": set,
    "builtins.getattr": _attribute,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
}
