"""A program for tests: builds of many checkpoints in one process, and how far their logits are from transformers'.

Reads JSON, `{"found": ..., "builds": {NAME: [checkpoint, files, spec, lengths]}}`. Writes into the file `found`, for each
build, what was repaired, and for each length the largest difference of a logit of a prompt of that many tokens and of eight further
tokens, one at a time (float32 both; transformers in one go, without a cache).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from bakehouse.backends.onnxruntime_genai.seams import BuildSpec
from bakehouse.backends.onnxruntime_genai.workers import build as ort_build
from bakehouse.child import hermetic

STEPS = 8


def tokens(count: int) -> list[int]:
    """As many ids, none of them special, in no order that repeats."""
    return [3 + (number * number * 7 + number * 31) % 990 for number in range(count)]


def differences(checkpoint: Path, files: Path, lengths: list[int]) -> list[float]:
    """For each length the largest difference."""
    import numpy
    import onnxruntime_genai as og
    import torch
    from transformers import AutoModelForCausalLM

    source = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32, attn_implementation="eager").eval()
    config = og.Config(str(files))
    config.clear_providers()
    model = og.Model(config)
    found = []
    for length in lengths:
        ids = tokens(length + STEPS)
        params = og.GeneratorParams(model)
        params.set_search_options(do_sample=False, max_length=length + STEPS + 1)
        generator = og.Generator(model, params)
        made: list[Any] = []
        for part in (ids[:length], *([token] for token in ids[length:])):
            generator.append_tokens(part)
            made.append(numpy.array(generator.get_output("logits"), dtype=numpy.float32)[0])
        with torch.inference_mode():
            wanted = source(torch.tensor([ids])).logits[0].numpy()
        found.append(float(abs(numpy.concatenate(made) - wanted).max()))
    return found


def main() -> None:
    """See above."""
    hermetic.seal()
    os.environ["GIT_DIR"] = os.devnull
    request = json.load(sys.stdin)
    logging.disable(logging.WARNING)
    found = {}
    with contextlib.redirect_stdout(sys.stderr):
        import onnxruntime_genai.models  # noqa: F401

        for name, (checkpoint, files, spec, lengths) in request["builds"].items():
            Path(files).mkdir(parents=True)
            repaired = ort_build.build(Path(checkpoint), Path(files), BuildSpec.model_validate_json(spec)).changes
            found[name] = {"repaired": repaired, "differences": differences(Path(checkpoint), Path(files), lengths)}
    Path(request["found"]).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
