"""Whether 8 bits where 4 harm most are better than llama.cpp's choice of layers, in ONNX builds of one size, on SmolLM2-135M-Instruct.

    python -m benchmarks.per_layer_onnx

`mixed_layers` puts the attention inputs and down projections of half the layers into 8 bits. A search with `rank_layers: measured` puts
those layers into 8 bits that lose the most in 4: here as many weights as `mixed_layers`, and a tenth and four tenths of all. Prints a
Markdown table, measured on the windows in which no layer was, with paired intervals; removes what it made.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bakehouse.backends.onnxruntime_genai import backend as ort_genai
from bakehouse.backends.onnxruntime_genai.options import OnnxRuntimeGenAI
from bakehouse.backends.onnxruntime_genai.quantization import OrtInt4
from bakehouse.backends.onnxruntime_genai.weights import name_of
from bakehouse.executor import process
from bakehouse.executor.process import Children
from bakehouse.fidelity_pairs import paired
from bakehouse.records import Fidelity
from bakehouse.steps.maker import Command
from bakehouse.tasks.text_generation import layers
from bakehouse.tasks.text_generation.workers import fidelity_files, layer_harm
from bakehouse.tasks.text_generation.workers.fidelity_files import FIDELITY
from tests.support import fidelity_making, standin
from tests.support.ort_making import Made, build, make, model_step

INT4: dict[str, Any] = {"weights": "int4", "block_size": 32}


def run(command: Command, folder: Path) -> Any:
    """Run a command that fills `folder`."""
    quiet = lambda progress: None  # noqa: E731
    return process.run(command, children=Children(), log=folder / "log.txt", scratch=folder / "scratch", on_progress=quiet)


def measured(one: OnnxRuntimeGenAI, made: Made, reference: Path, folder: Path, unseen: set[int]) -> Fidelity:
    """The fidelity of a model folder, with the windows in which no layer was measured."""
    folder.mkdir()
    step = ort_genai.fidelity("model", one, {"model": model_step(one)}, fidelity_making.REFERENCE)
    assert step is not None
    run(ort_genai.command(step, {"model": made.files, "reference": reference}, folder), folder)
    found = Fidelity.model_validate_json((folder / FIDELITY).read_bytes())
    return found.model_copy(update={"windows": tuple(one for at, one in enumerate(found.windows) if at in unseen)})


def ranked(checkpoint: Path, plain: Made, reference: Path, folder: Path) -> Path:
    """The files of the step that measures layers."""
    folder.mkdir()
    wanted = build(**INT4, ratio=0.5)
    step = ort_genai.sensitivity("model", wanted, {"model": model_step(wanted)}, fidelity_making.REFERENCE)
    assert step is not None
    began = time.monotonic()
    run(ort_genai.command(step, {"checkpoint": checkpoint, "model": plain.files, "reference": reference}, folder), folder)
    print(f"{len(layers.read(folder))} layers: {time.monotonic() - began:.0f} s\n", flush=True)
    return folder


def share_in_4_bits(made: Made) -> float:
    """Of the weights in the layers."""
    inner = [one for one in made.result.graph.weights if name_of(one).startswith("/model/layers.") and one.shape]
    counts = {bits: sum(one.shape[0] * one.shape[1] for one in inner if one.shape and one.bits == bits) for bits in (4, 8)}
    return counts[4] / sum(counts.values())


def rows(checkpoint: Path, scratch: Path) -> Iterator[str]:
    """A row for each way of choosing layers."""
    reference = fidelity_making.reference_of(checkpoint)
    whole = fidelity_files.read_reference(reference)
    looked_at = layer_harm.spread(whole, layers.WINDOWS).windows
    unseen = {at for at, window in enumerate(whole.windows) if window not in looked_at}
    plain = make(build(**INT4), scratch / "plain", checkpoint)
    mixed_build = build(**INT4, matmul_mixed_precision={"mixed_layers": "int8"})
    mixed = make(mixed_build, scratch / "mixed", checkpoint)
    files = ranked(checkpoint, plain, reference, scratch / "layers")
    share = share_in_4_bits(mixed)
    builds = {"all in 4 bits": (build(**INT4), plain), f"mixed_layers (ratio {share:.3f})": (mixed_build, mixed)}
    for ratio in (share, 0.9, 0.6):
        one = ort_genai.keeping(build(**INT4, ratio=ratio), files)
        builds[f"measured, ratio {ratio:.3g}"] = (one, make(one, scratch / f"ratio-{ratio}", checkpoint))
    yield "| layers chosen by | in 8 bits | size | mean KL divergence | same next token | against mixed_layers |"
    yield "|---|---|---|---|---|---|"
    known = {name: measured(*one, reference, scratch / f"fidelity-{number}", unseen) for number, (name, one) in enumerate(builds.items())}
    for name, (one, made) in builds.items():
        assert isinstance(one.quantization, OrtInt4) and made.verification.faults == ()
        eight = sum(matrix.bits == 8 for matrix in made.result.graph.weights)
        size = (made.files / "model.onnx.data").stat().st_size
        own = known[name].windows
        positions = sum(window.positions for window in own)
        kl, same = sum(window.kl_sum for window in own) / positions, sum(window.same for window in own) / positions
        pair = paired(known[name], known[list(builds)[1]])
        assert pair is not None
        gap = pair.difference
        against = f"{gap.value:+.4f} ({gap.low:+.4f} to {gap.high:+.4f})" if one is not mixed_build else ""
        yield f"| {name} | {eight} | {size / 1e6:.1f} MB | {kl:.4f} | {100 * same:.1f} % | {against} |"


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        for line in rows(standin.smollm2_checkpoint(), Path(scratch)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
