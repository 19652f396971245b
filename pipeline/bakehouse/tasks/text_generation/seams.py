"""What crosses between the pipeline and the workers of text generation: specs of steps, requests and results. All are JSON on disk."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Literal

from pydantic import Field, field_serializer

from bakehouse.records import Written
from bakehouse.steps.seam import Request, Result, Spec
from bakehouse.tasks.text_generation.workers.answers import Prompt
from bakehouse.tasks.text_generation.workers.positions_to_check import Boundary, Run
from bakehouse.tasks.workers.tokenizer_difference import Difference

Precision = Literal["float32", "float16"]
NotChecked = tuple[str, str]  # what was not compared, and why


# --- answers --------------------------------------------------------------------------------------


class ReferenceSpec(Spec):
    """The reference: prompts, each with one kind of text, and below how many weights it is computed in float32."""

    prompts: tuple[Prompt, ...]
    float32_below: int
    remote_code: bool
    # Of adapters that are applied while it runs. Left out if there are none, so that the keys of the others stay the same.
    scales: tuple[float, ...] = Field((), exclude_if=lambda scales: not scales)

    @field_serializer("prompts")
    def _as_in_the_key(self, prompts: tuple[Prompt, ...]) -> list[dict[str, object]]:
        """Without the kind of text that a prompt does not have."""
        return [{name: value for name, value in asdict(prompt).items() if value is not None} for prompt in prompts]


class GenerateRequest(Request):
    """The prompts for a model. A backend adds what its own runtime needs.

    Attributes:
        model: the model's folder, laid out as in the package.
        answers: the file to write, a line of JSON (`AnswerRow`) for each prompt.
    """

    model: Path
    prompts: tuple[Prompt, ...]
    answers: Path


class UsedAnswers(Result):
    """How the prompts were answered once more, as the card's program runs the model.

    Attributes:
        runtime_options: empty for the runtime's defaults.
        precision: what the device then computes in ("bf16"); "" for the model's own.
        remedy: what to do about a model that is right in its own precision only.
    """

    runtime_options: dict[str, str]
    precision: str = ""
    remedy: str


class DraftedAnswers(Result):
    """The prompts answered once more with a draft: tokens that it proposed and that the model chose, and what all answers took."""

    proposed: int
    accepted: int
    seconds: float
    seconds_without: float


class AdaptedAnswers(Result):
    """The prompts answered once more without the adapters that a model has next to it, and how many layers these have a part for.

    `without_effect` are the parts that changed nothing when they were applied alone.
    """

    layers: int
    without_effect: tuple[str, ...] = ()


class GraphsCompared(Result):
    """How near graphs of fixed shape come to the model that they were made of: lengths of the prompts in tokens, divergence in nats."""

    prompts: tuple[int, ...]
    largest_kld: float


class GenerateResult(Result):
    """What the answers were made on.

    Attributes:
        device: as the runtime calls it: "CPU".
        load_s: time to load the model.
        end_tokens: ids that end an answer, where the runtime names them.
        stand_in: whether the device only stands in for the one that the model is made for; `why_not_there` is the runtime's reason.
        runtime_options: what the runtime got in addition to its defaults.
        not_run: parts that are made for other devices.
        in_use: of a runtime that computes in another precision by default.
        drafted: of a model with a draft.
        adapted: of a model with separate adapters.
    """

    device: str
    device_name: str
    load_s: float
    end_tokens: tuple[int, ...] | None = None
    stand_in: bool = False
    why_not_there: str | None = None
    runtime_options: dict[str, str] = Field(default_factory=dict)
    not_run: tuple[str, ...] = ()
    in_use: UsedAnswers | None = None
    drafted: DraftedAnswers | None = None
    adapted: AdaptedAnswers | None = None
    graphs: GraphsCompared | None = None


class ReferenceRequest(Request):
    """The prompts for an unquantized checkpoint, and the file for its answers; with adapters, each with its scale."""

    checkpoint: Path
    prompts: tuple[Prompt, ...]
    answers: Path
    float32_below: int
    remote_code: bool
    adapters: tuple[Path, ...] = ()
    scales: tuple[float, ...] = ()


class ReferenceResult(Result):
    """What the reference was computed on, and in which precision ("float32"); `tokenizer_corrected` as `TokenizerRead` has it."""

    device: str
    device_name: str
    load_s: float
    dtype: str
    end_tokens: tuple[int, ...]
    tokenizer_corrected: str | None = None


class CountRequest(Request):
    """Prompts whose tokens the checkpoint's own tokenizer counts."""

    checkpoint: Path
    prompts: tuple[Prompt, ...]


class CountResult(Result):
    """Tokens of each prompt; None for a chat that the template refuses."""

    counts: tuple[int | None, ...]


# --- tokenizers -----------------------------------------------------------------------------------


