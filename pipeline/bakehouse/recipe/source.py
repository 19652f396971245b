"""Where a model comes from, as a recipe says it: the source, pinned, and its adapters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from bakehouse.recipe.model import Fault, Model, Rule
from bakehouse.recipe.types import (
    OTHER_LICENCE,
    Commit,
    DistributionName,
    GgufPath,
    LicenceLink,
    Line,
    LocalPath,
    PythonPath,
    RelativePath,
    Repo,
    Sha256,
    SourceLicence,
    Version,
)

_License = Annotated[
    SourceLicence,
    Field(description="SPDX identifier of the model's licence, LicenseRef-NAME, or `other` with license_name and license_link."),
]
_LicenseName = Annotated[Line | None, Field(description="With license: other, the licence's name, such as llama3.2.")]
_LicenseLink = Annotated[
    LicenceLink | None, Field(description="With license: other, the address of the licence's text, or the name of a file of the source.")
]
_BaseModel = Annotated[Repo | None, Field(description="The hub repository that the file was made from, for the model card.")]
_LICENSE_RULES = (
    Rule(
        "license",
        lambda s: s.license == OTHER_LICENCE and not (s.license_name and s.license_link),
        "`other` alone does not name a licence.",
        "Add license_name and license_link, as the source's card has them.",
    ),
    Rule("license_name", lambda s: s.license != OTHER_LICENCE and s.license_name, "Only `license: other` has a license_name."),
    Rule("license_link", lambda s: s.license != OTHER_LICENCE and s.license_link, "Only `license: other` has a license_link."),
)


_NOTHING = ("A GGUF file is always dequantized, so dequantize would have no effect.", "Leave it out.")
_GGUF_IS_DEQUANTIZED = Rule("dequantize", lambda s: s.gguf and s.dequantize, *_NOTHING)
_LOCAL_GGUF_IS_DEQUANTIZED = Rule("dequantize", lambda s: s.path.endswith(".gguf") and s.dequantize, *_NOTHING)
_Dequantize = Annotated[
    bool,
    Field(
        description="Whether a checkpoint that is quantized already (GPTQ, AWQ, FP8, MXFP4, compressed-tensors) is made a plain one first.",
        exclude_if=lambda wanted: not wanted,
    ),
]


_Pickles = Annotated[
    bool,
    Field(
        description="Whether weights that are only there as pickles (pytorch_model.bin) are made safetensors first; no code in them runs.",
        exclude_if=lambda wanted: not wanted,
    ),
]
_GGUF_HAS_NO_PICKLES = ("A GGUF file is not a pickle, so convert_pickles would have no effect.", "Leave it out.")


class _Adapter(Model):
    """What every adapter has."""

    license: _License
    license_name: _LicenseName = None
    license_link: _LicenseLink = None
    scale: float = Field(1.0, gt=0.0, le=10.0, description="How strongly the adapter counts, as a multiple of what it was trained with.")

    rules: ClassVar[tuple[Rule, ...]] = _LICENSE_RULES


class HubAdapter(_Adapter):
    """A LoRA adapter in a repository on the Hugging Face hub at one commit."""

    type: Literal["huggingface"] = Field(description="A repository on the Hugging Face hub at one commit.")
    repo: Repo = Field(description="Repository on the hub, owner/name.")
    revision: Commit = Field(description="Full 40-digit commit; a branch or tag can move and is refused.")


class LocalAdapter(_Adapter):
    """A LoRA adapter on this machine."""

    type: Literal["local"] = Field(description="A folder on this machine.")
    path: LocalPath = Field(description="Folder with adapter_config.json and adapter_model.safetensors.")


ADAPTER_ROLES = "adapter-"  # how the names begin of what adapters are among the needs of a step, and in a package


def adapter_role(number: int) -> str:
    """What an adapter is called among the needs of a step, among a source's files, and in a package; the first is number 1."""
    return f"{ADAPTER_ROLES}{number}"


Adapter = Annotated[HubAdapter | LocalAdapter, Field(discriminator="type")]
_Adapters = Annotated[
    tuple[Adapter, ...],
    Field(
        description="LoRA adapters that are merged into the model, one after the other, before it is converted; a build for a runtime that "
        "applies them itself can have them as `separate` files.",
        exclude_if=lambda adapters: not adapters,
    ),
]
_NO_GGUF_WITH_ADAPTERS = (
    "An adapter is trained on the model's own weights, and those of a GGUF file are rounded.",
    "Name a checkpoint as the source, or leave adapters out.",
)


