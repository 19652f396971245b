"""Which toolchains there are, what each replaces in the installed environment, and which checkpoints it would misread.

A converter knows the releases of transformers that it was written for, and no release has all models: transformers 5.5.4 with
optimum-intel 2.1.0 exports no Gemma, 5.0.0 does. A toolchain is a few wheels that come before the installed ones in the children that
read a checkpoint; all else (torch, optimum-intel, onnxruntime-genai) is as installed. Of these the first is what is installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

from bakehouse.formats import fields
from bakehouse.formats.config_json import Config

# From the newest release to the oldest: of several that make a model the first is proposed.
Name = Literal["transformers-5.5", "transformers-5.2", "transformers-5.0", "transformers-4.57", "transformers-4.53"]
INSTALLED: Name = "transformers-5.5"
NAMES: tuple[Name, ...] = get_args(Name)

_LOCKS = Path(__file__).resolve().parent / "locks"
_NEW_ROPE = (5, 0)  # the release of transformers that reads `rope_parameters` in config.json; older ones pass over it
_NEW_DTYPE = (4, 56)  # the one that reads `dtype`; older ones read only `torch_dtype`


@dataclass(frozen=True)
class Toolchain:
    """A set of distributions that replace installed ones.

    Attributes:
        versions: of the distributions that replace installed ones and change bytes, by name.
        compiled: whether its wheels differ between systems.
    """

    name: Name
    versions: Mapping[str, str] = field(default_factory=dict)
    compiled: bool = False

    @property
    def lock(self) -> Path:
        """The file with every wheel and its hashes."""
        return _LOCKS / f"{self.name}.txt"

    @property
    def release(self) -> tuple[int, ...]:
        """The release of transformers, as far as the name has it: (5, 0)."""
        return tuple(int(part) for part in self.name.removeprefix("transformers-").split("."))


TOOLCHAINS: Mapping[Name, Toolchain] = MappingProxyType(
    {
        one.name: one
        for one in (
            Toolchain(INSTALLED),
            Toolchain("transformers-5.2", {"transformers": "5.2.0"}),
            Toolchain("transformers-5.0", {"transformers": "5.0.0"}),
            Toolchain("transformers-4.57", {"transformers": "4.57.6"}),
            Toolchain("transformers-4.53", {"transformers": "4.53.3", "tokenizers": "0.21.4"}, compiled=True),
        )
    }
)


def misread(config: Config, name: Name) -> tuple[str, ...]:
    """Sentences on what a toolchain would pass over in a checkpoint's config.json, so that it would compute another model."""
    release = TOOLCHAINS[name].release
    reasons = []
    if release < _NEW_ROPE and config.get("rope_parameters") and not ("rope_theta" in config or "rope_scaling" in config):
        reasons.append(
            f"config.json has rope_parameters, which transformers {_text(release)} passes over: "
            f"save the checkpoint with transformers 4, or take a toolchain of transformers {_text(_NEW_ROPE)} or later"
        )
    if release < _NEW_DTYPE and fields.text(config, "dtype") and not fields.text(config, "torch_dtype"):
        reasons.append(
            f"config.json names its precision as dtype, which transformers {_text(release)} passes over: add torch_dtype, "
            f"or take a toolchain of transformers {_text(_NEW_DTYPE)} or later"
        )
    return tuple(reasons)


def reading(config: Config, names: Iterable[Name]) -> tuple[Name, ...]:
    """Those of some toolchains that read all of a config.json."""
    return tuple(name for name in names if not misread(config, name))


def why_not(name: Name, works: tuple[Name, ...], converter: str, what: str) -> str:
    """A sentence on a model that a converter makes with other toolchains only: `works`, the best first."""
    others = f" or {', '.join(works[1:])}" if works[1:] else ""
    line = "leave `toolchain:` out of the recipe" if works[0] == INSTALLED else f"write `toolchain: {works[0]}` into the recipe"
    return f"{converter} makes {what} with the toolchain {works[0]}{others}, not with {name}: {line}"


def most_runtimes(works: Mapping[str, Sequence[Name]]) -> Name | None:
    """The toolchain that makes a model for the most runtimes, of several the newest; None if none makes it for any."""
    counted = [(sum(name in one for one in works.values()), -position, name) for position, name in enumerate(NAMES)]
    count, _, name = max(counted)
    return name if count else None


def _text(release: tuple[int, ...]) -> str:
    return ".".join(map(str, release))
