"""What is written: the record of a step in the store, and the values that records and manifests consist of."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class FileRecord(Written):
    """One file: path relative to `files/` with forward slashes, size in bytes, sha256 in hex."""

    path: str
    size: int
    sha256: str


class Ran(Written):
    """A command as it was run, and what its worker was given; paths under the artifacts folder are relative to it."""

    argv: tuple[str, ...]
    # Left out where it is None: of programs that get none, and in packages of older versions, whose bytes have to stay.
    request: dict[str, JsonValue] | None = Field(None, exclude_if=lambda request: request is None)
    upstream: str = ""
    seconds: float
    peak_memory_bytes: int


class StepRecord(Written):
    """The `manifest.json` next to the `files/` of one step in the store; if it exists, the directory is complete."""

    schema_version: int = 1
    kind: str
    maker: str
    label: str
    key: str
    options: dict[str, JsonValue]
    needs: dict[str, str]  # role -> "kind/key"
    tools: dict[str, str]
    format: int
    files: tuple[FileRecord, ...]
    ran: tuple[Ran, ...]
    facts: dict[str, JsonValue]  # what the worker reported
    measured: dict[str, JsonValue]  # what verify read from the artifact
    made_at: datetime
    made_on: dict[str, str]  # machine class: os, architecture, processor, memory, python


class Agreement(Written):
    """How much of an answer is the same as the unquantized model's: tokens of the common beginning, and of both answers.

    `near_tie` is set if a full-precision build takes the source's second-best token and the source prefers its best one so little that
    rounding decides: the difference in logits. `compared_tokens` is how many could be compared, if the answer passes a length at which
    transformers computes all tokens again and the runtime does not.
    """

    common_tokens: int
    answer_tokens: int
    source_tokens: int
    near_tie: float | None = None
    compared_tokens: int | None = Field(default=None, exclude_if=lambda tokens: tokens is None)


PoolingMode = Literal["cls", "mean", "last_token"]


class Pooling(Written):
    """How the states of a text's tokens become one vector: which are taken, and whether the vector is divided by its length.

    `max_tokens`: what is beyond so many tokens is cut off first; None for the model's own limit.
    """

    mode: PoolingMode
    normalize: bool
    max_tokens: int | None = None


class Similarity(Written):
    """How near the vectors of texts are to a query's, by the model and by its source; `least_to_source`: of a vector and the source's."""

    texts: tuple[str, ...]
    cosines: tuple[float, ...]
    of_source: tuple[float, ...]
    least_to_source: float


Timestamps = Literal["segments", "words"]


class Timed(Written):
    """A segment or a word of what is heard, and when it is said, in seconds; `end_s` is None for one that the recording cuts off."""

    text: str
    start_s: float
    end_s: float | None


class Times(Written):
    """When it is said, and how far starts and ends are from the source's, in the mean and at most; None where none can be compared."""

    kind: Timestamps
    timed: tuple[Timed, ...]
    mean_difference_s: float | None
    largest_difference_s: float | None


class Transcript(Written):
    """What the source heard in a recording, and what share of the words differs: from that, and from what was said if the recipe has it.

    `source_error` is the source's own share of words that differ from what was said.
    """

    source: str
    word_error: float
    said_error: float | None = None
    source_error: float | None = None
    times: Times | None = Field(None, exclude_if=lambda times: times is None)


class Ranking(Written):
    """The score of each text for a query by the model and by its source, and the largest difference between the two.

    `around` is what a model that writes text gets before and after a text.
    """

    texts: tuple[str, ...]
    scores: tuple[float, ...]
    of_source: tuple[float, ...]
    largest_difference: float
    around: tuple[str, str] | None = Field(None, exclude_if=lambda around: around is None)


class Drawing(Written):
    """How far a picture is from the source's: the mean difference of the colours, 0 to 255."""

    width: int
    height: int
    difference: float


class Verdict(Written):
    """One golden prompt, the answer that the artifact gave in its real runtime, and the verdict on it.

    Of embeddings and rerankers the prompt is a query, and the answer the text that fits it best; of speech recognition the prompt is a
    recording; of vision-language models it is about a picture, which only the recipe names. `similarity`, `ranking`,
    `transcript` and `drawing` have the rest.
    """

    prompt: str
    answer: str
    tokens: tuple[int, ...]
    ended: bool  # by itself, with an end token
    passed: bool
    reasons: tuple[str, ...]  # why it did not pass, one sentence each
    agreement: Agreement
    first_token_s: float
    tokens_per_s: float | None  # None for an answer of one token
    similarity: Similarity | None = Field(default=None, exclude_if=lambda found: found is None)
    ranking: Ranking | None = Field(default=None, exclude_if=lambda found: found is None)
    transcript: Transcript | None = Field(default=None, exclude_if=lambda found: found is None)
    drawing: Drawing | None = Field(default=None, exclude_if=lambda found: found is None)


class InUse(Written):
    """The same prompts answered again with the options of the card's program: the recipe's runtime_options, or none."""

    runtime_options: dict[str, str]  # empty: the runtime's defaults
    precision: str = ""  # that the device computed in: "bf16"; "" for the model's own precision
    verdicts: tuple[Verdict, ...]


class Drafted(Written):
    """The golden prompts answered with the draft in the package, with the options of the card's program.

    Every answer has the tokens that it has without the draft, or the package is not made. `proposed` are the tokens that the draft
    proposed in all answers, `accepted` those that the model chose, too; `seconds` are what all answers took, one after the other.
    """

    name: str
    proposed: int
    accepted: int
    tokens: int
    seconds: float
    seconds_without: float


