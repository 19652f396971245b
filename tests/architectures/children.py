"""A process that has imported torch and the converters once, and forks for every job: most of the time of a tiny model is their import.

`python -m tests.architectures.children` reads jobs from standard input, a line of JSON each, and prints how each ended. A job has a
process, a memory and a log of its own, so what a converter changes in its modules is gone with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

from bakehouse.child import hermetic

# What the jobs import, before any of them is started; nothing of it may have started threads by then.
_MODULES = (
    "torch", "transformers", "openvino", "openvino_genai", "openvino_tokenizers", "nncf", "onnx", "onnx_ir",
    "optimum.exporters.openvino.convert", "optimum.commands.optimum_cli", "onnxruntime_genai.models",
    "bakehouse.backends.openvino.workers.export", "bakehouse.backends.openvino.workers.compress",
    "bakehouse.backends.openvino.workers.tokenizer", "bakehouse.backends.openvino.workers.generate",
    "bakehouse.backends.onnxruntime_genai.workers.build", "bakehouse.backends.onnxruntime_genai.workers.graph",
    "bakehouse.backends.onnxruntime_genai.workers.tokenizer", "bakehouse.tasks.text_generation.workers.transformers_generate",
    "tests.architectures.lanes", "tests.architectures.making",
)  # fmt: skip


def work(job: dict[str, Any]) -> None:
    """Do a job, and leave its result in the file that it names."""
    from tests.architectures import lanes, making

    left = Path(job["result"])

    def note(found: dict[str, Any]) -> None:
        left.write_text(json.dumps(found), encoding="utf-8")

    match job["kind"]:
        case "checkpoint":
            making.checkpoint(job["name"])
            note({})
        case "reference":
            lanes.answer(Path(job["checkpoint"]), Path(job["source"]))
            note({})
        case "lane" | "upstream" as kind:
            does = lanes.lane if kind == "lane" else lanes.upstream
            places = {name: Path(job[name]) for name in ("checkpoint", "work", "source")}
            note(does(lanes.Job(job["runtime"], **places, toolchain=job["toolchain"]), note))


def _be(job: dict[str, Any]) -> None:
    """Be the process of a job, and end."""
    out = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    Path(job["scratch"]).mkdir(parents=True, exist_ok=True)
    os.chdir(job["scratch"])
    import torch

    torch.set_num_threads(1)
    code = 0
    try:
        work(job)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _end_of(pid: int, limit_s: float) -> int:
    """The exit code of a fork; it is killed after `limit_s` seconds."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return -int(signal.SIGALRM)


def main() -> None:
    """See above."""
    hermetic.seal()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what an import prints is not an answer
    import warnings

    warnings.simplefilter("ignore")
    for module in _MODULES:
        import_module(module)
    with contextlib.suppress(BrokenPipeError):
        print("ready", file=answers, flush=True)
        for line in sys.stdin:
            job = json.loads(line)
            pid = os.fork()
            if pid == 0:
                _be(job)
            print(_end_of(pid, float(job["limit_s"])), file=answers, flush=True)


if __name__ == "__main__":
    main()
