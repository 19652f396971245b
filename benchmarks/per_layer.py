"""Whether 4 bits where they harm least are better than NNCF's own choice by `ratio`, at the same size, on SmolLM2-135M-Instruct.

    python -m benchmarks.per_layer
    python -m benchmarks.per_layer --windows 4 --ratios 0.8

Every linear layer gets its harm: the mean KL divergence with only that layer in 4 bits, in a few windows of text, in torch. For the size
that a ratio comes to, the layers with the least harm for each weight go into 4 bits (`measured`), or the last ones (`last`), which needs
no measuring; all others have 8 bits, as with a ratio. A further row keeps layers in 16 bits, which is all that `ignored_scope` of a
recipe can say. Prints a Markdown table, measured on the other windows, with paired intervals; removes what it made.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nncf
import numpy as np
import openvino as ov
import torch

from bakehouse.backends.openvino.workers import fidelity as openvino_fidelity
from bakehouse.backends.openvino.workers.logits import ACCURATE, inputs
from bakehouse.child import events
from bakehouse.fidelity_pairs import paired
from bakehouse.records import Fidelity
from bakehouse.tasks.text_generation.workers import fidelity_figures, fidelity_files
from bakehouse.tasks.text_generation.workers.fidelity_files import FIDELITY, Reference
from tests.support import fidelity_making, openvino_making, standin

GROUP = 32
INT4_BYTES = 0.5 + (2 + 0.5) / GROUP  # of a weight with its share of scale and zero point
SAVED_TO_INT8, SAVED_TO_FLOAT = 1 - INT4_BYTES, 2 - INT4_BYTES


@dataclass(frozen=True)
class Layer:
    """A linear layer: its name in torch, that of its MatMul in the graph, how many weights it has, and the harm of 4 bits."""

    name: str
    node: str
    weights: int
    harm: float


def rounded(weight: torch.Tensor) -> torch.Tensor:
    """A weight after asymmetric 4 bits in groups, as NNCF rounds without data."""
    groups = weight.reshape(weight.shape[0], -1, GROUP)
    low, high = groups.amin(-1, keepdim=True).clamp(max=0), groups.amax(-1, keepdim=True).clamp(min=0)
    scale = ((high - low) / 15).clamp(min=1e-8)
    zero = (-low / scale).round()
    return (((groups / scale).round() + zero).clamp(0, 15) - zero).mul(scale).reshape(weight.shape)


def sensitivities(checkpoint: Path, reference: Reference, nodes: Mapping[str, str]) -> list[Layer]:
    """Every linear layer of the blocks, with its harm in the windows of `reference`."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()

    def measured() -> float:
        def logits(window: Any) -> Any:
            with torch.no_grad():
                return model(torch.tensor([window.ids[:-1]])).logits[0, window.first :].numpy()

        return float(fidelity_figures.figures(fidelity_files.measure(reference, logits, None))["kl_mean"]["value"])

    floor, found = measured(), list[Layer]()
    for name, module in model.named_modules():
        if not isinstance(module, torch.nn.Linear) or name not in nodes:
            continue
        before = module.weight.data
        module.weight.data = rounded(before)
        found.append(Layer(name, nodes[name], before.numel(), max(measured() - floor, 0.0)))
        module.weight.data = before
        print(f"  {name}: {found[-1].harm:.5f}", file=sys.stderr, flush=True)
    return found


def named(export: Path) -> dict[str, str]:
    """torch's name of each linear layer of the blocks -> the name of its MatMul."""
    graph = ov.Core().read_model(export / "openvino_model.xml")
    found = {}
    for node in graph.get_ops():
        name = node.get_friendly_name()
        if node.get_type_name() == "MatMul" and ".layers." in name and "_proj" in name:
            found[name.removeprefix("__module.").partition("/")[0]] = name
    return found


def ratio(export: Path, to: Path, share: float, texts: Reference | None = None) -> None:
    """As a recipe with this ratio has it; with texts by NNCF's metric that looks at activations."""
    options: dict[str, Any] = {"mode": nncf.CompressWeightsMode.INT4_ASYM, "ratio": share, "group_size": GROUP}
    model = ov.Core().read_model(export / "openvino_model.xml")
    if texts is not None:
        names = {name for port in model.inputs for name in port.names}
        data = [{name: value for name, value in inputs(window.ids).items() if name in names} for window in texts.windows]
        options |= {"dataset": nncf.Dataset(data), "sensitivity_metric": nncf.SensitivityMetric.HESSIAN_INPUT_ACTIVATION}
    ov.save_model(nncf.compress_weights(model, **options), to / "openvino_model.xml", False)


def chosen(export: Path, to: Path, kept: Sequence[str], *, as_float: bool) -> None:
    """All layers in 4 bits but those that are kept, which have 8 or 16."""
    scope = nncf.IgnoredScope(names=list(kept)) if kept else None
    model = ov.Core().read_model(export / "openvino_model.xml")
    model = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT4_ASYM, ratio=1.0, group_size=GROUP, ignored_scope=scope)
    if kept and not as_float:  # a second pass leaves what is compressed already as it is
        model = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_ASYM)
    ov.save_model(model, to / "openvino_model.xml", False)


def knapsack(layers: Sequence[Layer], most: float, saved: float, order: Callable[[Layer], float]) -> list[str]:
    """The nodes that are kept out of 4 bits so that those in 4 bits save at least `most` bytes: the least harmful go first."""
    left, kept = most, []
    for layer in sorted(layers, key=order):
        if left > 0:
            left -= layer.weights * saved
        else:
            kept.append(layer.node)
    return kept


