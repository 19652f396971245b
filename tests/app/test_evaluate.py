"""`bakehouse evaluate`: what is kept, printed and refused; and that its figures are those of lm-eval's own model of the source."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.app.commands import evaluate as command
from bakehouse.app.main import main
from bakehouse.backends.openvino.options import OpenVINO
from bakehouse.backends.table import BACKENDS
from bakehouse.errors import Failure
from bakehouse.inference import evaluations
from bakehouse.inference.evaluations import Evaluated, Evaluation
from bakehouse.recipe.kinds import BuildOptions
from bakehouse.tasks.text_generation.seams import EvaluateRequest, EvaluateResult, Score, TaskResult
from tests.support import evaluating as made_up
from tests.support import openvino_making, ort_making, standin, worker
from tests.support.running import NAME, use

pytestmark = pytest.mark.needs_backend("openvino", "onnxruntime_genai")

AT = datetime(2026, 1, 1, tzinfo=UTC)


def evaluation(*tasks: str, key: str = "0" * 64, value: float = 0.5) -> Evaluation:
    scores = (Score(metric="acc", filter="none", value=value, stderr=0.25), Score(metric="exact_match", filter="words", value=1.0))
    done = tuple(
        Evaluated(
            result=TaskResult(task=task, version="1", sha256="1" * 64, documents=4, of_documents=4, few_shot=0, scores=scores),
            device="CPU", device_name="Some Processor", tools={"lm-eval": "0.4.13"}, bakehouse="0.1.0", made_at=AT,
        )
        for task in tasks
    )  # fmt: skip
    return Evaluation(name="tiny-int4", key=key, runtime="openvino", tasks=done)


def test_results_of_a_package_are_kept_by_task_and_those_of_another_package_are_not(tmp_path: Path) -> None:
    def kept(path: Path) -> list[tuple[str, float]]:
        read = Evaluation.model_validate_json(path.read_bytes())
        return [(one.result.task, one.result.scores[0].value) for one in read.tasks]

    assert kept(evaluations.keep(evaluation("a", "b"), tmp_path)) == [("a", 0.5), ("b", 0.5)]
    path = evaluations.keep(evaluation("b", "c", value=0.75), tmp_path)
    assert path == tmp_path / "evaluations" / "tiny-int4.json"
    assert kept(path) == [("a", 0.5), ("b", 0.75), ("c", 0.75)]
    assert kept(evaluations.keep(evaluation("a", key="f" * 64), tmp_path)) == [("a", 0.5)]
    path.write_text("{", encoding="utf-8")
    assert kept(evaluations.keep(evaluation("d"), tmp_path)) == [("d", 0.5)]


def test_a_table_shows_every_figure_with_its_error(capsys: pytest.CaptureFixture[str]) -> None:
    command._print(evaluation("capitals", "grammar"))
    assert capsys.readouterr().out == snapshot("""\
tiny-int4 on CPU (Some Processor), lm-eval 0.4.13
task      questions  examples  figure                value          \n\
capitals          4         0  acc                  0.5000  ± 0.2500
                               exact_match (words)  1.0000          \n\
grammar           4         0  acc                  0.5000  ± 0.2500
                               exact_match (words)  1.0000          \n\
""")


def test_a_task_that_is_no_file_and_a_package_that_is_not_there_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("lm_eval", reason="the extra `evaluate` is not installed")
    use(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", NAME, "--tasks", "hellaswag"]) == 1
    assert "There is no file hellaswag." in capsys.readouterr().err
    capitals, *_ = made_up.write(tmp_path)
    assert main(["evaluate", "nope", "--tasks", str(capitals)]) == 1
    assert "There is no package nope" in capsys.readouterr().err


def test_without_the_extra_the_command_names_it(tmp_path: Path) -> None:
    without = (
        "import sys; sys.modules['lm_eval'] = None; from bakehouse.app.main import main; sys.exit(main(['evaluate', 'x', '--tasks', 'y']))"
    )
    environ = {**os.environ, "PIPELINE_ARTIFACTS": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", without], env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == snapshot(
        (
            3,
            """\
ERROR: lm_eval not installed.
  what to do: `pip install 'bakehouse[evaluate]'` brings lm-eval.
