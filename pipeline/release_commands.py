"""doit commands for what leaves the machine and what comes from elsewhere: verify a package, rebuild, release, matrix."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from pipeline import commands, inspection, signing
from pipeline.errors import Failure
from pipeline.process import Children
from pipeline.progress import size_text


def _option(name: str, text: str, kind: type = str, default: Any = "") -> dict[str, Any]:
    return {"name": name.replace("-", "_"), "long": name, "type": kind, "default": default, "help": text}


class Verify(commands.Verify):
    """`doit verify [NAME...]`, and `doit verify --package DIR` for a package that came from elsewhere."""

    doc_purpose = "hash everything in the store and the packages again, or check a package from elsewhere"
    doc_usage = "[NAME ...] | --package DIR [--key PUBLIC_KEY]"
    cmd_options = (
        _option("package", "a folder with a package; needs no store and no recipes"),
        _option("key", "its signature must be of this public key (PEM)"),
        _option("certificate", "its signature must be of a certificate under these, comma between (PEM)"),
        _option("identity", "its signature must be sigstore's for this identity"),
        _option("issuer", "whoever vouches for the identity", default="https://token.actions.githubusercontent.com"),
    )

    def _do(self, params: Any, args: list[str]) -> int:
        if not params["package"]:
            return super()._do(params, args)
        found = inspection.inspect(Path(params["package"]))
        faults = [*found.faults, *_signature(found, params)]
        for name in found.beside:
            print(f"aside    {name}: left by a hub's client, no part of the package")
        for fault in faults:
            print(f"damaged  {fault}")
        if found.signed and not _asked(params):
            print("signed   but not checked: say by whom with --key, --certificate or --identity")
        print(f"{found.name}: {found.files} files, {size_text(found.size_bytes)} hashed: {len(faults) or 'nothing'} wrong")
        return 1 if faults else 0


def _asked(params: Any) -> dict[str, Any]:
    """What signature is asked for; {} for none."""
    if params["key"]:
        return {"method": "key", "key": str(Path(params["key"]).absolute())}
    if params["certificate"]:
        return {"method": "certificate", "chain": [str(Path(part).absolute()) for part in params["certificate"].split(",")]}
    if params["identity"]:
        return {"method": "sigstore", "identity": params["identity"], "issuer": params["issuer"]}
    return {}


def _signature(found: inspection.Inspection, params: Any) -> list[str]:
    asked = _asked(params)
    if not asked:
        return []
    if not found.signed:
        return [f"{inspection.SIGNATURE}: missing, so nothing says who made this"]
    with tempfile.TemporaryDirectory() as scratch:
        try:
            signing.check(Path(params["package"]).absolute(), asked, Path(scratch), Children())
        except Failure as failure:
            return [f"{inspection.SIGNATURE}: {failure.what}"]
    print(f"signed   by {params['key'] or params['certificate'] or params['identity']}")
    return []
