"""Makes OpenVINO steps the way the stages do, by the backend's own commands; and small XML models for tests of what is read from them."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from bakehouse.backends.openvino import backend as openvino
from bakehouse.backends.openvino.options import OpenVINO
from bakehouse.executor import process
from bakehouse.executor.process import Children
from bakehouse.steps.maker import Verification
from bakehouse.steps.seam import Report, Result
from bakehouse.steps.step import Step
from tests.support.fakes import FakeSpec

CHECKPOINT = Step(kind="download", maker="huggingface", label="model", spec=FakeSpec(revision="0" * 40))


def build(**quantization: Any) -> OpenVINO:
    """A build with this quantization."""
    return OpenVINO.model_validate({"runtime": "openvino", "quantization": quantization})


def steps(texts: Step | None = None, /, **quantization: Any) -> dict[str, Step]:
    """The steps of a build of CHECKPOINT, calibrated with `texts`."""
    return openvino.steps("model-build", build(**quantization), CHECKPOINT, "model", texts, remote_code=False)


def report(result: Result) -> Report:
    """What the process runner reads of a worker that left this result."""
    return Report(json.loads(result.model_dump_json(exclude_none=True)))


@dataclass(frozen=True)
class Made:
    """What became of a step: its files, what the worker reported, what verify says, and what it printed."""

    files: Path
    facts: Mapping[str, Any]
    verification: Verification
    log: str
    peak_memory_bytes: int


def make(step: Step, folder: Path, **inputs: Path) -> Made:
    """Run a step's command into `folder`/files and verify what it made."""
    files = folder / "files"
    files.mkdir(parents=True)
    finished = process.run(
        openvino.command(step, inputs, files),
        children=Children(),
        log=folder / "log.txt",
        scratch=folder / "scratch",
        on_progress=lambda progress: None,
    )
    verification = openvino.verify(step, inputs, files, finished.report)
    log = (folder / "log.txt").read_text(encoding="utf-8")
    return Made(files, finished.report.values, verification, log, finished.peak_memory_bytes)


# All of upstream's runs in one process: its imports take longer than a tiny model does.
UPSTREAM = """
import json, sys
from optimum.commands.optimum_cli import main
for arguments in json.loads(sys.argv[1]):
    sys.argv = arguments
    main()
"""


def sha256(path: Path) -> str:
    """Of a whole file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run_upstream(checkpoint: Path, runs: dict[Path, dict[str, Any]]) -> None:
    """Have optimum-cli make each output folder, by the command that the manifest and the card name."""
    commands = []
    for out, quantization in runs.items():
        places = {"MODEL": str(checkpoint), "OUT": str(out)}
        commands.append([places.get(word, word) for word in shlex.split(openvino.upstream(steps(**quantization)["model"]))])
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", UPSTREAM, json.dumps(commands)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@dataclass
class Drawing:
    """An openvino_model.xml drawn by hand: a chain of operations, each with its weight."""

    layers: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    edges: list[tuple[int, int, int]] = field(default_factory=list)
    info: dict[str, str] = field(default_factory=dict)
    size: int = 0

    def layer(self, name: str, kind: str, *sources: int, **data: object) -> int:
        """Add an operation with these inputs; its number."""
        self.layers.append((name, kind, {key: str(value) for key, value in data.items()}))
        for port, source in enumerate(sources):
            if source >= 0:
                self.edges.append((source, len(self.layers) - 1, port))
        return len(self.layers) - 1

    def constant(self, name: str, element: str, *shape: int) -> int:
        """Add a constant; every one takes 8 bytes of the .bin."""
        sizes = ", ".join(str(size) for size in shape)
        self.size += 8
        return self.layer(name, "Const", element_type=element, shape=sizes, offset=self.size - 8, size=8)

    def weight(
        self, user: str, element: str, rows: int, columns: int, *, group: int = -1, zero_points: bool = False, embedding: bool = False
    ) -> None:
        """Add a MatMul, or an embedding, with a weight as NNCF stores it; a float element type is stored plainly."""
        groups = () if group == -1 else (columns // group, group)
        shape = (rows, *groups) if groups else (rows, columns)
        scales = (*shape[:-1], 1)
        name = f"weight of {user}"
        here = self.layer(f"{name}/convert", "Convert", self.constant(name, element, *shape))
        if element not in ("f32", "f16", "bf16"):
            if zero_points:
                points = self.layer(f"{name}/zeros/convert", "Convert", self.constant(f"{name}/zeros", element, *scales))
                here = self.layer(f"{name}/subtract", "Subtract", here, points)
            here = self.layer(f"{name}/multiply", "Multiply", here, self.constant(f"{name}/scale", "f16", *scales))
            if groups:
                here = self.layer(f"{name}/reshape", "Reshape", here, self.constant(f"{name}/shape", "i64", 2))
            here = self.layer(f"{name}/float", "Convert", here)
        if embedding:
            self.layer(user, "Gather", here)
        else:
            self.layer(user, "MatMul", -1, here, transpose_a="false", transpose_b="true")

    def write(self, folder: Path) -> Path:
        """Write openvino_model.{xml,bin} into a new folder."""
        net = ElementTree.Element("net")
        layers, edges = ElementTree.SubElement(net, "layers"), ElementTree.SubElement(net, "edges")
        for number, (name, kind, data) in enumerate(self.layers):
            ElementTree.SubElement(ElementTree.SubElement(layers, "layer", id=str(number), name=name, type=kind), "data", data)
        for source, target, port in self.edges:
            ElementTree.SubElement(edges, "edge", {"from-layer": str(source), "to-layer": str(target), "to-port": str(port)})
        written = ElementTree.SubElement(ElementTree.SubElement(ElementTree.SubElement(net, "rt_info"), "nncf"), "weight_compression")
        for name, value in self.info.items():
            ElementTree.SubElement(written, name, value=value)
        folder.mkdir(parents=True)
        ElementTree.ElementTree(net).write(folder / "openvino_model.xml")
        (folder / "openvino_model.bin").write_bytes(bytes(self.size))
        (folder / "openvino_config.json").write_text("{}", encoding="utf-8")
        return folder
