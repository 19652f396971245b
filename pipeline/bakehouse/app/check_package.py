"""Check a package that came from elsewhere and say what was found: what `doit check --package` and `bakehouse check` have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bakehouse.deliver import inspect as delivered
from bakehouse.errors import Failure
from bakehouse.package import inspect as inspection
from bakehouse.package.file_names import SIGNATURE
from bakehouse.package.seams import PublicKey, SigstoreIdentity, Trusted, TrustedChain
from bakehouse.recipe.types import printable
from bakehouse.text import count_text, size_text

# The options of either command, and what they ask.
OPTIONS = {
    "key": "its signature must be of this public key (PEM)",
    "certificate": "its signature must be of a certificate under these, comma between (PEM)",
    "identity": "its signature must be sigstore's for this identity",
    "issuer": "who issued the identity (default: GitHub Actions)",
}
_CACHE = ".cache/huggingface/"
_ISSUER = "https://token.actions.githubusercontent.com"


@dataclass(frozen=True)
class Signer:
    """By whom a package must be signed: in the words of whoever asks, and as `signing.check` takes it."""

    named: str
    trusted: Trusted


def signer(options: Mapping[str, str | None]) -> Signer | None:
    """By whom the package must be signed, from `OPTIONS`; None if that is not requested.

    Raises:
        Failure: an option is empty, would be ignored, or names a file that is not there.
    """
    given = {name: options[name] for name in OPTIONS if options[name] is not None}
    if empty := [name for name, value in given.items() if not value]:
        raise Failure(f"--{empty[0]} is empty, so nothing would be checked", remedy="say by whom the package must be signed")
    if "issuer" in given and "identity" not in given:
        raise Failure("--issuer is about an identity, and none is named", remedy="add --identity")
    issuer = given.pop("issuer", None) or _ISSUER
    if len(given) > 1:
        names = " and ".join(f"--{name}" for name in given)
        raise Failure(f"{names}: a package has one signature, of one kind", remedy="give one of them")
    match given:
        case {"key": str(path)}:
            return Signer(path, PublicKey(key=_file("key", path)))
        case {"certificate": str(paths)}:
            return Signer(paths, TrustedChain(chain=tuple(_file("certificate", path) for path in paths.split(","))))
        case {"identity": str(identity)}:
            return Signer(identity, SigstoreIdentity(identity=identity, issuer=issuer))
        case _:
            return None


def _file(option: str, path: str) -> Path:
    if not Path(path).is_file():
        raise Failure(f"there is no file {path}", where=f"--{option}", remedy="name the PEM file, from where you trust it")
    return Path(path).absolute()


@dataclass(frozen=True)
class Checked:
    """What a check found: of the files, and of the signature; `unknown` is why that could not be checked, "" if it could."""

    inspection: inspection.Inspection
    faults: tuple[str, ...]
    signature: Literal["none", "present", "good", "bad", "unknown"]
    unknown: str = ""

    @property
    def code(self) -> int:
        """The exit code: 0 if nothing is wrong, 1 if something is, 3 if that cannot be said because the signature could not be checked."""
        return 1 if self.faults else 3 if self.unknown else 0


def look(folder: Path, by: Signer | None) -> Checked:
    """Compare a package with everything that travels with it and, if requested, with its signature.

    Raises:
        Failure: the folder is not a package.
    """
    found = delivered.inspect(folder) if delivered.is_delivered(folder) else inspection.inspect(folder)
    if not by:
        return Checked(found, found.faults, "present" if found.signed else "none")
    unsigned, unknown = _signature(folder, found, by)
    faults = (*found.faults, *([unsigned] if unsigned else []))
    if unknown:
        return Checked(found, faults, "unknown", unknown)
    return Checked(found, faults, "bad" if any(fault.startswith(f"{SIGNATURE}: ") for fault in faults) else "good")


def check(folder: Path, by: Signer | None, say: Callable[[str], None], *, as_json: bool = False) -> int:
    """Say what a check of a package found, in lines or as one JSON document.

    Returns:
        The exit code: 0 if nothing is wrong, 1 if something is, 3 if that cannot be said because the signature could not be checked.

    Raises:
        Failure: the folder is not a package.
    """
    checked = look(folder, by)
    if as_json:
        from bakehouse.app import documents, to_json

        say(documents.text(to_json.checked_package(checked)))
        return checked.code
    found, faults, unknown = checked.inspection, checked.faults, checked.unknown
    for name in _folded(found.extra):
        say(f"aside    {name}: left by a hub's client or by git, no part of the package")
    for fault in faults:
        say(f"damaged  {fault}")
    if found.newer:
        say("newer    made by a later Bakehouse: its files are compared with its lists, and what this version does not know is not checked")
    if found.profile:
        say(f"package  {found.name}, delivered: {found.profile}; a signature is the package's, and none of this folder")
    if unknown:
        say(f"unknown  {unknown}")
    elif by and checked.signature == "good":
        say(f"signed   by {printable(by.named)}")
    if found.signed and not by:
        say("signed   but not checked: say by whom with --key, --certificate or --identity")
    unchecked = "; its signature was not checked" if unknown else ""
    say(f"{found.name}: {found.files} files, {size_text(found.size_bytes)} hashed: {len(faults) or 'nothing'} wrong{unchecked}")
    return checked.code


def _folded(names: Iterable[str]) -> list[str]:
    """The names with one for all files of a hub's client: it leaves two for each that it has fetched."""
    names = list(names)
    cached = [name for name in names if name.startswith(_CACHE)]
    others = [name for name in names if not name.startswith(_CACHE)]
    return [*([f"{_CACHE} ({count_text(len(cached), 'file')})"] if cached else []), *others]


def _signature(folder: Path, found: inspection.Inspection, by: Signer) -> tuple[str, str]:
    """What is wrong with the signature, and why it could not be checked; "" each if there is nothing to say."""
    if not found.signed:
        return f"{SIGNATURE}: missing, so nothing says who made this", ""
    # here, because most checks ask for no signature and then start no process
    import tempfile

    from bakehouse.executor.process import Children
    from bakehouse.package import signing

    with tempfile.TemporaryDirectory() as scratch:
        try:
            why = signing.check(folder.absolute(), by.trusted, Path(scratch), Children())
        except Failure as failure:
            return printable(f"{SIGNATURE}: {failure.what}"), ""
    return "", printable(f"{SIGNATURE}: not checked: {why}") if why else ""