class HuggingFace(Model):
    """A model repository on the Hugging Face hub at one commit."""

    type: Literal["huggingface"] = Field(description="A model repository on the Hugging Face hub at one commit.")
    repo: Repo = Field(description="Repository on the hub, owner/name.")
    revision: Commit = Field(description="Full 40-digit commit; a branch or tag can move and is refused.")
    license: _License
    license_name: _LicenseName = None
    license_link: _LicenseLink = None
    gguf: GgufPath | None = Field(None, description="A GGUF file of the repository to import instead of a safetensors checkpoint.")
    remote_code: dict[PythonPath, Sha256] = Field(
        default_factory=dict, description="Python files of the repository that may run, each with its sha256; all others are refused."
    )

    convert_pickles: _Pickles = False
    dequantize: _Dequantize = False
    adapters: _Adapters = ()

    rules: ClassVar[tuple[Rule, ...]] = (
        *_LICENSE_RULES,
        _GGUF_IS_DEQUANTIZED,
        Rule("adapters", lambda s: s.gguf and s.adapters, *_NO_GGUF_WITH_ADAPTERS),
        Rule(
            "adapters",
            lambda s: s.remote_code and s.adapters,
            "Adapters are not merged into models with Python files of their own.",
            "Merge it yourself and name the result as a local source, or leave adapters out.",
        ),
        Rule("convert_pickles", lambda s: s.gguf and s.convert_pickles, *_GGUF_HAS_NO_PICKLES),
        Rule("remote_code", lambda s: s.gguf and s.remote_code, "A GGUF file has no code, so remote_code would have no effect."),
    )

    def remark(self) -> str:
        """A warning that code of the repository runs, if it does."""
        return "building it runs Python files of the model's repository, only with PIPELINE_REMOTE_CODE=run" if self.remote_code else ""


class WheelPart(Model):
    """A piece of a GGUF file, in a wheel of its own or in one with other pieces."""

    package: DistributionName = Field(description="Name of the distribution on PyPI that has this piece.")
    version: Version = Field(description="Exact version of that distribution.")
    file: RelativePath = Field(description="The piece's path inside the wheel.")
    sha256: Sha256 = Field(description="The piece's sha256.")


class PyPI(Model):
    """A GGUF file inside a wheel on PyPI, or in pieces in several wheels."""

    type: Literal["pypi"] = Field(description="A GGUF file inside a wheel on PyPI, or in pieces in several wheels.")
    package: DistributionName = Field(description="Name of the distribution on PyPI; with parts, of the one that stands for the model.")
    version: Version = Field(description="Exact version of the distribution.")
    file: GgufPath = Field(description="The GGUF file's path inside the wheel; with parts, the name of the file that they are joined to.")
    sha256: Sha256 = Field(description="The file's sha256; with parts, that of the joined file.")
    # Both are left out where they are empty, so that the keys of recipes without them stay the same.
    parts: tuple[WheelPart, ...] = Field(
        (), description="The pieces of the file, in the order in which they are joined.", exclude_if=lambda parts: not parts
    )
    notices: tuple[RelativePath, ...] = Field(
        (),
        description="Files of the wheel that go with the model besides the licences in its metadata: terms of use, notices.",
        exclude_if=lambda notices: not notices,
    )
    license: _License
    license_name: _LicenseName = None
    license_link: _LicenseLink = None
    base_model: _BaseModel = None

    adapters: ClassVar[tuple[Adapter, ...]] = ()  # none are merged into a GGUF file

    rules: ClassVar[tuple[Rule, ...]] = (
        *_LICENSE_RULES,
        Rule(
            "parts", lambda s: len(s.parts) == 1, "One part is the file itself.", "Name it with package, version and file, without parts."
        ),
        Rule(
            "file", lambda s: s.parts and "/" in s.file, "With parts, this is the name of the joined file, not a path.", "Write the name."
        ),
    )

    def faults(self) -> Iterator[Fault]:
        yield from super().faults()
        for position, part in enumerate(self.parts):
            if part in self.parts[:position]:
                yield Fault(("parts", position), "This part is named twice.", "Name each part once, in the order in which they are joined.")


class Local(Model):
    """A checkpoint directory or a GGUF file on this machine."""

    type: Literal["local"] = Field(description="A checkpoint directory or a GGUF file on this machine.")
    path: LocalPath = Field(
        description="Directory of a safetensors checkpoint, or a GGUF file: absolute, from the home (`~/`), or relative to the recipe."
    )
    license: _License
    license_name: _LicenseName = None
    license_link: _LicenseLink = None
    base_model: _BaseModel = None

    convert_pickles: _Pickles = False
    dequantize: _Dequantize = False
    adapters: _Adapters = ()

    rules: ClassVar[tuple[Rule, ...]] = (
        *_LICENSE_RULES,
        _LOCAL_GGUF_IS_DEQUANTIZED,
        Rule("adapters", lambda s: s.path.endswith(".gguf") and s.adapters, *_NO_GGUF_WITH_ADAPTERS),
        Rule("convert_pickles", lambda s: s.path.endswith(".gguf") and s.convert_pickles, *_GGUF_HAS_NO_PICKLES),
    )


Source = Annotated[HuggingFace | PyPI | Local, Field(discriminator="type")]
