"""sentence-transformers as people install it: fetched by hash, once per machine, and given a folder and texts in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bakehouse.app.workspace import open_workspace
from bakehouse.tasks.embeddings import golden, reference
from bakehouse.tasks.embeddings.seams import Vectors
from tests.support import delivering

# What pip takes for `sentence-transformers[openvino]`, but for what is installed here: torch, transformers 5.5, optimum-intel.
OPENVINO = {"sentence-transformers==6.2.0": "ffb51ccfef65427cfa61776d0eeeb257600b0099cf0c7533ae9a6856d31e4665"}
# What it takes for `sentence-transformers[onnx]`: optimum-onnx 0.1.0, the newest, wants transformers before 4.58, and optimum 2.1.
ONNX = {
    "sentence-transformers==5.7.0": "b78141da3d8137e70d965866e2ca43190b9266f3d4d8752e250ded75e7136730",
    "optimum==2.1.0": "bc3af32e1236a9b2c2ca1d27ed9d3ab1b6591e24c6bcd47f9671a8198a30ea88",
    "optimum-onnx==0.1.0": "0301ec7a6ec5c77a57581e9970d380a6dc104bdb8f15b282e05af40d829c2eda",
    "transformers==4.57.6": "4c9e9de11333ddfe5114bc872c9f370509198acf0b87a832a0ab9458e2bd0550",
    "huggingface-hub==0.36.2": "48f0c8eac16145dfce371e9d2d7772854a4f591bcb56c9cf548accf531d54270",
}
_PINS = {"openvino": OPENVINO, "onnx": ONNX}

_PROGRAM = """
import json, sys
from sentence_transformers import SentenceTransformer

folder, backend, options, texts = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), json.loads(sys.argv[4])
model = SentenceTransformer(folder, backend=backend, model_kwargs=options)
vectors = model.encode(texts, batch_size=len(texts), show_progress_bar=False)
print(json.dumps({"loaded": type(model[0].auto_model).__name__, "max_tokens": model.max_seq_length, "vectors": vectors.tolist()}))
"""

_RANKS = """
import json, sys
from sentence_transformers import CrossEncoder

folder, backend, options, query, texts = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4], json.loads(sys.argv[5])
model = CrossEncoder(folder, backend=backend, model_kwargs=options)
print(json.dumps(model.predict([(query, text) for text in texts], show_progress_bar=False).tolist()))
"""


def client(backend: str) -> Path:
    """The folder with the distributions that one of its backends needs besides those that are installed here."""
    return delivering.distributions(f"sentence-transformers-{backend}", _PINS[backend])


def embed(folder: Path, backend: str, options: dict[str, Any], texts: Sequence[str], home: Path) -> dict[str, Any]:
    """What the client says of a package's folder: the class of the loaded model, how many tokens it reads, and the vector of each text."""
    found: dict[str, Any] = _printed(_PROGRAM, folder, backend, options, home, json.dumps(list(texts)))
    return found


def rank(folder: Path, backend: str, options: dict[str, Any], query: str, texts: Sequence[str], home: Path) -> list[float]:
    """The score of each text, as the client has it of a package's folder."""
    found: list[float] = _printed(_RANKS, folder, backend, options, home, query, json.dumps(list(texts)))
    return found


def _printed(program: str, folder: Path, backend: str, options: dict[str, Any], home: Path, *words: str) -> Any:
    said = delivering.run_python(program, folder.parent, client(backend), home, str(folder), backend, json.dumps(options), *words)
    return json.loads(said.splitlines()[-1])


def recorded(workshop: Path, name: str) -> tuple[tuple[str, ...], Vectors]:
    """The texts of a build's golden inputs, and their vectors as its validation recorded them."""
    places = {"PIPELINE_RECIPES": str(workshop / "recipes"), "PIPELINE_ARTIFACTS": str(workshop / "artifacts")}
    workspace = open_workspace(places)
    build = workspace.plan.build(name)
    assert build
    return golden.texts(golden.mine(build.resolved.golden)), reference.read(workspace.store.files(build.validate))