class Adapted(Written):
    """A model with separate adapters: in how many layers they act, and the golden prompts answered without them.

    In the model's own precision, compared with the source's answers without them; what the recipe expects is not judged there.
    """

    layers: int
    without: tuple[Verdict, ...]


class Validation(Written):
    """`files/validation.json` of a validate step: every verdict, and where the model ran.

    Times are of one cold run, with whatever else ran on the machine: they do not show how fast the model is.
    """

    verdicts: tuple[Verdict, ...]  # in the model's own precision, if the runtime has a mode for that
    in_use: InUse | None = None  # of a runtime that computes in another precision by default
    device: str  # the runtime's name for it: "CPU"
    device_name: str
    stand_in: bool = False  # whether that device only stands in for the one that the model is made for
    runtime_options: dict[str, str] = Field(
        default_factory=dict
    )  # what was configured besides the runtime's defaults: {"EXECUTION_MODE_HINT": "ACCURACY"}
    not_run: tuple[str, ...] = ()  # parts that were made for other devices: ("NPU 3720",) if the package has a blob for that one
    load_s: float
    peak_memory_bytes: int
    drafted: Drafted | None = Field(default=None, exclude_if=lambda drafted: drafted is None)  # of a model with a draft
    adapted: Adapted | None = Field(default=None, exclude_if=lambda adapted: adapted is None)  # of a model with separate adapters
    # Of embeddings: how long a vector is, and how it is made.
    vector_size: int | None = Field(default=None, exclude_if=lambda size: size is None)
    pooling: Pooling | None = Field(default=None, exclude_if=lambda pooling: pooling is None)


class NumericCheck(Written):
    """How the logits of the converted model, in floating point, compare with the source's in transformers, float32.

    Attributes:
        layers: how many of the first layers were compared at all lengths; `of` is how many the model has.
        lengths: of the inputs, in tokens; `crossed` are the boundaries that config.json names among them.
        whole_on: the longest input, in tokens, on which all layers were compared; 0 if that was never done.
        positions: how many next tokens were compared; `same` is how often the most likely one is equal.
        largest_kld: Kullback-Leibler divergence in nats at the worst position.
        largest_difference: of the logits, in standard deviations of the source's; both with their tolerance.
        not_checked: lengths that were not compared, each with the reason.
    """

    layers: int
    of: int
    lengths: tuple[int, ...]
    crossed: tuple[str, ...]
    whole_on: int
    positions: int
    same: int
    largest_kld: float
    largest_difference: float
    tolerance_kld: float
    tolerance_difference: float
    not_checked: tuple[str, ...]


class Estimated(Written):
    """A figure of fidelity with its 95 % interval, from resampling complete windows."""

    value: float
    low: float
    high: float


class FidelityFigures(Written):
    """How far a model's next-token distributions are from its source's, over some windows of text.

    Attributes:
        positions: how many distributions were compared, in so many windows.
        kl_mean: mean Kullback-Leibler divergence, source to model, in nats; kl_p99 is its 99th percentile, kl_max its largest value.
        top1: share of the positions at which the most likely token is the same, 0 to 1.
        ppl_ratio: the model's perplexity over the source's.
        prefix: leading tokens of an answer of the source that the model would choose too, on average; None of texts without answers.
    """

    positions: int
    windows: int
    kl_mean: Estimated
    kl_p99: Estimated
    kl_max: float
    top1: Estimated
    ppl_ratio: Estimated
    prefix: Estimated | None = None


class FidelityWindow(Written):
    """The sums over one window: divergence in nats, equal choices, the source's log-probabilities of the text minus the model's."""

    set: str
    positions: int
    kl_sum: float
    same: int
    nll_sum: float
    prefix: int | None = None


class UsedFidelity(Written):
    """The same windows with the options of the card's program; `precision` as in InUse."""

    runtime_options: dict[str, str]
    precision: str = ""
    figures: FidelityFigures


class GraphsFidelity(Written):
    """Some positions of answers in graphs of fixed shape, and in the model that they were made of."""

    graphs: FidelityFigures
    model: FidelityFigures


class Fidelity(Written):
    """How far a model is from its source.

    Attributes:
        version: of the definitions; figures of one version and text compare across builds, runtimes and years.
        text: what it was measured on: "bakehouse-1", or the recipe's own.
        reference_precision: that the source was computed in, "float32"; by itself that is `floor_kl` nats away from float32.
        device: as the runtime calls it; `stand_in` if it stands in for the one that the model is made for.
        stepped: whether tokens were given one by one, because the runtime gives the logits of the last position only.
        sets: the same figures for each kind of text.
        windows: in the order of the text; two models are compared window by window.
    """

    version: int
    text: str
    reference_precision: str
    floor_kl: float
    device: str
    stand_in: bool = False
    stepped: bool = False
    figures: FidelityFigures
    sets: dict[str, FidelityFigures]
    in_use: UsedFidelity | None = None
    graphs: GraphsFidelity | None = None
    windows: tuple[FidelityWindow, ...]


class Wheel(Written):
    """An installed tool; the sha256 is over the paths and hashes of its wheel's files, as the installer recorded them ("" if unknown)."""

    name: str
    version: str
    record_sha256: str = ""


class Distribution(Written):
    """A distribution that a step installed for itself; sha256 of its wheel or source archive ("" if it was copied from here)."""

    name: str
    version: str
    sha256: str = ""


class Builder(Written):
    """Who made it: URIs of the builder and of this run ("" if it has none), and which Bakehouse."""

    id: str = "urn:bakehouse:builder:local"
    invocation: str = ""
    version: str = ""  # of Bakehouse; "" if unknown, as in packages made by older versions
    commit: str = ""  # of its clean checkout; "" if it is not one
