"""Signs a model folder, or checks its signature, with OpenSSF model signing.

    python -m bakehouse.package.workers.model_signature sign|verify FOLDER SIGNATURE JSON

JSON is `{"method": "key", "key": PATH}`, `{"method": "certificate", "key": PATH, "certificate": PATH, "chain": [PATH, ...]}` or
`{"method": "sigstore"}` to sign; to verify, the key is the public one, a certificate needs its chain only, and sigstore takes
`identity` and `issuer`. A private key's password is in BAKEHOUSE_KEY_PASSWORD.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any, NoReturn

from bakehouse.child import events, leash
from bakehouse.package.file_names import SIGNATURE


def main() -> None:
    """Sign or verify; a signature that does not hold is refused in words."""
    leash.hold()
    verb, folder, signature, asked = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4])
    try:
        # each of them imports libraries of its own, of which one may be missing
        from model_signing import hashing, signing, verifying  # noqa: F401
    except ImportError as error:
        what = f"model-signing is not installed ({error})."
        _unable(verb, what, "Install the extra `sign` of Bakehouse: pip install --constraint constraints.txt -e '.[sign]'.")
    events.progress("signing" if verb == "sign" else "checking the signature")
    try:
        (_sign if verb == "sign" else _verify)(folder, signature, asked)
    # Each signer and its libraries (cryptography, OpenSSL, sigstore, requests) raise kinds of their own; all of them mean no.
    except Exception as error:
        if verb == "verify" and (isinstance(error, OSError) or type(error).__name__ == "TUFError"):  # sigstore's roots come by the network
            _unable(verb, f"The signature could not be checked: {_text(error)[:400]}.", "Look at what stops it, and check again.")
        _refuse(verb, error)
    events.result(method=asked["method"])


def _unable(verb: str, what: str, remedy: str) -> NoReturn:
    """End without a verdict: of a signature that is there, that is not the same as one that does not hold."""
    if verb == "sign":
        events.refuse(what, remedy)
    events.result(not_checked=f"{what} {remedy}")
    raise SystemExit(0)


def _text(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _refuse(verb: str, error: Exception) -> None:
    why = _text(error)
    if changed := re.findall(r"Hash mismatch for \\?'(.+?)\\?': Expected", why):
        why = f"changed since it was signed: {', '.join(changed)}"
    if verb == "sign":
        events.refuse(f"It could not be signed: {why[:400]}.", "Look at the key and at PIPELINE_SIGN.")
    events.refuse(f"The signature does not hold: {why[:400]}.", "Get the package anew, and the public key from where you trust it.")


def _hashing(ignored: list[str]) -> Any:
    from model_signing import hashing

    return hashing.Config().use_file_serialization().set_ignored_paths(paths=[SIGNATURE, *ignored])


def _sign(folder: Path, signature: Path, asked: dict[str, Any]) -> None:
    from model_signing import signing

    config = signing.Config().set_hashing_config(_hashing([]))
    match asked["method"]:
        case "key":
            config.use_elliptic_key_signer(private_key=asked["key"], password=_password())
        case "certificate":
            config.use_certificate_signer(
                private_key=asked["key"], signing_certificate=asked["certificate"], certificate_chain=asked["chain"]
            )
        case "sigstore":
            config.use_sigstore_signer(use_ambient_credentials=True)
    config.sign(folder, signature)


def _password() -> Any:
    # model-signing 1.1.1 declares a str and hands it to cryptography, which takes bytes.
    return os.environ.get("BAKEHOUSE_KEY_PASSWORD", "").encode() or None


def _verify(folder: Path, signature: Path, asked: dict[str, Any]) -> None:
    from model_signing import verifying

    config = verifying.Config().set_hashing_config(_hashing([".cache/huggingface"]))
    match asked["method"]:
        case "key":
            config.use_elliptic_key_verifier(public_key=asked["key"])
        case "certificate":
            config.use_certificate_verifier(certificate_chain=asked["chain"])
        case "sigstore":
            config.use_sigstore_verifier(identity=asked["identity"], oidc_issuer=asked["issuer"])
    config.verify(folder, signature)


if __name__ == "__main__":
    main()
