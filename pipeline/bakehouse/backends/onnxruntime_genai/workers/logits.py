"""Compares what the model builder's graph computes in ONNX Runtime GenAI with what the source computes in transformers, by position.

On the CPU provider, with weights in floating point: what quantization changes is no fault of the graph. A float build that is compared
whole is run itself; for every other one the builder makes the same graph in float, of all layers or of the first ones, for this alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bakehouse.backends.onnxruntime_genai import genai_config
from bakehouse.backends.onnxruntime_genai.seams import LogitsRequest
from bakehouse.child import events, start, temporary
from bakehouse.tasks.text_generation.seams import Failed, Figures, NumericResult, Precision
from bakehouse.tasks.text_generation.workers import logits_compare
from bakehouse.tasks.text_generation.workers.logits_compare import Compared, Group

_ROOM = 8
_WORTH = 256  # tokens whose computing is worth saving: a shorter input is given as it is
PRECISIONS: Mapping[str, Precision] = {"fp32": "float32", "fp16": "float16"}


class Runner:
    """A model folder, loaded on the CPU provider, or `model` that is loaded from it.

    `reuse`: a cache is cut back to where the next input parts from it, which is sound where logits at a position do not depend on
    later tokens, and where the runtime can. What comes out wrong so has to be tried without.
    """

    def __init__(self, folder: Path, reuse: bool = False, model: Any = None) -> None:
        found = genai_config.read(folder)
        self.context, self.window = found.model.context_length, found.window
        self.model = model or _on_cpu(folder)
        self.reuse = reuse
        self.generator: Any = None
        self.cached: list[int] = []
        self.room = 0

    def evaluate(self, ids: list[int], prefill: int, scored: Sequence[int]) -> dict[int, Any]:
        """See logits_compare.Evaluate; where the head is pruned only the last position of each call has logits.

        Where caches are reused, many tokens between those that are compared come together.
        """
        past = prefill - 1 if self.reuse and prefill < len(ids) and self._cut_back(ids, prefill - 1) else 0
        if not past:
            self._start(len(ids))
        self.cached = []  # should this end in an error
        rows: dict[int, Any] = {}
        for end in logits_compare.ends(len(ids), prefill, scored, self.reuse):
            rows |= self._append(self.generator, ids[past:end], past, scored)
            past = end
        self.cached = list(ids)
        return rows

    def _start(self, tokens: int) -> None:
        import onnxruntime_genai as og

        self.generator = None  # its cache goes before there is another
        params = og.GeneratorParams(self.model)
        # The cache of a windowed model must have room for the window (0.18.0: "KV cache capacity must be at least local_window_size").
        self.room = min(self.context, max(tokens, self.window) + _ROOM)
        params.set_search_options(do_sample=False, num_beams=1, batch_size=1, max_length=self.room)
        self.generator = og.Generator(self.model, params)

    def _cut_back(self, ids: list[int], tokens: int) -> bool:
        """Leave only the first tokens in the cache; False if it has others, or the runtime cannot."""
        if not _WORTH < tokens < len(self.cached) or self.cached[:tokens] != ids[:tokens] or len(ids) > self.room:
            return False
        try:
            self.generator.rewind_to(tokens)
        except RuntimeError:  # the only type that the runtime raises
            return False
        return True

    def _append(self, generator: Any, ids: list[int], past: int, scored: Sequence[int]) -> dict[int, Any]:
        import numpy as np

        generator.append_tokens(ids)
        wanted = [at for at in scored if past <= at < past + len(ids)]
        if not wanted:
            return {}
        logits = np.asarray(generator.get_output("logits"))[0]
        first = past + len(ids) - len(logits)  # the last positions are those that have logits
        return {at: logits[at - first].astype(np.float32) for at in wanted if at >= first}


def _on_cpu(folder: Path) -> Any:
    import onnxruntime_genai as og

    config = og.Config(str(folder))
    config.clear_providers()
    return og.Model(config)


@contextmanager
def built(group: Group, request: LogitsRequest) -> Iterator[Path]:
    """The build itself, or one in float of all layers or of the first ones."""
    if group.is_whole and request.model is not None:
        yield request.model
        return
    from bakehouse.backends.onnxruntime_genai import source
    from bakehouse.backends.onnxruntime_genai.workers import build as ort_build
    from bakehouse.tasks.text_generation.workers import transformers_logits

    with (
        transformers_logits.first_layers(request.checkpoint, group.layers, group.of) as checkpoint,
        temporary.folder() as folder,
    ):
        ort_build.build(checkpoint, Path(folder), request.spec, ["prune_lm_head=true"] if group.pruned else [])
        ort_build.fix_config(Path(folder), source.generation(checkpoint))
        yield Path(folder)


def compared(group: Group, folder: Path, precision: Precision, provider: str) -> Compared:
    """The figures of a group; of a graph for another provider that the CPU provider cannot run at all, only that it is so."""
    events.progress("loading the model")
    try:
        runner = Runner(folder, reuse=group.joined)
        found, beyond = logits_compare.compare(group, runner.evaluate, precision, runner.context)
        if runner.reuse and logits_compare.any_wrong(found, precision):
            runner.reuse = False
            found, beyond = logits_compare.compare(group, runner.evaluate, precision, runner.context)
        errors = [run.error for run in found if isinstance(run, Failed)]
    except RuntimeError as error:  # the only type that the runtime raises
        if provider == "cpu":
            raise
        found, beyond, errors = [], [], [str(error).strip().splitlines()[0]]
    if provider != "cpu" and len(errors) >= len(found):
        return [], [("all lengths", f"the CPU provider does not run the graph for {provider}: {errors[0][:300]}")]
    return found, beyond


def run(request: LogitsRequest) -> NumericResult:
    """Measure every group of runs that the reference has, and write the figures."""
    os.environ["GIT_DIR"] = os.devnull  # see build
    precision = PRECISIONS[request.spec.quantization.weights]
    groups, not_checked = logits_compare.read(request.reference)
    if request.model is None and len(groups) > 1:  # all layers once more in float would take longer than the build itself
        groups = [group for group in groups if not group.is_whole]
    runs: list[Figures | Failed] = []
    for group in groups:
        with built(group, request) as folder:
            found, beyond = compared(group, folder, precision, request.spec.execution_provider)
        runs += found
        not_checked += beyond
    return logits_compare.write(request.files, runs, not_checked, precision)


if __name__ == "__main__":
    start.run(run, LogitsRequest)
