"""Signatures by OpenSSF model signing: by key and by certificate; a forged, changed or foreign package does not pass."""

from __future__ import annotations

import datetime
import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bakehouse.errors import Failure
from bakehouse.executor import making
from bakehouse.executor.making import Made
from bakehouse.executor.session import Session
from bakehouse.package import signing
from bakehouse.package.seams import PublicKey
from bakehouse.steps.maker import Verification
from bakehouse.steps.step import Step
from bakehouse.store.store import Store
from tests.package.test_card import manifest
from tests.support.bench import command
from tests.support.fakes import FakeSpec
from tests.support.keys import key_pair
from tests.support.packed import pack

pytestmark = pytest.mark.needs_backend("openvino")


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(Store(tmp_path / "artifacts"))


@pytest.fixture
def package(session: Session) -> Step:
    """A package step in the store, proven and under two names."""
    step = Step(kind="package", maker="fake", label="phi3-int4-openvino", spec=FakeSpec())

    def fill(staging: making.Staging) -> Made:
        staging.files.rmdir()
        pack(staging.files, manifest(key=step.key))
        return Made(Verification())

    making.make(step, session, fill)
    for name in (step.label, "x"):
        session.store.expose(step, name, lambda: None)
    return step


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def _check(*args: str, **environ: str) -> Done:
    """`bakehouse check`, in this process; where the signature is looked at, in a worker of its own."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name, value in {"PIPELINE_RECIPES": "/nowhere", **environ}.items():
            patch.setenv(name, value)
        code = command("check", *args)
    return Done(code, out.getvalue(), err.getvalue())


def test_a_signed_copy_passes_with_the_key_and_the_store_is_as_it_was(package: Step, session: Session, tmp_path: Path) -> None:
    private, public = key_pair(tmp_path, "mine")
    before = sorted(path.name for path in session.store.files(package).iterdir())
    signed = signing.sign(package, "phi3-int4-openvino", session, {"PIPELINE_SIGN": f"key:{private}"})
    assert signed == session.store.root / "signed" / "phi3-int4-openvino"
    assert sorted(path.name for path in signed.iterdir()) == sorted([*before, "model.sig"])
    assert sorted(path.name for path in session.store.files(package).iterdir()) == before
    assert session.store.has(package)
    assert signing.is_signed(package, "phi3-int4-openvino", session)
    assert {path.stat().st_nlink for path in signed.rglob("*") if path.is_file()} == {1}  # onnx refuses a file with two names
    done = _check("--package", str(signed), "--key", str(public))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"signed   by {public}" in done.stdout
    plain = _check("--package", str(signed))
    assert plain.returncode == 0
    assert "signed   but not checked: say by whom with --key, --certificate or --identity" in plain.stdout


@pytest.mark.whole
@pytest.mark.parametrize("missing", ["model_signing", "OpenSSL"])
def test_a_signature_that_cannot_be_checked_here_is_neither_right_nor_damage(
    package: Step, session: Session, tmp_path: Path, missing: str
) -> None:
    private, public = key_pair(tmp_path, "mine")
    signed = signing.sign(package, "x", session, {"PIPELINE_SIGN": f"key:{private}"})
    shadow = tmp_path / "without" / missing
    shadow.mkdir(parents=True)
    (shadow / "__init__.py").write_text(f"raise ModuleNotFoundError(\"No module named '{missing}'\")\n")
    done = _check("--package", str(signed), "--key", str(public), PYTHONPATH=str(shadow.parent))
    assert (done.returncode, done.stderr) == (3, "")
    unknown, last = done.stdout.splitlines()
    assert unknown == (
        f"unknown  model.sig: not checked: model-signing is not installed (No module named '{missing}'). "
        "`pip install 'bakehouse[sign]'` brings what signs."
    )
    assert last.endswith(" hashed: nothing wrong; its signature was not checked")
    (signed / "LICENSE").unlink()
    both = _check("--package", str(signed), "--key", str(public), PYTHONPATH=str(shadow.parent))
    assert both.returncode == 1


@pytest.mark.whole
def test_the_upstream_tool_by_itself_accepts_the_signature(package: Step, session: Session, tmp_path: Path) -> None:
    private, public = key_pair(tmp_path, "mine")
    signed = signing.sign(package, "x", session, {"PIPELINE_SIGN": f"key:{private}"})
    argv = [
        sys.executable,
        "-m",
        "model_signing",
        "verify",
        "key",
        str(signed),
        "--signature",
        str(signed / "model.sig"),
        "--public_key",
        str(public),
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.whole
def test_another_key_a_changed_file_and_a_missing_signature_do_not_pass(package: Step, session: Session, tmp_path: Path) -> None:
    private, public = key_pair(tmp_path, "mine")
    _, other = key_pair(tmp_path, "other")
    signed = signing.sign(package, "x", session, {"PIPELINE_SIGN": f"key:{private}"})
    foreign = _check("--package", str(signed), "--key", str(other))
    assert foreign.returncode == 1
    assert "damaged  model.sig: The signature does not match: " in foreign.stdout
    (tmp_path / "forged").mkdir()
    forged = pack(tmp_path / "forged" / "x", manifest(key=package.key), weights=b"malice!")  # every list in it is right
    assert _check("--package", str(forged)).returncode == 0
    unsigned = _check("--package", str(forged), "--key", str(public))
    assert (unsigned.returncode, unsigned.stdout.splitlines()[0]) == (1, "damaged  model.sig: missing, so nothing says who made this")
    (forged / "model.sig").write_bytes((signed / "model.sig").read_bytes())
    taken = _check("--package", str(forged), "--key", str(public))
    assert taken.returncode == 1
    changed = "SHA256SUMS, bakehouse.json, bom.json, openvino_model.bin, provenance.json"
    assert f"damaged  model.sig: The signature does not match: changed since it was signed: {changed}.\n" in taken.stdout


@pytest.mark.whole
def test_a_password_of_the_key_is_taken_from_the_environment_and_written_nowhere(package: Step, session: Session, tmp_path: Path) -> None:
    private, public = key_pair(tmp_path, "mine", b"hush-hush")
    with pytest.raises(Failure) as caught:
        signing.sign(package, "x", session, {"PIPELINE_SIGN": f"key:{private}"})
    assert str(caught.value).startswith("signing x: The package could not be signed: ")
    environ = {"PIPELINE_SIGN": f"key:{private}", "PIPELINE_SIGN_PASSWORD": "hush-hush"}
    signed = signing.sign(package, "x", session, environ)
    signing.check(signed, PublicKey(key=public), tmp_path / "scratch", session.children)
    written = [path for path in tmp_path.rglob("*") if path.is_file() and b"hush-hush" in path.read_bytes()]
    assert written == []


@pytest.mark.whole
def test_a_certificate_signs_and_its_chain_verifies(package: Step, session: Session, tmp_path: Path) -> None:
    root_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root, leaf = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("root", "leaf"))
    now = datetime.datetime.now(datetime.UTC)

    def certificate(subject: x509.Name, key: ec.EllipticCurvePrivateKey, ca: bool) -> bytes:
        usage = x509.KeyUsage(True, False, False, False, False, ca, ca, False, False)
        built = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(root).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(9))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(usage, critical=True)
        )  # fmt: skip
        if not ca:
            built = built.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        return built.sign(root_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    paths = {name: tmp_path / f"{name}.pem" for name in ("root", "leaf", "key")}
    paths["root"].write_bytes(certificate(root, root_key, True))
    paths["leaf"].write_bytes(certificate(leaf, leaf_key, False))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    paths["key"].write_bytes(leaf_key.private_bytes(*form))
    signed = signing.sign(package, "x", session, {"PIPELINE_SIGN": f"certificate:{paths['key']},{paths['leaf']},{paths['root']}"})
    assert _check("--package", str(signed), "--certificate", str(paths["root"])).returncode == 0
    paths["other"] = tmp_path / "other.pem"
    root_key = ec.generate_private_key(ec.SECP256R1())
    paths["other"].write_bytes(certificate(root, root_key, True))
    assert _check("--package", str(signed), "--certificate", str(paths["other"])).returncode == 1


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("", "PIPELINE_SIGN: It is not set, so how to sign is unknown."),
        ("pgp:x", f"PIPELINE_SIGN: {Path('/x').absolute()} does not exist."),
        ("pgp", "PIPELINE_SIGN: pgp:… is not a valid way to sign."),
        ("key", "PIPELINE_SIGN: key:… is not a valid way to sign."),
    ],
)
def test_a_wrong_way_to_sign_is_answered_with_the_right_ones(asked: str, said: str) -> None:
    with pytest.raises(Failure) as caught:
        signing.method({"PIPELINE_SIGN": asked.replace(":x", ":/x")})
    remedy = (
        "Name the files of the key that signs."
        if "not exist" in said
        else "Set it to key:FILE, certificate:KEY,CERTIFICATE[,CHAIN...] or sigstore."
    )
    assert str(caught.value) == f"{said}\n  what to do: {remedy}"


def test_a_signed_copy_of_a_build_that_is_gone_is_pruned(package: Step, session: Session, tmp_path: Path) -> None:
    private, _ = key_pair(tmp_path, "mine")
    signed = signing.sign(package, "x", session, {"PIPELINE_SIGN": f"key:{private}"})
    assert signed not in session.store.prunable([f"{package.kind}/{package.key}"], ["x"])
    assert signed in session.store.prunable([f"{package.kind}/{package.key}"], ["y"])
