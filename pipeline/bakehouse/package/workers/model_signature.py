"""Signs a model folder, or checks its signature, with OpenSSF model signing. A private key's password is in BAKEHOUSE_KEY_PASSWORD."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from bakehouse.child import events, start
from bakehouse.package.file_names import SIGNATURE
from bakehouse.package.seams import (
    CheckSignature,
    PublicKey,
    Sign,
    SignatureRequest,
    SignatureResult,
    SigningCertificate,
    SigningKey,
    Sigstore,
    SigstoreIdentity,
    TrustedChain,
)


def run(request: SignatureRequest) -> SignatureResult:
    """Sign or verify; a signature that does not hold is refused in words."""
    verb, folder, signature = request.work.verb, request.folder, request.signature
    try:
        # each of them imports libraries of its own, of which one may be missing
        from model_signing import hashing, signing, verifying  # noqa: F401
    except ImportError as error:
        what = f"model-signing is not installed ({error})."
        return _unable(verb, what, "`pip install 'bakehouse[sign]'` brings what signs.")
    events.progress("signing" if verb == "sign" else "checking the signature")
    try:
        _sign(folder, signature, request.work) if isinstance(request.work, Sign) else _verify(folder, signature, request.work)
    # Each signer and its libraries (cryptography, OpenSSL, sigstore, requests) raise kinds of their own; all of them mean no.
    except Exception as error:
        if verb == "verify" and (isinstance(error, OSError) or type(error).__name__ == "TUFError"):  # sigstore's roots come by the network
            return _unable(verb, f"The signature could not be checked: {_text(error)[:400]}.", "Look at what stops it, and check again.")
        _refuse(verb, error)
    return SignatureResult()


def _unable(verb: str, what: str, remedy: str) -> SignatureResult:
    """The end without a verdict, which of a present signature is not the same as one that does not hold."""
    if verb == "sign":
        events.refuse(what, remedy)
    return SignatureResult(not_checked=f"{what} {remedy}")


def _text(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _refuse(verb: str, error: Exception) -> None:
    why = _text(error)
    if changed := re.findall(r"Hash mismatch for \\?'(.+?)\\?': Expected", why):
        why = f"changed since it was signed: {', '.join(changed)}"
    if verb == "sign":
        events.refuse(f"The package could not be signed: {why[:400]}.", "Check the key and PIPELINE_SIGN.")
    events.refuse(f"The signature does not match: {why[:400]}.", "Get the package again, and the public key from a place that you trust.")


def _hashing(ignored: list[str]) -> Any:
    from model_signing import hashing

    return hashing.Config().use_file_serialization().set_ignored_paths(paths=[SIGNATURE, *ignored])


def _sign(folder: Path, signature: Path, work: Sign) -> None:
    from model_signing import signing

    config = signing.Config().set_hashing_config(_hashing([]))
    match work.by:
        case SigningKey(key=key):
            config.use_elliptic_key_signer(private_key=str(key), password=_password())
        case SigningCertificate(key=key, certificate=certificate, chain=chain):
            config.use_certificate_signer(
                private_key=str(key), signing_certificate=str(certificate), certificate_chain=[str(path) for path in chain]
            )
        case Sigstore():
            config.use_sigstore_signer(use_ambient_credentials=True)
    config.sign(folder, signature)


def _password() -> Any:
    # model-signing 1.1.1 declares a str and hands it to cryptography, which takes bytes.
    return os.environ.get("BAKEHOUSE_KEY_PASSWORD", "").encode() or None


def _verify(folder: Path, signature: Path, work: CheckSignature) -> None:
    from model_signing import verifying

    config = verifying.Config().set_hashing_config(_hashing([".cache/huggingface"]))
    match work.by:
        case PublicKey(key=key):
            config.use_elliptic_key_verifier(public_key=str(key))
        case TrustedChain(chain=chain):
            config.use_certificate_verifier(certificate_chain=[str(path) for path in chain])
        case SigstoreIdentity(identity=identity, issuer=issuer):
            config.use_sigstore_verifier(identity=identity, oidc_issuer=issuer)
    config.verify(folder, signature)


if __name__ == "__main__":
    start.run(run, SignatureRequest, online=True)