class TokenizerRead(Result):
    """What a worker reports of a tokenizer that it has read; results of backends extend it.

    Attributes:
        eos_token_id: the tokenizer's own end token.
        turn_end_id: the token with which the chat template ends an answer.
        tokenizer_corrected: what was taken in place of transformers' own tokenizer, if that is not the one of tokenizer.json.
        conversion_corrected: what was done about a conversion that came out otherwise than its source.
    """

    eos_token_id: int | None = None
    turn_end_id: int | None = None
    tokenizer_corrected: str | None = None
    conversion_corrected: str | None = None


class TokenizerComparison(Result):
    """Where a runtime's tokenizer differs from transformers', of how many texts and chats."""

    texts: int
    chats: int
    differences: tuple[Difference, ...]


# --- logits ---------------------------------------------------------------------------------------


class LogitsSpec(Spec):
    """The source's logits: what limits how much is compared (see positions_to_check)."""

    remote_code: bool
    budget: float
    first_factor: int
    whole_below: int


class LogitsRequest(Request):
    """The checkpoint whose logits are computed, and the folder that gets them."""

    checkpoint: Path
    files: Path
    remote_code: bool


class LogitsResult(Result):
    """On how many of the first layers, `of` how many, inputs of which lengths in tokens are compared, and which are not."""

    layers: int
    of: int
    inputs: tuple[int, ...]
    not_checked: tuple[NotChecked, ...]


class CheckedGroup(Result):
    """The runs on so many of the first layers; `pruned`: only the last position of a call has logits, else memory would not do."""

    layers: int
    pruned: bool
    runs: tuple[Run, ...]


class Checked(Result):
    """check.json: what is compared, of which ids; the logits of group G's run R are the array G-R of logits.npz."""

    of: int
    joined: bool
    ids: tuple[int, ...]
    groups: tuple[CheckedGroup, ...]
    not_checked: tuple[NotChecked, ...]


class _OfRun(Result):
    """The input of `tokens`, the first `prefill` of them at once, on so many layers of how many."""

    name: str
    tokens: int
    prefill: int
    crosses: Boundary | None = None
    layers: int
    of: int

    @property
    def stepped(self) -> bool:
        """Whether tokens come one by one."""
        return self.prefill < self.tokens


class Figures(_OfRun):
    """At each position that was compared divergence in nats and relative difference; at how many the next token is the same."""

    kld: tuple[float, ...]
    relative: tuple[float, ...]
    same: int
    positions: int


class Failed(_OfRun):
    """A run that the runtime ended with an error."""

    error: str


class Numeric(Result):
    """numeric.json: the figures of every run, what was not compared, and the precision that the artifact computes in."""

    runs: tuple[Figures | Failed, ...]
    not_checked: tuple[NotChecked, ...]
    precision: Precision


class NumericResult(Result):
    """What a worker leaves that compared logits."""

    numeric: Numeric


# --- fidelity -------------------------------------------------------------------------------------


class FidelityReferenceSpec(Spec):
    """The source's distributions: the version of the definitions, the text and what is kept and scored of it (see fidelity_figures)."""

    definitions: int
    text: str
    shipped_sha256: str
    kept: int
    first_scored: int
    longest: int
    most: int
    answer_tokens: int
    float32_below: int
    remote_code: bool


class FidelityReferenceRequest(Request):
    """The checkpoint, the recipe's own text (None for the shipped one) with its name, and the folder that gets the distributions."""

    checkpoint: Path
    texts: Path | None
    text: str
    files: Path
    answer_tokens: int
    float32_below: int
    remote_code: bool


class FidelityReferenceResult(Result):
    """The precision that the source was computed in ("float32"), in how many windows and at how many positions."""

    dtype: str
    windows: int
    positions: int


class FidelitySpec(Spec):
    """How a model is measured: at about so many positions, or at all; a backend adds what its runtime needs."""

    positions: int | None = None


class FidelityRequest(Request):
    """What the source's distributions are in, at about how many positions a model is compared, and the folder that gets the figures."""

    reference: Path
    files: Path
    positions: int | None


# --- tasks of lm-eval -----------------------------------------------------------------------------


class EvaluateRequest(Request):
    """Carry out tasks of lm-eval with a package's model; a backend adds what its runtime needs.

    Attributes:
        tasks: YAML files as lm-eval has them, whose data are local files.
        few_shot: examples before each question; None for what the task says.
        limit: only the first documents of each task; None for all.
    """

    tasks: tuple[Path, ...]
    few_shot: int | None
    limit: int | None


class Score(Written):
    """One figure of a task: lm-eval's name of it and of the filter, its standard error where it has one, and whether more is better."""

    metric: str
    filter: str
    value: float
    stderr: float | None = None
    higher_is_better: bool | None = None


class TaskResult(Written):
    """What a model reaches in one task.

    Attributes:
        version: of the task's definition, as its file says it.
        sha256: of that definition and of the data, so that two results can be known to be of the same questions.
        documents: how many questions were answered, of `of_documents`.
    """

    task: str
    version: str
    sha256: str
    documents: int
    of_documents: int
    few_shot: int
    scores: tuple[Score, ...]


class EvaluateResult(Result):
    """What a worker leaves that carried out tasks; where, and how long it took."""

    device: str
    device_name: str
    note: str = ""
    seconds: float
    results: tuple[TaskResult, ...]
