"""What OpenVINO has of a task besides text generation: its export, its tokenizer, its pipeline. A module a task holds one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bakehouse.backends.openvino.options import RuntimeOptions
from bakehouse.backends.openvino.seams import CheckpointSpec, ExportRequest, PlainTokenizerRequest
from bakehouse.steps.maker import Command, worker
from bakehouse.steps.step import Step
from bakehouse.tasks.seams import RunRequest
from bakehouse.toolchains import table as toolchains


@dataclass(frozen=True)
class Form:
    """One task in OpenVINO.

    Attributes:
        task: as recipes call it.
        spec: of the export and the tokenizer; it has the task in it.
        exportable: the model types of which optimum-intel 2.1.0 with transformers 5.5 makes models that answer as transformers does.
        elsewhere: those of which it does so with other toolchains.
        not_run: those that the runtime does not run, each with what it says; they are not even tried.
        export: the worker that makes the export; it does as `export` and gets its request.
        runs: the worker that runs a model, and its request: the task's own, with what users give the runtime.
        components: names of the files of the models, without their ends; `more` by model type those that only some have.
        beside: files that an export has besides the models; `others` those that it may have. They are all that a package has of them.
        decodes: whether the runtime makes texts of tokens, too.
        faults: sentences on what an export says otherwise than its checkpoint.
        inputs: how many texts the tokenizer takes at once.
        around: whether there are models around a language model, which `parts` treats otherwise.
        tokenizer_folder: where the tokenizer is, in the checkpoint and in a package.
        few: one in so many of the hard texts may have other tokens; the card names them.
        four_bits: whether its models are made in 4 bits, too.
        tools: those that the export needs besides the usual.
        alone: whether the model of a checkpoint takes one text although `inputs` says two; the runtime then needs its vocabulary.
    """

    task: str
    spec: type[CheckpointSpec]
    exportable: frozenset[str]
    export: str
    runs: tuple[str, type[RunRequest]]
    components: tuple[str, ...]
    beside: tuple[str, ...]
    others: tuple[str, ...]
    decodes: bool
    faults: Callable[[Path, Path], tuple[str, ...]]
    inputs: int = 1
    around: bool = False
    tokenizer_folder: str = ""
    few: int = 10
    four_bits: bool = True
    tools: tuple[str, ...] = ()
    alone: Callable[[Path], bool] = field(default=lambda checkpoint: False)
    elsewhere: Mapping[toolchains.Name, frozenset[str]] = field(default_factory=dict)
    not_run: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def works_with(self, kind: str) -> tuple[toolchains.Name, ...]:
        """The toolchains with which a model type is exported for this task, the best first."""
        known = {toolchains.INSTALLED: self.exportable, **self.elsewhere}
        return tuple(name for name in toolchains.NAMES if kind in known.get(name, ()))

    def known(self) -> Mapping[str, tuple[toolchains.Name, ...]]:
        """Every model type that some toolchain exports for this task, with those that do."""
        return {kind: self.works_with(kind) for kind in sorted(self.exportable.union(*self.elsewhere.values()))}

    def components_of(self, kind: str) -> tuple[str, ...]:
        """Names of the files of the models that an export of this model type has, without their ends."""
        return (*self.components, *self.more.get(kind, ()))

    def command(self, step: Step, checkpoint: Path, files: Path, remote_code: bool) -> Command:
        """The command that makes an export or a tokenizer."""
        if step.kind == "export":
            name, request = self.export, ExportRequest(checkpoint=checkpoint, files=files, remote_code=remote_code)
            return worker(f"backends.openvino.workers.{name}", request=request)
        alone = self.alone(checkpoint)
        wanted = PlainTokenizerRequest(
            checkpoint=checkpoint / self.tokenizer_folder,
            files=files / self.tokenizer_folder,
            remote_code=remote_code,
            decodes=self.decodes or alone,
            inputs=1 if alone else self.inputs,
        )
        return worker("backends.openvino.workers.plain_tokenizer", request=wanted)

    def run(self, request: RunRequest, options: RuntimeOptions | None) -> Command:
        """The command that gives the model the inputs of `request` in openvino_genai, by default on the CPU: exactly, and as users do."""
        name, kind = self.runs
        wanted = dict(request) | {"device": request.device or "CPU", "runtime_options": options}
        return worker(f"backends.openvino.workers.{name}", request=kind(**wanted))

    def layout(self, config: Path) -> dict[str, Path]:
        """Path in the package -> file, of what lies next to the model."""
        return {name: config / name for name in (*self.beside, *self.others) if (config / name).is_file()}
