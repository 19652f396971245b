"""Certificates for the machines of one cluster, made once and copied to all of them."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bakehouse.cluster.connection import CA, MEMBER, MEMBER_KEY
from bakehouse.errors import Failure

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, CertificateBuilder, Name

DAYS = 365


def write(folder: Path) -> datetime:
    """Write an authority's certificate, a member's that it signed, and the member's key; until when they are valid.

    The authority's own key is thrown away: nobody can add a member that has not got these files, and new ones replace them all.

    Raises:
        Failure: there are some already.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    if there := [name for name in (CA, MEMBER, MEMBER_KEY) if (folder / name).exists()]:
        raise Failure(f"{folder} has {', '.join(there)} already", remedy="name another folder, or remove these files first")
    until = datetime.now(UTC) + timedelta(days=DAYS)
    authority_key, member_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = _authority(authority_key, until)
    member = _member(member_key, authority, authority_key, until)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CA).write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    (folder / MEMBER).write_bytes(member.public_bytes(serialization.Encoding.PEM))
    private = member_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with os.fdopen(os.open(folder / MEMBER_KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(private)
    return until


def _authority(key: EllipticCurvePrivateKey, until: datetime) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    name = _name("Bakehouse cluster")
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    built = _builder(name, name, key, until).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    known = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return built.add_extension(usage, critical=True).add_extension(known, critical=False).sign(key, hashes.SHA256())


def _member(key: EllipticCurvePrivateKey, authority: Certificate, signer: EllipticCurvePrivateKey, until: datetime) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    uses = x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH, x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH])
    by = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    built = _builder(_name("Bakehouse cluster member"), authority.subject, key, until)
    built = built.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    return built.add_extension(uses, critical=False).add_extension(by, critical=False).sign(signer, hashes.SHA256())


def _name(text: str) -> Name:
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, text)])


def _builder(subject: Name, issuer: Name, key: EllipticCurvePrivateKey, until: datetime) -> CertificateBuilder:
    from cryptography import x509

    begins = datetime.now(UTC) - timedelta(minutes=5)  # clocks of machines differ
    built = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    return built.serial_number(x509.random_serial_number()).not_valid_before(begins).not_valid_after(until)
