"""Small packages to deliver, and the real clients that are given what came of it: fetched once per machine, by hash, outside the tree."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from bakehouse.backends.delivery import Profile
from bakehouse.deliver import make
from bakehouse.deliver.record import Delivery
from bakehouse.executor.process import Children
from bakehouse.inference.found import find
from bakehouse.package.manifest import PackageManifest
from bakehouse.plan import places
from bakehouse.stages import package
from bakehouse.store import files
from tests.package.test_card import manifest
from tests.support import serving, standin

HEAD_SIZE, CONTEXT = 64, 512
BUNDLE = "onnx"
NODE = Path(__file__).parent / "node"  # package.json and its lock file
# On Windows links need a privilege.
needs_node = pytest.mark.skipif(
    sys.platform == "win32" or (shutil.which("npm") is None and not os.environ.get("BAKEHOUSE_TESTS_HAVE_NODE")),
    reason="no Node.js with npm is installed",
)
_NOTHING: MappingProxyType[str, Any] = MappingProxyType({})


def genai_config(**model: Any) -> dict[str, Any]:
    """What the model builder writes for the tiny Llama."""
    decoder = {
        "session_options": {"log_id": "onnxruntime-genai", "provider_options": []},
        "filename": "model.onnx",
        "head_size": HEAD_SIZE,
        "hidden_size": 128,
        "inputs": {"input_ids": "input_ids", "past_key_names": "past_key_values.%d.key", "past_value_names": "past_key_values.%d.value"},
        "outputs": {"logits": "logits", "present_key_names": "present.%d.key", "present_value_names": "present.%d.value"},
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "num_key_value_heads": 1,
    }
    facts = {"bos_token_id": 1, "context_length": CONTEXT, "decoder": decoder, "eos_token_id": 2, "pad_token_id": 2, "type": "llama"}
    return {"model": {**facts, "vocab_size": 272, **model}, "search": {"max_length": CONTEXT, "past_present_share_buffer": True}}


def onnx_folder(folder: Path, graph: bytes, config: Mapping[str, Any]) -> None:
    """A model folder for ONNX Runtime GenAI whose weights are a few bytes."""
    folder.mkdir(parents=True)
    texts = {
        "genai_config.json": json.dumps(genai_config(**config), indent=4),
        "tokenizer.json": "{}\n",
        "tokenizer_config.json": '{\n  "eos_token": "<|im_end|>"\n}\n',
        "chat_template.jinja": "{{ messages[0]['content'] }}",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "model.onnx").write_bytes(graph)
    (folder / "model.onnx.data").write_bytes(b"weights of " + folder.name.encode())


def pack(
    folder: Path,
    *builds: tuple[str, str],
    graph: bytes = b"graph",
    config: Mapping[str, Any] = _NOTHING,
    options: Mapping[str, Any] = _NOTHING,
    more: Mapping[str, str] = _NOTHING,
    without: str = "",
) -> Path:
    """A package of these builds of recipes in this checkout, with made-up model files; of several a bundle.

    `config` are other fields of the model in genai_config.json, `options` other options of the builds, `more` are further files, and
    `without` is a file that no model folder has.
    """
    records = [_changed(manifest(recipe, build), options) for recipe, build in builds]
    for record in records:
        if below := record.build.options.folder():
            onnx_folder(folder / below, graph, config)
        else:
            _openvino_files(folder)
    for path in folder.rglob(without) if without else ():
        path.unlink()
    for name, content in {"LICENSE": "Do as you like.\n", **more}.items():
        (folder / name).write_text(content, encoding="utf-8")
    whole = records[0] if len(records) == 1 else _bundle(records)
    text = package.recipe_text(*(record.build for record in records), bundle=BUNDLE if len(records) > 1 else "")
    files.write(folder / "recipe.yaml", text)
    package.describe(folder, whole)
    return folder


def _changed(record: PackageManifest, options: Mapping[str, Any]) -> PackageManifest:
    if not options:
        return record
    old = record.build.options
    new = type(old).model_validate_json(json.dumps(old.model_dump(mode="json", exclude_none=True) | dict(options)))
    return record.model_copy(update={"build": record.build.model_copy(update={"options": new})})


def _openvino_files(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in ("openvino_model.xml", "openvino_tokenizer.xml", "openvino_detokenizer.xml", "chat_template.jinja", "tokenizer.json"):
        (folder / name).write_text(f"{name}\n", encoding="utf-8")
    (folder / "openvino_model.bin").write_bytes(b"weights")
    (folder / "config.json").write_text("{}\n", encoding="utf-8")


def _bundle(records: list[PackageManifest]) -> PackageManifest:
    name = f"{records[0].build.recipe}-{BUNDLE}"
    build = records[0].build.model_copy(update={"name": name, "build": BUNDLE})
    return records[0].model_copy(update={"name": name, "build": build, "members": tuple(records)})


def profile(name: str) -> Profile:
    """The profile of this name."""
    return places.all_of()[name].profile


def deliver(source: Path, name: str, target: Path) -> Delivery:
    """Deliver the package in the folder `source`."""
    return make.deliver(find(str(source), source.parent), profile(name), target, Children())


def blocks(folder: Path, language: str) -> list[str]:
    """The blocks of code in this language in the README of a delivered folder."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)\n```$", text, flags=re.MULTILINE | re.DOTALL)


def distributions(name: str, pins: dict[str, str]) -> Path:
    """A folder with these wheels (distribution==version -> sha256) and nothing that they depend on."""

    def install(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            listed = Path(scratch) / "requirements.txt"
            listed.write_text("".join(f"{pin} --hash=sha256:{digest}\n" for pin, digest in pins.items()), encoding="utf-8")
            pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:")
            subprocess.run((*pip, "--target", str(folder), "--requirement", str(listed)), check=True)

    digest = hashlib.sha256(json.dumps(pins).encode()).hexdigest()
    return standin.made_once(f"{name}-{digest[:16]}", install)


def run_python(program: str, folder: Path, first: Path | None, home: Path, *arguments: str) -> str:
    """What a program prints that runs in `folder`, with the distributions in `first` before all others and a home of its own."""
    env = {**os.environ, "PYTHONPATH": str(first or ""), "HOME": str(home)}
    home.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, f"{program}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


def node_packages() -> Path:
    """A folder with the packages of NODE, as its lock file pins them."""

    def install(folder: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(NODE / name, folder / name)
        npm = (shutil.which("npm") or "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")
        subprocess.run(npm, cwd=folder, check=True)

    return standin.made_once(f"node-{hashlib.sha256((NODE / 'package-lock.json').read_bytes()).hexdigest()[:16]}", install)


def run_node(program: str, folder: Path, *arguments: str) -> str:
    """What a program prints that lies in `folder`, which is made to have those packages."""
    if not (folder / "node_modules").exists():
        (folder / "node_modules").symlink_to(node_packages() / "node_modules")
    (folder / "program.mjs").write_text(program, encoding="utf-8")
    argv = ("node", "program.mjs", *arguments)
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"{program}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server of the files in a folder."""
    types = {**SimpleHTTPRequestHandler.extensions_map, ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm"}

    class Files(SimpleHTTPRequestHandler):
        extensions_map = types

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(folder)))
    serving.in_thread(server)
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
