"""Compares what the NPU pipeline's graphs of fixed shape compute with what the same model computes in the CPU plugin, both on the CPU.

NPUW rewrites a model for them: masks for the places that a shorter input leaves empty, prompts in chunks. It does so by pattern, and a
model that no pattern fits can come out as another (gpt_neo, OpenVINO 2026.4.1). A prompt's graph gives the logits of its last token only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bakehouse.backends.openvino.workers import logits as openvino_logits
from bakehouse.child import events
from bakehouse.formats.config_json import Config
from bakehouse.tasks.text_generation.seams import Failed, Figures, GraphsCompared, Precision
from bakehouse.tasks.text_generation.workers import logits_compare, positions_to_check
from bakehouse.tasks.text_generation.workers.logits_compare import Group
from bakehouse.tasks.text_generation.workers.logits_tolerance import TOLERANCES
from bakehouse.tasks.text_generation.workers.positions_to_check import Run

MODEL = "openvino_model.xml"
_SHORT, _STEPS, _MOST = 24, 8, 2048  # tokens; _MOST has two of NPUW's chunks
_LARGE_BYTES = 1_000_000_000
_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")
_PRECISION: Precision = "float16"  # NPUW keeps keys and values in it, and converts bfloat16 weights to it


class Runner:
    """The two graphs, as the pipeline compiles them."""

    def __init__(self, folder: Path, lengths: Mapping[str, int], settings: Mapping[str, str]) -> None:
        """`settings` are the pipeline's own besides the two lengths.

        Raises:
            RuntimeError: they cannot be compiled.
        """
        import openvino as ov

        hints = {f"NPUW_LLM_{name}": value for name, value in settings.items() if name in ("PREFILL_HINT", "GENERATE_HINT")}
        rest = {name: value for name, value in settings.items() if name not in ("PREFILL_HINT", "GENERATE_HINT", *lengths)}
        axes = {"NPUW_LLM": "YES", "NPUW_LLM_BATCH_DIM": 0, "NPUW_LLM_SEQ_LEN_DIM": 2}
        fixed = {f"NPUW_LLM_{name}": value for name, value in lengths.items()}
        compiled = ov.Core().compile_model(folder / MODEL, "NPU", {**axes, **fixed, **hints, **rest})
        self.names = {name for port in compiled.inputs for name in port.names}
        self.request = compiled.create_infer_request()

    def evaluate(self, ids: list[int], prefill: int, scored: Sequence[int]) -> dict[int, Any]:
        """See logits_compare.Evaluate."""
        self.request.reset_state()
        rows = {prefill - 1: self._infer(ids[:prefill], 0)}
        return rows | {at: self._infer(ids[at : at + 1], at) for at in range(prefill, len(ids))}

    def _infer(self, ids: list[int], past: int) -> Any:
        values = openvino_logits.inputs(ids, past)
        self.request.infer({name: value for name, value in values.items() if name in self.names})
        return self.request.get_tensor("logits").data[0][-1].copy()


def prompts_of(config: Config, longest: int, large: bool = False) -> tuple[int, ...]:
    """The lengths of the prompts that are compared: short, beyond each boundary of the model that the graphs hold, nearly the longest.

    Each costs as much as the longest, so with a large model the short one is left to the golden prompts.
    """
    beyond = [one.tokens + max(_STEPS, one.tokens // 32) for one in positions_to_check.boundaries(config)]
    short = () if large else (min(_SHORT, longest),)
    return tuple(sorted({*short, *(tokens for tokens in beyond if tokens <= longest), min(longest, _MOST) - _STEPS}))


def check(folder: Path, ids: list[int], lengths: Mapping[str, int], settings: Mapping[str, str]) -> GraphsCompared:
    """Refuse graphs that do not compute what the model does, else how near they come.

    Args:
        folder: the model with its config.json.
        ids: tokens of some text, repeated as often as needed.
        lengths: MAX_PROMPT_LEN and MIN_RESPONSE_LEN.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    large = (folder / MODEL).with_suffix(".bin").stat().st_size > _LARGE_BYTES
    sizes = prompts_of(config, lengths["MAX_PROMPT_LEN"], large)
    events.progress("comparing the graphs' logits with the model's")
    text = (ids * (sum(lengths.values()) // len(ids) + 1))[: sum(lengths.values())]
    runs = [Run("prompt", size + _STEPS, size, tuple(range(size - 1, size + _STEPS))) for size in sizes]
    plain = openvino_logits.Runner(folder)
    rows = [plain.evaluate(text[: size + _STEPS], size, run.scored) for size, run in zip(sizes, runs, strict=True)]
    del plain  # two more graphs take its memory
    logits = [_stack([found[at] for at in run.scored]) for found, run in zip(rows, runs, strict=True)]
    group = Group(1, 1, joined=False, pruned=False, ids=text, runs=runs, logits=logits)
    found, _ = logits_compare.compare(group, Runner(folder, lengths, settings).evaluate, _PRECISION)
    if wrong := list(faults(found, any(config.get(name) for name in _EXPERTS))):
        events.refuse(
            "The NPU pipeline's graphs of fixed shape do not compute what the model computes.",
            "Build this model for the runtime openvino, or try another prefill_hint or max_prompt_len.",
            wrong,
        )
    return GraphsCompared(prompts=sizes, largest_kld=max(max(run.kld) for run in found if isinstance(run, Figures)))


def faults(runs: Sequence[Figures | Failed], experts: bool) -> Iterator[str]:
    """Sentences on the prompts whose figures are those of another computation.

    The figures of a prompt are those of its last token and of the tokens after it. A router of experts can flip a near-tie at one token,
    so with experts half of all prompts have to be off.
    """
    most = TOLERANCES[_PRECISION]
    wrong = [run for run in runs if isinstance(run, Failed) or _off(run.kld, run.relative, most.kld, most.relative)]
    if experts and 2 * len(wrong) <= len(runs) and not any(isinstance(run, Failed) for run in wrong):
        return
    for run in wrong:
        yield (
            f"a prompt of {run.prefill:,} tokens does not run: {run.error}"
            if isinstance(run, Failed)
            else f"after a prompt of {run.prefill:,} tokens the logits differ: KLD {max(run.kld):.2g}, "
            f"a difference of up to {max(run.relative):.2g} standard deviations"
        )


def _off(kld: Sequence[float], relative: Sequence[float], most_kld: float, most_relative: float) -> bool:
    """Whether the prompt's last token is off, or half of those after it."""
    off = [not (one <= most_kld and far <= most_relative) for one, far in zip(kld, relative, strict=True)]
    return off[0] or 2 * sum(off[1:]) >= len(off)


def _stack(rows: Sequence[Any]) -> Any:
    import numpy as np

    return np.stack(rows)
