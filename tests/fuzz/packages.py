"""Readers of recipes and of packages from elsewhere: their lists, delivered folders, configurations and signatures."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import yaml

from bakehouse.app import check_package
from bakehouse.backends.delivery import Packed
from bakehouse.backends.onnxruntime_genai import model_folders
from bakehouse.deliver.record import Carried, Delivery
from bakehouse.errors import Failure
from bakehouse.inference import found as runnable
from bakehouse.package import compare, manifest
from bakehouse.package.file_names import CHECKSUMS, DELIVERY, PROVENANCE, RECIPE
from bakehouse.package.seams import CheckSignature, PublicKey, Sign, SignatureRequest, SigningKey
from bakehouse.package.workers import model_signature
from bakehouse.plan import plan
from bakehouse.recipe import loader
from bakehouse.recipe.loader import RecipeErrors
from bakehouse.store import files as store_files
from bakehouse.store.package_files import MANIFEST
from tests.fuzz import mutate
from tests.fuzz.campaign import Target
from tests.fuzz.checkpoints import BUILDS
from tests.support.bench import ROOT, recipe
from tests.support.packed import pack

# --- recipes ----------------------------------------------------------------------------------------------------------


def _recipes(folder: Path) -> tuple[Path, list[bytes], list[dict[str, Any]]]:
    paths = sorted((*(ROOT / "recipes").glob("*.yaml"), *(ROOT / "examples").glob("*.yaml")))
    written = [path.read_bytes() for path in paths]
    source = {"type": "local", "path": "model", "license": "MIT"}
    made = [recipe(source=source, builds=BUILDS), *(loader.load(path).model_dump(mode="json", exclude_none=True) for path in paths)]
    return folder, written, made


def _recipe(random: Random, prepared: tuple[Path, list[bytes], list[dict[str, Any]]]) -> bytes:
    """A damaged text, or a recipe with odd values written as YAML."""
    _, written, made = prepared
    if random.random() < 0.4:
        return mutate.of_text(random, written)
    document = {**json.loads(json.dumps(random.choice(made))), "name": "tiny"}
    for _ in range(random.choice((1, 1, 2))):
        document = mutate.changed(random, document)
    try:
        return yaml.safe_dump(document, sort_keys=False, allow_unicode=random.random() < 0.5).encode(errors="surrogatepass")
    except (yaml.YAMLError, RecursionError):
        return json.dumps(document).encode()


def _read_recipe(body: bytes, prepared: tuple[Path, list[bytes], list[dict[str, Any]]]) -> list[str]:
    folder = prepared[0] / "recipes"
    folder.mkdir(exist_ok=True)
    (folder / "tiny.yaml").write_bytes(body)
    try:
        plan.make(loader.load_all(folder), lambda path: "f" * 64, confined=True)
    except RecipeErrors as errors:
        return [text for one in errors.diagnostics for text in (one.what, one.help, str(one)) if text or text is one.what]
    return []


# --- packages ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Package:
    folder: Path
    whole: dict[str, bytes]


Changed = tuple[str, bytes]


def _packages(folder: Path) -> _Package:
    made = pack(folder / "package")
    return _Package(made, {path.relative_to(made).as_posix(): path.read_bytes() for path in store_files.walk(made)})


def _delivered(folder: Path) -> _Package:
    """A package as if it had been delivered with every file in its place."""
    made = pack(folder / "package")
    own = manifest.read(made)
    record = Delivery(
        profile="ovms",
        profile_version=1,
        name=own.name,
        key=own.key,
        carried=tuple(Carried(**file.model_dump(), package_path=file.path) for file in own.files),
        added=(),
        left_out=(PROVENANCE, CHECKSUMS),
    )
    for name in (PROVENANCE, CHECKSUMS, "bom.json"):
        (made / name).unlink()
    (made / DELIVERY).write_text(record.model_dump_json(indent=1), encoding="utf-8")
    return _Package(made, {path.relative_to(made).as_posix(): path.read_bytes() for path in store_files.walk(made)})


def _file(random: Random, package: _Package) -> Changed:
    """One of its files, changed by its kind."""
    name = random.choice([*package.whole, MANIFEST, MANIFEST, *(one for one in (DELIVERY, PROVENANCE) if one in package.whole)])
    body = package.whole[name]
    ways: dict[str, Callable[[Random, list[bytes]], bytes]] = {".json": mutate.of_json, ".yaml": mutate.of_text, "": mutate.of_text}
    return name, ways.get(Path(name).suffix, mutate.of_bytes)(random, [body])


def _read_package(changed: Changed, package: _Package) -> list[str]:
    name, body = changed
    (package.folder / name).write_bytes(body)
    try:
        return _checked(package, name, body)
    finally:
        (package.folder / name).write_bytes(package.whole[name])


def _checked(package: _Package, name: str, body: bytes) -> list[str]:
    faults = check_package.look(package.folder, None).faults
    # In a delivered folder nothing is about the manifest and the record themselves.
    alone = name in (MANIFEST, DELIVERY) and DELIVERY in package.whole
    assert faults or alone or body == package.whole[name], "a changed file was not noticed"
    said = [text[:1000] for text in faults]
    if name in (MANIFEST, RECIPE):
        try:
            of = runnable.find(str(package.folder), package.folder.parent / "packages").manifest
            compare.tables([compare.row(of)])
            compare.page([compare.row(of)])
        except Failure as failure:
            said += [failure.what, str(failure)]
    return said


# --- genai_config.json ------------------------------------------------------------------------------------------------

_GENAI = {
    "model": {
        "bos_token_id": 1,
        "context_length": 512,
        "type": "llama",
        "vocab_size": 100,
        "eos_token_id": [2, 3],
        "decoder": {
            "session_options": {"log_id": "x", "provider_options": [{"dml": {"a": "b"}}]},
            "sliding_window": {"window_size": 8},
            "inputs": {"past_key_names": "past_key_values.%d.key"},
            "outputs": {"present_key_names": "present.%d.key"},
            "head_size": 16,
            "num_hidden_layers": 2,
            "layer_types": ["conv", "full_attention"],
        },
    },
    "search": {"do_sample": False, "max_length": 512},
}


def _genais(folder: Path) -> tuple[Path, Packed, bytes]:
    from tests.support.fakes import HUB, planned

    (build,) = planned(folder / "recipes", recipe(source=HUB, builds={"ort": BUILDS["ort"]})).builds
    options = build.resolved.options
    at = folder / "package" / options.folder()  # type: ignore[union-attr]
    at.mkdir(parents=True)
    names = ("genai_config.json", "model.onnx", "model.onnx.data", "tokenizer.json", "tokenizer_config.json")
    files = {f"{at.relative_to(folder / 'package').as_posix()}/{name}": "0" * 64 for name in names}
    return at, Packed("tiny", folder / "package", (options,), files, (("user", "x"),), 8), json.dumps(_GENAI).encode()


def _genai(random: Random, prepared: tuple[Path, Packed, bytes]) -> bytes:
    return mutate.of_json(random, [prepared[2]])


def _read_genai(body: bytes, prepared: tuple[Path, Packed, bytes]) -> list[str]:
    at, packed, _ = prepared
    (at / "genai_config.json").write_bytes(body)
    (model,) = model_folders.all_of(packed)
    model_folders.config_text(packed, model)
    assert isinstance(model.config.provider, str) and isinstance(model.config.window, int)
    model.config.end_tokens  # noqa: B018
    return []


# --- signatures -------------------------------------------------------------------------------------------------------


def _signed(folder: Path) -> tuple[_Package, Path]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / "key.pem", folder / "public.pem"
    no = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no))
    public.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    model = folder / "model"
    model.mkdir()
    (model / "model.bin").write_bytes(b"weights")
    signature = model / "model.sig"
    model_signature.run(SignatureRequest(folder=model, signature=signature, work=Sign(by=SigningKey(key=private))))
    return _Package(model, {"model.sig": signature.read_bytes()}), public


def _signature(random: Random, prepared: tuple[_Package, Path]) -> bytes:
    return mutate.of_json(random, [prepared[0].whole["model.sig"]])


def _read_signature(body: bytes, prepared: tuple[_Package, Path]) -> list[str]:
    package, public = prepared
    (package.folder / "model.sig").write_bytes(body)
    work = CheckSignature(by=PublicKey(key=public))
    found = model_signature.run(SignatureRequest(folder=package.folder, signature=package.folder / "model.sig", work=work))
    return [found.not_checked] if found.not_checked else []


TARGETS = (
    Target("recipe", _recipe, _recipes, _read_recipe),
    Target("package", _file, _packages, _read_package),
    Target("delivered", _file, _delivered, _read_package),
    Target("genai", _genai, _genais, _read_genai),
    Target("signature", _signature, _signed, _read_signature),
)