""",
        )
    )


@pytest.mark.needs_backend("npu_library", "openvino", "openvino_npu")
@pytest.mark.parametrize("runtime", ["openvino", "openvino-npu", "intel-npu-acceleration-library"])
def test_what_cannot_be_evaluated_is_refused_with_the_reason(runtime: str, tmp_path: Path) -> None:
    wanted = EvaluateRequest(tasks=(), few_shot=None, limit=None)
    build = openvino_making.build(weights="int8")
    reason = "would run code of the package" if runtime.startswith("intel") else "need the logits of all positions"
    with pytest.raises(Failure, match=reason):
        BACKENDS[runtime].evaluate(build, tmp_path, "NPU", wanted)


# --- real models ------------------------------------------------------------------------------------------------------------------

CHOICES = """\
task: capitals
dataset_path: json
dataset_kwargs: {data_files: {test: capitals.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "Question: What is the capital of {{country}}?\\nAnswer:"
doc_to_choice: [Paris, Rome, Berlin, Madrid, Vienna, Lisbon]
doc_to_target: answer
metric_list: [{metric: acc}, {metric: acc_norm}, {metric: brier_score}]
metadata: {version: 1}
"""
COUNTRIES = ("France", "Italy", "Germany", "Spain", "Austria", "Portugal")
TEXTS = (
    "The harbour was quiet when the first boats came in, and nobody had lit the lamps.",
    "def mean(values):\n    return sum(values) / len(values)\n",
)


def _tasks(folder: Path) -> tuple[Path, ...]:
    made = made_up.write(folder)
    (folder / "capitals.yaml").write_text(CHOICES, encoding="utf-8")
    rows = [json.dumps({"country": country, "answer": number}) for number, country in enumerate(COUNTRIES)]
    (folder / "capitals.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    answers = made_up.ANSWERS.replace("['Paris', 'Rome', 'Berlin', 'Madrid']", "['Paris', 'Rome', 'Berlin', 'Madrid', 'Vienna', 'Lisbon']")
    answers += "doc_to_text: 'The capital of {{country}} is'\ngeneration_kwargs: {until: [',', '.', ' and'], max_gen_toks: 9}\n"
    (folder / "answers.yaml").write_text(answers, encoding="utf-8")
    (folder / "prose.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS), encoding="utf-8")
    return made


# lm-eval's own model over transformers, with the tasks as it reads them itself.
_ITS_OWN = """
import json, os, sys
os.environ["HF_DATASETS_CACHE"] = os.path.join(os.getcwd(), "cache")
import lm_eval
from lm_eval.tasks import TaskManager
manager = TaskManager(include_path=os.getcwd(), include_defaults=False)
made = lm_eval.simple_evaluate(
    model="hf", model_args=f"pretrained={sys.argv[1]},dtype=float32", device="cpu", batch_size=1,
    tasks=["capitals", "answers", "prose"], task_manager=manager, log_samples=False, bootstrap_iters=0,
)
print("RESULT" + json.dumps(made["results"], default=str))
"""


def _its_own(checkpoint: Path, folder: Path) -> dict[str, Any]:
    environ = {**os.environ, "HF_HUB_OFFLINE": "1"}
    run = [sys.executable, "-c", _ITS_OWN, str(checkpoint)]
    done = subprocess.run(run, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    found: dict[str, Any] = json.loads(line.removeprefix("RESULT"))
    return found


def _package(runtime: str, checkpoint: Path, folder: Path) -> tuple[BuildOptions, Path]:
    """SmolLM2 as a package has it, in floating point."""
    if runtime == "openvino":
        options = {"runtime": runtime, "quantization": {"weights": "fp32"}, "runtime_options": {"EXECUTION_MODE_HINT": "ACCURACY"}}
        build: BuildOptions = OpenVINO.model_validate(options)
        made = openvino_making.steps(weights="fp32")
        parts = {"config": openvino_making.make(made["config"], folder / "export", checkpoint=checkpoint).files}
        parts["tokenizer"] = openvino_making.make(made["tokenizer"], folder / "tokenizer", checkpoint=checkpoint).files
        parts["model"] = openvino_making.make(made["model"], folder / "model", export=parts["config"]).files
    else:
        build = ort_making.build(weights="fp32")
        parts = {"model": ort_making.make(build, folder / "model", checkpoint).files}
    for path, file in BACKENDS[runtime].layout(build, parts).items():
        (folder / "package" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "package" / path).hardlink_to(file)
    return build, folder / "package"


@pytest.mark.model
@pytest.mark.conformance
def test_a_package_in_float_has_the_figures_of_lm_evals_own_model_of_its_source(tmp_path: Path) -> None:
    pytest.importorskip("lm_eval", reason="the extra `evaluate` is not installed")
    checkpoint = standin.smollm2_checkpoint()
    tasks = _tasks(tmp_path / "tasks")
    its_own = _its_own(checkpoint, tmp_path / "tasks")
    for runtime in ("openvino", "onnxruntime-genai"):
        build, package = _package(runtime, checkpoint, tmp_path / runtime)
        request = EvaluateRequest(tasks=tasks, few_shot=None, limit=None)
        said = worker.run(BACKENDS[runtime].evaluate(build, package, "CPU", request))
        assert said.code == 0, said.text
        for result in said.report.read(EvaluateResult).results:
            assert result.scores
            for score in result.scores:
                wanted = its_own[result.task][f"{score.metric},{score.filter}"]
                assert score.value == pytest.approx(wanted, rel=2e-3), (runtime, result.task, score.metric)
    assert 0 < its_own["capitals"]["acc,none"] <= 1 and its_own["answers"]["exact_match,plain"] > 0, its_own
