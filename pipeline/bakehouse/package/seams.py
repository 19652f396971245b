"""What the worker that signs packages and checks signatures gets and leaves. Passwords and tokens are in its environment, never here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from bakehouse.steps.seam import Request, Result


class SigningKey(Request):
    """Signs with a private key (PEM)."""

    method: Literal["key"] = "key"
    key: Path


class SigningCertificate(Request):
    """Signs with the private key of a certificate; `chain` are the certificates above it, all PEM."""

    method: Literal["certificate"] = "certificate"
    key: Path
    certificate: Path
    chain: tuple[Path, ...] = ()


class Sigstore(Request):
    """Signs with the identity that sigstore finds in the environment of a CI job."""

    method: Literal["sigstore"] = "sigstore"


class PublicKey(Request):
    """The signature must be of this public key (PEM)."""

    method: Literal["key"] = "key"
    key: Path


class TrustedChain(Request):
    """The signature must be of a certificate under these (PEM)."""

    method: Literal["certificate"] = "certificate"
    chain: tuple[Path, ...]


class SigstoreIdentity(Request):
    """The signature must be sigstore's for this identity, for which `issuer` (a URL) vouches."""

    method: Literal["sigstore"] = "sigstore"
    identity: str
    issuer: str


Signer = SigningKey | SigningCertificate | Sigstore
Trusted = PublicKey | TrustedChain | SigstoreIdentity


class Sign(Request):
    """Write the signature."""

    verb: Literal["sign"] = "sign"
    by: Annotated[Signer, Field(discriminator="method")]


class CheckSignature(Request):
    """Compare the signature with the package."""

    verb: Literal["verify"] = "verify"
    by: Annotated[Trusted, Field(discriminator="method")]


class SignatureRequest(Request):
    """What `model_signature` does with the model in `folder` and the file `signature`."""

    folder: Path
    signature: Path
    work: Annotated[Sign | CheckSignature, Field(discriminator="verb")]


class SignatureResult(Result):
    """Why the signature could not be checked, and what to do; None if it was checked, or written."""

    not_checked: str | None = None
