"""The kinds of text in a recipe (a commit, a path, a name), each with an error in a sentence."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from bakehouse.recipe import spdx
from bakehouse.text import printable as printable

OTHER_LICENCE = "other"  # the hub's word for a licence that has a name and a link instead of an identifier
LONGEST_NAME = 80  # of a build's full name, which is a folder, a doit task and the beginning of file names
NAME_PATTERN = r"^[a-z0-9]([a-z0-9._-]*[a-z0-9_-])?$"  # for editors; it allows names of Windows devices
_RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"com{n}" for n in range(10)), *(f"lpt{n}" for n in range(10))})


def refusal(reason: str, remedy: str = "") -> PydanticCustomError:
    """An error of a recipe: what is wrong, and what to do (the field's description if empty)."""
    return PydanticCustomError("refused", "{reason}", {"reason": reason, "remedy": remedy})


def quoted(value: str, longest: int = 60) -> str:
    """`value` between backticks as it may be shown on any terminal: escapes written out, cut when long."""
    shown = printable(value)
    return f"`{shown if len(shown) <= longest else shown[: longest - 3] + '...'}`"


def device_name(name: str) -> bool:
    """Whether Windows takes a file of this name for a device ("nul", "com1.txt")."""
    return name.split(".")[0].strip().lower() in _RESERVED


def _matching(pattern: str, reason: str, remedy: str) -> Callable[[str], str]:
    """A check that refuses a text of which the regular expression does not match the whole."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise refusal(f"{quoted(value)} {reason}", remedy)
        return value

    return check


def _text(value: str) -> str:
    if not value.strip():
        raise refusal("The text is empty.")
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]", value):
        raise refusal(f"The text {quoted(value)} has a control character.", "Leave it out: it can change what a terminal shows.")
    return value


def _line(value: str) -> str:
    if "\n" in _text(value):
        raise refusal("The text must be one line.", "Write it without line breaks; a block that starts with `>-` is joined to one line.")
    return value


def may_be_named(value: str) -> bool:
    """Whether a recipe or a build may have this name."""
    try:
        return bool(_name(value))
    except PydanticCustomError:
        return False


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", value):
        raise refusal(
            f"{quoted(value)} cannot be a name.",
            "Use lower-case letters, digits, `.`, `_` and `-`, starting with a letter or a digit: it becomes a task and a folder.",
        )
    if value.endswith("."):
        raise refusal(f"{quoted(value)} ends with a dot, and Windows removes a folder's last dot.", "Leave the dot out.")
    if device_name(value):
        raise refusal(f"{quoted(value)} is a device on Windows and cannot be a folder.", "Choose another name.")
    return value


def _repo(value: str) -> str:
    if not is_repository(value):
        raise refusal(f"{quoted(value)} is not a valid repository name.", "Write owner/name, as in microsoft/Phi-3-mini-4k-instruct.")
    return value


PLACEHOLDERS = ("org", "recipe", "build", "name")


def is_repository(value: str) -> bool:
    """Whether the hub takes it as the name of a repository, owner/name."""
    # The hub's own rules, huggingface_hub/utils/_validators.py, validate_repo_id.
    part = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?"
    good = re.fullmatch(f"{part}/{part}", value) and "--" not in value and ".." not in value
    return bool(good) and not value.endswith(".git") and len(value) <= 96


def _repo_pattern(value: str) -> str:
    for found in re.findall(r"\{[^{}]*\}", value):
        if found[1:-1] not in PLACEHOLDERS:
            raise refusal(
                f"{quoted(found)} is not a valid placeholder.",
                "Use `{org}`, `{recipe}`, `{build}` or `{name}` (recipe-build); nothing else is expanded.",
            )
    if not is_repository(re.sub(r"\{[^{}]*\}", "x", value)):
        raise refusal(f"{quoted(value)} is not a valid repository name.", "Write owner/name, as in owner/tiny-{build}.")
    return value


def _organization(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?", value) or "--" in value:
        raise refusal(f"{quoted(value)} is not a valid account or organization name.", "Write the first part of its address.")
    return value


def _ref(value: str) -> str:
    # git's own rules (git check-ref-format) are wider; a name within these is a good branch, tag and address.
    good = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*", value)
    if not good or ".." in value or value.endswith((".", ".lock")) or value.startswith("refs/") or re.fullmatch(r"[0-9a-f]{40}", value):
        raise refusal(f"{quoted(value)} cannot be the name of a branch or a tag.", "Write one as in main, v1.0 or nightly/int4.")
    return value


def _card_tag(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._:+-]*", value) or value != value.strip():
        raise refusal(f"{quoted(value)} cannot be a tag of a model card.", "Write one as in conversational or low-memory.")
    return value


def _commit(value: str) -> str:
    remedy = "Write all 40 digits of the commit, as the repository's history on the hub shows them."
    if re.fullmatch(r"[0-9a-f]{40}", value):
        return value
    if re.fullmatch(r"[0-9A-Fa-f]{40}", value):
        raise refusal("A commit must be in lower-case.", f"Write {value.lower()}.")
    if re.fullmatch(r"[0-9A-Fa-f]{5,}", value):
        size = len(value)
        kind = "a short commit, which can become ambiguous" if size < 40 else "too long for a commit"
        raise refusal(f"{quoted(value)} has {size} digits: it is {kind}.", remedy)
    raise refusal(f"{quoted(value)} is the name of a branch or a tag, which can move to another commit.", remedy)


_sha256 = _matching(
    r"[0-9a-f]{64}", "is not a valid sha256.", "Write its 64 hexadecimal digits in lower-case, as `sha256sum FILE` prints them."
)


def _licence(value: str) -> str:
    if not spdx.is_expression(value):
        raise refusal(
            f"{quoted(value)} is not a valid SPDX identifier.",
            "Write one as in MIT or Apache-2.0, or LicenseRef-NAME for a licence that is not on the list.",
        )
    if wrong := spdx.unknown(value):
        near = spdx.nearest(wrong[0])
        own = f"For one that is not on the list write LicenseRef-{wrong[0]}, or for a source `other` with license_name and license_link."
        raise refusal(f"{quoted(wrong[0])} is not on the SPDX licence list.", f"Did you mean {near}? {own}" if near else own)
    return value


def _source_licence(value: str) -> str:
    return value if value == OTHER_LICENCE else _licence(value)


_link = _matching(
    r"https?://[^\s<>\"'`()\[\]]+|[A-Za-z0-9][A-Za-z0-9._-]*",
    "is not a valid link.",
    "Write an address with https://, or the name of a file of the source such as LICENSE.",
)


def _distribution(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", value):
        raise refusal(f"{quoted(value)} cannot be the name of a distribution.", "Write the name alone: no version, no extra, no address.")
    normal = re.sub(r"[-_.]+", "-", value).lower()
    if value != normal:
        raise refusal(f"{quoted(value)} is not the distribution's normal name.", f"Write {normal}.")
    return value


_version = _matching(  # the normal forms of PEP 440, without ranges
    r"(\d+!)?\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?(\+[a-z0-9]+(\.[a-z0-9]+)*)?",
    "is not one exact version.",
    "Write one release, as in 0.1.2: a range could choose another one later.",
)


def _path(value: str) -> str:
    parts = value.split("/")
    outside = {
        "is absolute": value.startswith("/") or re.match(r"[A-Za-z]:", value),
        "has a backslash": "\\" in value,
        "leads out of its folder": ".." in parts,
        "starts with `~`": value.startswith("~"),
    }
    _refuse_path(value, outside | _strange(parts), "Write a path such as models/tiny, with forward slashes, that stays inside its folder.")
    return value


def _local_path(value: str) -> str:
    return local_path(value, windows=os.name == "nt")


def local_path(value: str, *, windows: bool) -> str:
    """A path as the plan has it, with forward slashes; on Windows an absolute one may be written as Windows does, `C:\\models\\tiny`.

    Raises:
        PydanticCustomError: it is not a path that a recipe may have.
    """
    written = value
    if windows and re.match(r"[A-Za-z]:\\|\\\\[^\\]", value):
        value = value.replace("\\", "/")
    parts = re.sub(r"^(//|~?/|[A-Za-z]:/)" if windows else r"^(~?/|[A-Za-z]:/)", "", value).split("/")
    while parts[0] == ".." and len(parts) > 1:
        parts = parts[1:]
    faults = {
        "is one of Windows, and this is another system": re.match(r"[A-Za-z]:[/\\]", value) and not windows,
        "has a backslash": "\\" in value,
        "has `..` after its beginning": ".." in parts,
        "starts with `~` and not with `~/`": re.match(r"~(?!/)", value),
    }
    absolute = r"C:\models\tiny, and a relative one" if windows else "/models/tiny,"
    remedy = f"Write a path such as models/tiny, ../tiny, ~/models/tiny or {absolute} with forward slashes."
    _refuse_path(written, faults | _strange(parts), remedy)
    return value


def is_local_path(part: Mapping[str, object], name: str) -> bool:
    """Whether a field of a part of a recipe, written out, names a file or folder of this machine."""
    local = (name == "path" and part.get("type") in ("local", "file")) or name in ("audio", "picture")
    return local and isinstance(part[name], str)


def portable(path: str) -> str:
    """What a package says of a local path: the path if it stays in the recipe's folder, else its last part."""
    return path.rpartition("/")[2] if path.startswith(("/", "~/", "../")) or re.match(r"[A-Za-z]:/", path) else path


def _strange(parts: list[str]) -> dict[str, object]:
    """What is wrong with parts of a path on some system: the fault, and whether it is there."""
    value = "/".join(parts)
    return {
        "names a variable, and nothing is expanded in a recipe": "$" in value or re.search(r"%\w+%", value),
        "has a character that file systems do not take": re.search(r'[<>:"|?*\x00-\x1f\x7f]', value),
        "has an empty part, or one that is `.`": any(part in ("", ".") for part in parts),
        "has a part that ends with a dot or a space": any(part.endswith((".", " ")) for part in parts),
        "has a part that is a device on Windows": any(device_name(part) for part in parts),
    }


def _refuse_path(value: str, faults: Mapping[str, object], remedy: str) -> None:
    for what, found in faults.items():
        if found:
            raise refusal(f"The path {quoted(value)} {what}.", remedy)


def ends_with(suffix: str, reason: str) -> AfterValidator:
    """Refuse paths that do not end with `suffix`, for this reason."""

    def check(value: str) -> str:
        if not value.endswith(suffix):
            raise refusal(f"{quoted(value)} does not end with {suffix}.", reason)
        return value

    return AfterValidator(check)


def _expression(value: str) -> str:
    try:
        re.compile(_text(value))
    except (re.error, OverflowError, RecursionError) as error:
        raise refusal(f"The regular expression does not compile: {error}.") from None
    return value


def _kind(check: Callable[[str], str], pattern: str) -> tuple[AfterValidator, WithJsonSchema]:
    return AfterValidator(check), WithJsonSchema({"type": "string", "pattern": pattern})


Text = Annotated[str, *_kind(_text, r"\S")]
Line = Annotated[str, *_kind(_line, r"^[^\n]*\S[^\n]*$")]
Name = Annotated[str, *_kind(_name, NAME_PATTERN)]
Repo = Annotated[str, *_kind(_repo, r"^[A-Za-z0-9_][A-Za-z0-9._-]*/[A-Za-z0-9_][A-Za-z0-9._-]*$")]
Commit = Annotated[str, *_kind(_commit, r"^[0-9a-f]{40}$")]
Sha256 = Annotated[str, *_kind(_sha256, r"^[0-9a-f]{64}$")]
RepoPattern = Annotated[str, *_kind(_repo_pattern, r"^[A-Za-z0-9_{][A-Za-z0-9._{}-]*/[A-Za-z0-9_{][A-Za-z0-9._{}-]*$")]
Organization = Annotated[str, *_kind(_organization, r"^[A-Za-z0-9][A-Za-z0-9-]*$")]
Ref = Annotated[str, *_kind(_ref, r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")]
CardTag = Annotated[str, *_kind(_card_tag, r"^[A-Za-z0-9][A-Za-z0-9 ._:+-]*$")]
Licence = Annotated[str, *_kind(_licence, r"^[A-Za-z0-9][A-Za-z0-9 .+-]*$")]
SourceLicence = Annotated[str, *_kind(_source_licence, r"^[A-Za-z0-9][A-Za-z0-9 .+-]*$")]
LicenceLink = Annotated[str, *_kind(_link, r"^\S+$")]
DistributionName = Annotated[str, *_kind(_distribution, r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Version = Annotated[str, *_kind(_version, r"^(\d+!)?\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?(\+[a-z0-9.]+)?$")]
RelativePath = Annotated[str, *_kind(_path, r"^[^/\\$~][^\\$]*$")]
# Where a recipe's own user has files. Whether it may lead out of the recipe's folder, is decided where it is resolved (sources.local).
LocalPath = Annotated[str, *_kind(_local_path, r"^([^\\$]*|([A-Za-z]:\\|\\\\)[^$]*)[^/\\$]$")]
GgufPath = Annotated[RelativePath, ends_with(".gguf", "Only GGUF files can be imported from there.")]
PythonPath = Annotated[RelativePath, ends_with(".py", "Only Python files can run as remote code.")]
Expression = Annotated[str, *_kind(_expression, r"\S")]
