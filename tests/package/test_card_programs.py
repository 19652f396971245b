"""A card's own words, followed to the letter: publish, download with the real client into a fresh folder, run every block of code.

What is not run, and why: commands under "How it was made", which tell what ran; installing what is for another system, or belongs into
an environment of its own; and what the acceleration library would do with the source, which is to compile it again.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bakehouse.package import markdown
from bakehouse.package.manifest import PackageManifest
from tests.support import lanes
from tests.support.bench import INT4, Bench, recipe
from tests.support.hub_write import OWNER, Workshop
from tests.support.lanes import Lane

pytestmark = pytest.mark.model

EVERY_OPTION = {
    "INFERENCE_PRECISION_HINT": "f32",
    "EXECUTION_MODE_HINT": "ACCURACY",
    "KV_CACHE_PRECISION": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
    "ATTENTION_BACKEND": "SDPA",
}
EXACT = {"runtime": "openvino", "quantization": INT4, "runtime_options": EVERY_OPTION}
DIRECTML = {"runtime": "onnxruntime-genai", "execution_provider": "dml", "quantization": {"weights": "int4", "block_size": 32}}
# Lane -> builds besides its own, and what is published of them.
MORE: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "openvino": ({"exact": EXACT}, ("int4", "exact")),
    "onnxruntime-genai": ({"dml": DIRECTML}, ("onnx",)),
    "openvino-npu": ({}, ("npu",)),
    "intel-npu-acceleration-library": ({}, ("npulib",)),
}
WITH_SITE = "import site, sys; site.addsitedir(sys.argv[1]); exec(compile(open(sys.argv[2]).read(), sys.argv[2], 'exec'))"


@dataclass(frozen=True)
class Reader:
    """Who follows a card: a folder, and the packages of an environment of its own if the runtime needs one."""

    folder: Path
    site: Path | None

    def shell(self, line: str, folder: str = ".") -> None:
        """A line of a shell block; nothing may be installed by it, so all that it names must be what the tests run with."""
        words = shlex.split(line)
        program = shutil.which(words[0], path=str(Path(sys.executable).parent)) or words[0]
        offline = {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1"}
        done = subprocess.run(
            [program, *words[1:]], cwd=self.folder / folder, env={**os.environ, **offline}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"

    def python(self, text: str) -> str:
        """What a program prints."""
        (self.folder / "program.py").write_text(text, encoding="utf-8")
        apart = ["-I", "-S", "-B", "-c", WITH_SITE, str(self.site)] if self.site else []
        env = {**os.environ, "HF_HUB_OFFLINE": "1"}
        argv = [sys.executable, *apart, "program.py"]
        done = subprocess.run(argv, cwd=self.folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()


def blocks(rendered: str) -> Iterator[tuple[str, str]]:
    """Language and text of every block of code that a reader is to run."""
    made = rendered.index("## How it was made")
    before = rendered[:made] if rendered.index("## Running") < made else rendered[rendered.index("## Running") :]
    for found in re.finditer(r"^```(\w*)\n(.*?)\n```$", before, flags=re.MULTILINE | re.DOTALL):
        yield found[1], found[2]


def lines_to_run(lane: Lane, block: str) -> list[str]:
    """The lines of a shell block, without those that install what cannot be here."""
    apart = lane.runtime == "intel-npu-acceleration-library"
    elsewhere = "onnxruntime-genai-winml"  # of Windows
    return [line for line in block.splitlines() if elsewhere not in line and not (apart and line.startswith("pip"))]


def programs(lane: Lane, rendered: str) -> list[str]:
    """Every Python program of a card, and every one that its sentences make of them."""
    found = [text for language, text in blocks(rendered) if language == "python"]
    match lane.runtime:
        case "onnxruntime-genai":
            first, in_place_of_model = found
            (other,) = re.findall(r"only `folder` changes: `([^`]+)`", rendered)
            (folder,) = re.findall(r'^folder = (".+")  # CPU$', first, flags=re.MULTILINE)
            on_cpu = first.replace(folder, repr(other)).replace("model = og.Model(folder)", in_place_of_model)
            assert on_cpu != first
            return [first, on_cpu]
        case "openvino-npu":
            (program,) = found
            stand_in = 'shape = dict(NPU_USE_NPUW="YES", NPUW_DEVICES="CPU", EXECUTION_MODE_HINT="ACCURACY", '
            on_cpu = re.sub(r'"NPU", .*\*\*shape', '"CPU"', program)
            assert "**shape" in program and "**shape" not in on_cpu
            return [program.replace("shape = dict(", stand_in), on_cpu]
        case "intel-npu-acceleration-library":
            return found[:1]
        case _:
            return found


def answer(manifest: PackageManifest) -> str:
    """What the card says that its program prints."""
    validation = (*manifest.members, manifest)[0].validation
    (verdict,) = validation.in_use.verdicts if validation.in_use else validation.verdicts
    return verdict.answer.strip()


def published(lane: Lane, baked: Bench, folder: Path) -> tuple[Bench, tuple[str, ...]]:
    """The lane's builds in a recipe that publishes them, and the names of what is published."""
    builds, names = MORE[lane.runtime]
    bench = baked.copy(folder)
    together = {"repositories": {"onnx": ["ort", "dml"]}} if "onnx" in names else {}
    where = {"repo": f"{OWNER}/Tiny-{{build}}", "allow_pickle": True}
    made = json.loads(json.dumps({**lane.builds, **builds}))  # no value in two places, of which YAML would make an alias
    bench.write(recipe(builds=made, publish=where, **together))
    bench.build(*(f"publish:tiny-{name}" for name in names))
    return bench, names


# The acceleration library's package takes two minutes to make; its loader answers in its backend's own tests, too.
EACH = [pytest.param(one, marks=pytest.mark.conformance if one.name == "tiny-npulib" else (), id=one.name) for one in lanes.LANES]


@pytest.mark.parametrize("lane", EACH, scope="module", indirect=False)
def test_whoever_follows_a_published_card_gets_its_answer(
    lane: Lane, tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path, workshop: Workshop, tmp_path: Path
) -> None:
    bench, names = published(lane, lanes.baked(lane, tmp_path_factory, tiny_checkpoint), tmp_path / "bench")
    apart = lane.runtime == "intel-npu-acceleration-library"
    for name in names:
        package = bench.artifacts / "packages" / f"tiny-{name}"
        reader = Reader(tmp_path / f"reader-{name}", next(bench.artifacts.glob("store/setup/*/files/site")) if apart else None)
        reader.folder.mkdir()
        rendered = workshop.holds(f"{OWNER}/Tiny-{name}")["README.md"].decode()
        for language, text in blocks(rendered):
            if language == "sh":
                for line in lines_to_run(lane, text):
                    reader.shell(line)
        manifest = bench.manifest(f"tiny-{name}")
        got = {path.relative_to(reader.folder / f"Tiny-{name}") for path in (reader.folder / f"Tiny-{name}").rglob("*") if path.is_file()}
        assert {path.relative_to(package) for path in package.rglob("*") if path.is_file()} <= got
        assert markdown.text(answer(manifest)) in rendered
        assert f"\n# Tiny-{name}\n" in rendered
        (check,) = re.findall(r"`(sha256sum --check [^`]+)`", rendered)
        reader.shell(check, f"Tiny-{name}")
        for program in programs(lane, rendered):
            assert reader.python(program) == answer(manifest), program