def size(folder: Path) -> int:
    return (folder / "openvino_model.bin").stat().st_size


def measured(folder: Path, reference: Reference) -> Fidelity:
    found = openvino_fidelity.measure(folder, reference, None, ACCURATE, "measuring")
    fidelity_files.write(folder, reference, found, "CPU")
    return Fidelity.model_validate_json((folder / FIDELITY).read_bytes())


def rows(export: Path, layers: Sequence[Layer], ratios: Sequence[float], train: Reference, test: Reference, scratch: Path) -> Iterator[str]:
    """A row for each way and size."""
    total = sum(layer.weights for layer in layers)
    place = {layer.node: -number for number, layer in enumerate(layers)}
    yield "| size of | chosen by | layers in 4 bits | other layers | size | mean KLD | against the ratio |"
    yield "|---|---|---|---|---|---|---|"
    for share in ratios:
        plain = scratch / f"ratio-{share}"
        plain.mkdir()
        ratio(export, plain, share)
        budget, first = size(plain), measured(plain, test)
        yield row(share, "ratio", "", "8 bits", budget, first, "")
        aware = scratch / f"aware-{share}"
        aware.mkdir()
        ratio(export, aware, share, train)
        found = measured(aware, test)
        yield row(share, "ratio, by Hessian input activation", "", "8 bits", size(aware), found, difference(found, first))
        ways = (
            ("measured", SAVED_TO_INT8, False, lambda layer: layer.harm / layer.weights),
            ("last", SAVED_TO_INT8, False, lambda layer: place[layer.node]),
            ("measured", SAVED_TO_FLOAT, True, lambda layer: layer.harm / layer.weights),
        )
        for number, (way, saved, as_float, order) in enumerate(ways):
            folder = scratch / f"{share}-{number}"
            folder.mkdir()
            wanted, kept = fitted(export, folder, budget, total, layers, saved, as_float, order)
            if as_float:
                (scratch / f"scope-{share}.json").write_text(json.dumps({"names": kept}))
            found = measured(folder, test)
            four = f"{len(layers) - len(kept)} of {len(layers)}"
            yield row(share, way, four, "16 bits" if as_float else "8 bits", wanted, found, difference(found, first))
            shutil.rmtree(folder)


def difference(found: Fidelity, plain: Fidelity) -> str:
    pair = paired(found, plain)
    assert pair is not None
    return f"{pair.difference.value:+.4f} ({pair.difference.low:+.4f} to {pair.difference.high:+.4f})"


def fitted(
    export: Path,
    folder: Path,
    budget: int,
    total: int,
    layers: Sequence[Layer],
    saved: float,
    as_float: bool,
    order: Callable[[Layer], float],
) -> tuple[int, list[str]]:
    """Make the largest model within the budget; its size, and the nodes that do not get 4 bits."""
    all_int4 = folder / "all"
    all_int4.mkdir()
    chosen(export, all_int4, (), as_float=as_float)
    room = budget - size(all_int4)  # what keeping layers may cost
    kept = knapsack(layers, total * saved - max(room, 0), saved, order)
    chosen(export, folder, kept, as_float=as_float)
    return size(folder), kept


def row(share: float, way: str, layers: str, rest: str, bytes_: int, found: Fidelity, gap: str) -> str:
    kl = found.figures.kl_mean
    return f"| ratio {share} | {way} | {layers} | {rest} | {bytes_ / 1e6:.1f} MB | {kl.value:.4f} ({kl.low:.4f} to {kl.high:.4f}) | {gap} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=2, help="windows of text for the sensitivities")
    parser.add_argument("--ratios", type=float, nargs="+", default=[0.6, 0.8])
    parser.add_argument("--keep", type=Path, help="a file that keeps the sensitivities, and from which they are read")
    parser.add_argument("--scopes", action="store_true", help="print the ignored_scope of each row with 16 bits, for a recipe")
    given = parser.parse_args()
    os.environ[events.CHANNEL] = str(os.open(os.devnull, os.O_WRONLY))  # progress is for whoever has started a worker
    checkpoint = standin.smollm2_checkpoint()
    whole = fidelity_files.read_reference(fidelity_making.reference_of(checkpoint))
    spread = whole.windows[:: max(1, len(whole.windows) // given.windows)][: given.windows]
    train = fidelity_files.select(whole, lambda window: window in spread)
    test = fidelity_files.select(whole, lambda window: window not in spread)
    with tempfile.TemporaryDirectory() as scratch:
        config = openvino_making.steps(weights="int4")["config"]
        export = openvino_making.make(config, Path(scratch) / "export", checkpoint=checkpoint).files
        began = time.monotonic()
        if given.keep and given.keep.exists():
            layers = [Layer(**one) for one in json.loads(given.keep.read_text())]
        else:
            layers = sensitivities(checkpoint, train, named(export))
        if given.keep:
            given.keep.write_text(json.dumps([vars(one) for one in layers]))
        positions = sum(len(window.scored) for window in train.windows)
        print(f"{len(layers)} layers at {positions} positions: {time.monotonic() - began:.0f} s\n", flush=True)
        for line in rows(export, layers, given.ratios, train, test, Path(scratch)):
            print(line, flush=True)
        for file in sorted(Path(scratch).glob("scope-*.json")) if given.scopes else ():
            print(f"\nignored_scope of {file.stem.removeprefix('scope-')}: {file.read_text()}")


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()
