"""Sign a package, and check the signature of one: what the environment requests, and where the signed copy is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from bakehouse.errors import FULL, Failure, disk_full
from bakehouse.executor import process
from bakehouse.executor.process import Children
from bakehouse.executor.session import Session
from bakehouse.package import release_policy
from bakehouse.package.file_names import SIGNATURE
from bakehouse.package.seams import (
    CheckSignature,
    Sign,
    SignatureRequest,
    SignatureResult,
    Signer,
    SigningCertificate,
    SigningKey,
    Sigstore,
    Trusted,
)
from bakehouse.records import FileRecord, Written
from bakehouse.steps.maker import Command, worker
from bakehouse.steps.step import Step
from bakehouse.store import clone, files

_FORMS = "key:FILE, certificate:KEY,CERTIFICATE[,CHAIN...] or sigstore"


class Signed(Written):
    """The record of a signed copy: the package's key, who signed, and the signature's file."""

    key: str
    by: str
    signature: FileRecord


def method(environ: Mapping[str, str] = os.environ) -> Signer:
    """How to sign, from PIPELINE_SIGN.

    Raises:
        Failure: it is not set, not in a known form, or names a file that does not exist.
    """
    chosen = environ.get("PIPELINE_SIGN", "")
    kind, _, rest = chosen.partition(":")
    paths = [Path(part).absolute() for part in rest.split(",") if part]
    if missing := [path for path in paths if not path.is_file()]:
        raise Failure(f"{missing[0]} does not exist.", where="PIPELINE_SIGN", remedy="Name the files of the key that signs.")
    match kind, len(paths):
        case "key", 1:
            return SigningKey(key=paths[0])
        case "certificate", count if count >= 2:
            return SigningCertificate(key=paths[0], certificate=paths[1], chain=tuple(paths[2:]))
        case "sigstore", 0:
            return Sigstore()
        case _:
            what = "It is not set, so how to sign is unknown." if not chosen else f"{kind}:… is not a valid way to sign."
            raise Failure(what, where="PIPELINE_SIGN", remedy=f"Set it to {_FORMS}.")


def wanted(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment requests that what is published be signed."""
    return bool(environ.get("PIPELINE_SIGN"))


def folder(name: str, session: Session) -> Path:
    """Where the signed copy of a package is: separate copies of its files, and the signature next to them."""
    return session.store.root / "signed" / name


def signature(package: Step, name: str, session: Session, environ: Mapping[str, str] = os.environ) -> FileRecord | None:
    """The record of the signature in the signed copy, if that copy is of the package as it is now (by size and time); else None.

    Raises:
        Failure: PIPELINE_SIGN is set to something invalid. If it is valid, a copy that was signed in another way does not count.
    """
    of_package, kept = session.store.record(package), _kept(name, session)
    if of_package is None or kept is None or kept.key != package.key:
        return None
    if wanted(environ) and kept.by != _signer(method(environ)):
        return None
    return None if files.faults(folder(name, session), (*of_package.files, kept.signature)) else kept.signature


def is_signed(package: Step, name: str, session: Session) -> bool:
    """Whether a signed copy of the package as it is now exists, signed as the environment requests."""
    return signature(package, name, session) is not None


def sign(package: Step, name: str, session: Session, environ: Mapping[str, str] = os.environ) -> Path:
    """Make the signed copy of a package, replacing an earlier one, and return its folder; store and package do not change.

    Every file is hashed before, and the new signature is recorded, so that another one in its place is noticed.

    Raises:
        Failure: the package did not pass validation or is damaged, PIPELINE_SIGN is not set, or the signer refused.
    """
    chosen = method(environ)
    _, parts = release_policy.proven(name, package, session)
    release_policy.check_bytes(name, session.store.files(package), parts)
    final = folder(name, session)
    with session.store.lock(f"signed-{name}", lambda: None):
        new = session.store.root / ".staging" / f"signed-{name}"
        shutil.rmtree(new, ignore_errors=True)
        _copy(package, name, session, new / "files")
        request = SignatureRequest(folder=new / "files", signature=new / SIGNATURE, work=Sign(by=chosen))
        command = worker("package.workers.model_signature", request=request, needs_network=isinstance(chosen, Sigstore))
        _run(replace(command, env=_secrets(chosen, environ)), new, session.children, f"signing {name}")
        (new / SIGNATURE).rename(new / "files" / SIGNATURE)
        (made,) = files.records_of(new / "files", [new / "files" / SIGNATURE])
        files.remove(final)
        files.move(new / "files", final)
        signed = Signed(key=package.key, by=_signer(chosen), signature=made)
        files.write(_record(name, session), signed.model_dump_json(indent=2) + "\n")
        files.remove(new)
    return final


def _copy(package: Step, name: str, session: Session, to: Path) -> None:
    """Copy the files of a package: onnx 1.23.2 refuses weights that have two names, and an edit must not reach the store.

    Raises:
        Failure: the disk is full, or a file in the store has changed.
    """
    record = session.store.record(package)
    try:
        wrong = clone.tree(session.store.files(package), to, record.files if record else ())
    except OSError as error:
        if error.errno not in FULL:
            raise
        written = files.size_bytes(to)
        files.remove(to)
        raise disk_full(written, session.store.free_bytes(), f"signed/{name}") from error
    if wrong:
        files.remove(to)
        raise Failure(
            f"{wrong} in the store has changed.",
            where=f"package of {name}",
            remedy=f"Run `bakehouse check {name}`, which names the repair.",
        )


def _record(name: str, session: Session) -> Path:
    return session.store.root / "signatures" / name / "signed.json"


def _kept(name: str, session: Session) -> Signed | None:
    try:
        return Signed.model_validate_json(_record(name, session).read_bytes())
    except (OSError, ValidationError):
        return None


def _signer(chosen: Signer) -> str:
    """What signs, in few words that tell no secret: the method, and the hash of the certificates or of the key's file."""
    match chosen:
        case SigningCertificate(certificate=named) | SigningKey(key=named):
            return f"{chosen.method} {files.sha256(named)}"
        case Sigstore():
            return chosen.method


def _secrets(chosen: Signer, environ: Mapping[str, str]) -> dict[str, str]:
    """What the signer alone may know: the key's password, or what a CI job proves its identity with."""
    if isinstance(chosen, Sigstore):
        return {name: value for name, value in environ.items() if name.startswith("ACTIONS_ID_TOKEN_REQUEST_")}
    password = environ.get("PIPELINE_SIGN_PASSWORD")
    return {"BAKEHOUSE_KEY_PASSWORD": password} if password else {}


def check(package: Path, trusted: Trusted, scratch: Path, children: Children) -> str:
    """Compare a package with the signature in it; "" if it holds, else why that could not be found out, and what to do.

    Args:
        trusted: by whom the signature must be.

    Raises:
        Failure: they do not agree; with the reason that the verifier gives.
    """
    request = SignatureRequest(folder=package, signature=package / SIGNATURE, work=CheckSignature(by=trusted))
    command = worker("package.workers.model_signature", request=request, needs_network=trusted.method == "sigstore")
    return _run(command, scratch, children, "").not_checked or ""


def _run(command: Command, folder: Path, children: Children, where: str) -> SignatureResult:
    folder.mkdir(parents=True, exist_ok=True)
    log, scratch = folder / "log.txt", folder / "scratch"
    try:
        done = process.run(command, children=children, log=log, scratch=scratch, on_progress=lambda _: None)
        return done.report.read(SignatureResult)
    except Failure as failure:
        raise Failure(failure.what, where=where, remedy=failure.remedy, details=failure.details) from failure
