"""What Windows needs of us, as far as it can be held on Linux: tests/windows/README.md says how to try the rest."""

from __future__ import annotations

import ast
import ctypes
import errno
import re
import sys
from pathlib import Path, PureWindowsPath
from types import SimpleNamespace

import psutil
import pytest
from inline_snapshot import snapshot
from packaging.utils import canonicalize_name

from bakehouse.app import screen
from bakehouse.child import kernel32, temporary
from bakehouse.executor import crash, memory
from bakehouse.executor.making import portable
from bakehouse.executor.process import Children, Finished, as_typed, run
from bakehouse.recipe.locations import Diagnostic, Span
from bakehouse.stages import same_bytes
from bakehouse.steps.maker import Command
from bakehouse.store import files
from tests.support.fakes import LEAVES

ROOT = Path(__file__).resolve().parent.parent
WINDOWS = ROOT / "tests" / "windows"


def _run(program: str, folder: Path) -> Finished:
    command = Command((sys.executable, "-c", program))
    return run(command, children=Children(), log=folder / "log.txt", scratch=folder / "scratch", on_progress=lambda progress: None)


# --- children -----------------------------------------------------------------------------------------------------------------


def test_a_child_is_given_no_standard_input_to_wait_for(tmp_path: Path) -> None:
    program = LEAVES + "import sys\nresult(read=sys.stdin.read())"
    assert _run(program, tmp_path).report.values == {"read": ""}


@pytest.mark.skipif(sys.platform == "win32", reason="it has a way of its own there")
@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_a_held_worker_reads_no_standard_input(tmp_path: Path, platform: str) -> None:
    program = LEAVES + (
        "import os, threading, time\nreading, writing = os.pipe()\nos.dup2(reading, 0)\nfrom bakehouse.child import leash\n"
        f"leash.hold({platform!r})\nos.write(writing, b'kept')\ntime.sleep(0.2)\nresult(left=os.read(0, 99).decode())"
    )
    assert _run(program, tmp_path).report.values == {"left": "kept"}


@pytest.mark.whole
@pytest.mark.skipif(sys.platform == "win32", reason="the id of a parent stays as it was there")
def test_a_worker_that_only_looks_who_its_parent_is_ends_with_it(tmp_path: Path) -> None:
    worker = "from bakehouse.child import leash; import os, time; leash.hold('darwin'); print(os.getpid(), flush=True); time.sleep(600)"
    parent = (
        "import os, subprocess, sys\nenviron = {**os.environ, 'BAKEHOUSE_PARENT': str(os.getpid())}\n"
        f"subprocess.Popen([sys.executable, '-c', {worker!r}], env=environ).wait()"
    )
    with psutil.Popen([sys.executable, "-c", parent], stdout=-1, cwd=ROOT) as process:
        held = psutil.Process(int(process.stdout.readline()))
        process.kill()
    held.wait(10)
    assert not held.is_running()


def test_a_held_worker_reports_its_peak_memory_at_its_end(tmp_path: Path) -> None:
    _run("from bakehouse.child import leash\nleash.hold()", tmp_path)
    assert '{"event": "memory", "peak_bytes": ' in (tmp_path / "log.txt").read_text()


def test_the_reported_peak_does_not_stay_among_the_facts(tmp_path: Path) -> None:
    done = _run(LEAVES + "from bakehouse.child import leash\nleash.hold()\nresult(a=1)", tmp_path)
    assert done.report.values == {"a": 1}
    assert done.peak_memory_bytes > 1_000_000


@pytest.mark.skipif(ctypes.sizeof(ctypes.c_void_p) != 8, reason="the sizes are of a 64-bit process")
def test_structures_have_the_size_that_windows_gives_them() -> None:
    assert ctypes.sizeof(kernel32.ExtendedLimits) == 144
    assert ctypes.sizeof(kernel32.MemoryCounters) == 72
    assert kernel32.ExtendedLimits.flags.offset == 16


@pytest.mark.skipif(sys.platform == "win32", reason="there it is")
def test_a_call_of_windows_elsewhere_says_so() -> None:
    with pytest.raises(OSError, match="kernel32 is there on Windows only"):
        kernel32.new_job()


@pytest.mark.skipif(sys.platform != "win32", reason="elsewhere a file that is open can be removed")
def test_a_folder_for_a_moment_ends_without_an_error_while_a_file_in_it_is_open() -> None:
    with temporary.folder() as folder:
        file = (Path(folder) / "model.bin").open("wb")
    assert Path(folder).is_dir()
    file.close()


# --- text ---------------------------------------------------------------------------------------------------------------------

WRITTEN = b'{\r\n  "a": 1\r\n}\r\n'


def _folder(folder: Path, contents: dict[str, bytes]) -> Path:
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(
    ("written", "should_be"),
    [
        (WRITTEN, b'{\n  "a": 1\n}\n'),
        (b"<a>\r\r\n</a>\r\n", b"<a>\r\n</a>\n"),
        (b"one\r\ntwo\n", b"one\r\ntwo\n"),
        (b'{"a": "\\r\\n"}', b'{"a": "\\r\\n"}'),
        (b"one\rtwo", b"one\rtwo"),
        (b"", b""),
    ],
    ids=["all lines", "a carriage return of its own", "not written as text", "an escape in JSON", "no line feed", "empty"],
)
def test_what_a_tool_wrote_as_text_gets_the_bytes_of_linux(tmp_path: Path, written: bytes, should_be: bytes) -> None:
    made = _folder(tmp_path, {"deep/config.json": written})
    assert same_bytes.restore(made, (), "win32") == (("deep/config.json",) if written != should_be else ())
    assert (made / "deep" / "config.json").read_bytes() == should_be


def test_a_file_that_was_copied_from_a_source_keeps_its_line_ends(tmp_path: Path) -> None:
    source = _folder(tmp_path / "source", {"LICENSE.txt": WRITTEN, "config.json": b'{"a": 1}'})
    made = _folder(tmp_path / "made", {"LICENSE.txt": WRITTEN, "config.json": WRITTEN})
    assert same_bytes.restore(made, [source], "win32") == ("config.json",)
    assert (made / "LICENSE.txt").read_bytes() == WRITTEN


def test_the_edges_of_a_model_get_the_order_of_linux(tmp_path: Path) -> None:
    one, other = (f'\t\t<edge from-layer="0" from-port="0" to-layer="{layer}" to-port="0" />' for layer in (1, 2))
    written, should_be = (f"<net>\n\t<edges>\n{first}\n{second}\n\t</edges>\n</net>\n" for first, second in ((other, one), (one, other)))
    made = _folder(tmp_path, {"openvino_model.xml": written.replace("\n", "\r\n").encode(), "same.xml": should_be.encode()})
    assert same_bytes.restore(made, (), "win32") == ("openvino_model.xml",)
    assert (made / "openvino_model.xml").read_bytes() == should_be.encode()


def test_weights_and_other_files_are_left_alone(tmp_path: Path) -> None:
    made = _folder(tmp_path, dict.fromkeys(("model.bin", "model.onnx", "model.safetensors", "loader.py"), WRITTEN))
    assert same_bytes.restore(made, (), "win32") == ()


def test_on_other_systems_a_carriage_return_is_content(tmp_path: Path) -> None:
    made = _folder(tmp_path, {"chat_template.jinja": WRITTEN})
    assert same_bytes.restore(made, (), "linux") == ()
    assert (made / "chat_template.jinja").read_bytes() == WRITTEN


@pytest.mark.parametrize(
    "path", sorted((ROOT / "pipeline" / "bakehouse").rglob("*.py")), ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_every_text_is_written_with_line_feeds(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    writing = [call for call in calls if _writes_text(call)]
    assert [call.lineno for call in writing if not any(word.arg == "newline" for word in call.keywords)] == []


def _writes_text(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""
    words = [argument.value for argument in call.args if isinstance(argument, ast.Constant) and isinstance(argument.value, str)]
    return name == "write_text" or (name == "open" and any(set(word) <= set("wax+t") for word in words))


# --- what is shown and recorded -----------------------------------------------------------------------------------------------


def test_a_command_is_shown_as_this_systems_shell_takes_it() -> None:
    argv = (r"C:\My Tools\python.exe", "-m", "worker", '{"a": 1}')
    assert as_typed(argv, "win32") == snapshot(r'"C:\My Tools\python.exe" -m worker "{\"a\": 1}"')
    assert as_typed(("python", "a b"), "linux") == "python 'a b'"


@pytest.mark.parametrize(
    ("word", "should_be"),
    [
        (r"C:\art\.staging\x\files\model.xml", "OUT/files/model.xml"),
        (r"C:\art\store\export\ab\files", "artifacts/store/export/ab/files"),
        (r"--path=C:\art\store", "--path=artifacts/store"),
        (r"\d+", r"\d+"),
    ],
)
def test_a_recorded_path_is_the_same_on_every_system(word: str, should_be: str) -> None:
    named = ((r"C:\art\.staging\x", "OUT"), (r"C:\art", "artifacts"))
    assert portable(word, named, "\\") == should_be
    assert portable(word.replace("\\", "/"), [(folder.replace("\\", "/"), name) for folder, name in named], "/") == should_be.replace(
        "\\", "/"
    )


@pytest.mark.needs_backend("onnxruntime_genai")
@pytest.mark.parametrize("folder", ["/art/.staging/x/files", r"C:\art\.staging\x\files"])
def test_the_builders_progress_is_shown_without_its_folder(capfd: pytest.CaptureFixture[str], folder: str) -> None:
    from bakehouse.backends.onnxruntime_genai.workers import build as ort_build

    ort_build.Output(30).write(f"Saving processing files in {folder} for GenAI")
    assert '"doing": "saving processing files"' in capfd.readouterr().out


def test_an_error_in_a_recipe_is_shown_with_forward_slashes() -> None:
    shown = str(Diagnostic(PureWindowsPath(r"recipes\phi3.yaml"), Span(16, 51, 61), "wrong", "", ""))  # type: ignore[arg-type]
    assert shown == snapshot("recipes/phi3.yaml:17:52: wrong")


def test_a_swap_that_cannot_be_read_counts_nothing() -> None:
    def off() -> object:
        raise RuntimeError("PdhAddEnglishCounterW failed. Performance counters may be disabled.")

    assert memory.swap_bytes(off) == 0
    assert memory.swap_bytes(lambda: SimpleNamespace(total=7)) == 7


def test_a_reader_that_is_gone_is_told_from_other_errors() -> None:
    assert screen.is_unread(BrokenPipeError(errno.EPIPE, "Broken pipe"), "linux")
    assert screen.is_unread(OSError(errno.EINVAL, "Invalid argument"), "win32")
    assert not screen.is_unread(OSError(errno.EINVAL, "Invalid argument"), "linux")
    assert not screen.is_unread(OSError(errno.EINVAL, "Invalid argument", "a|b.txt"), "win32")


@pytest.mark.parametrize(
    "worker",
    [
        "tasks/text_generation/workers/greedy.py",
        pytest.param("backends/onnxruntime_genai/workers/generate.py", marks=pytest.mark.needs_backend("onnxruntime_genai")),
        pytest.param("backends/onnxruntime_genai/workers/run.py", marks=pytest.mark.needs_backend("onnxruntime_genai")),
    ],
)
def test_the_time_between_two_tokens_is_measured_with_a_clock_that_tells_them_apart(worker: str) -> None:
    """`time.monotonic` has ticks of 16 ms on Windows: the speed of a tiny model was a division by zero."""
    calls = [line for line in (ROOT / "pipeline" / "bakehouse" / worker).read_text(encoding="utf-8").splitlines() if "times" in line]
    assert any("perf_counter" in line for line in calls)
    assert not any("monotonic()]" in line or "append(time.monotonic" in line for line in calls)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (0xC0000005, "died of an access violation (0xc0000005)"),
        (3, "ended with exit code 3"),
        (0xC0000999, "ended with exit code 3221227929"),
    ],
)
def test_how_windows_ends_a_process_is_named(code: int, said: str) -> None:
    assert crash.how(code) == said


def test_what_windows_python_gets_is_pinned_by_hash_in_the_versions_of_linux() -> None:
    ours = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE))
    ours = {canonicalize_name(name): version for name, version in ours.items()}
    lines = [line for name in ("light", "full", "tools") for line in (WINDOWS / f"{name}.txt").read_text(encoding="utf-8").splitlines()]
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==\S+ --hash=sha256:[0-9a-f]{64}", line)] == []
    pinned = {canonicalize_name(name): version for name, _, version in (line.split()[0].partition("==") for line in lines)}
    assert {name: version for name, version in pinned.items() if ours.get(name, version) != version} == {}
    assert {"pydantic", "torch", "openvino", "onnxruntime-genai", "ziglang"} <= set(pinned)


# --- files that another program has open --------------------------------------------------------------------------------------


def _held(code: int) -> OSError:
    error = PermissionError(13, "held by another program")
    error.winerror = code  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize("code", [5, 32, 145])
def test_what_is_held_for_a_moment_is_tried_again(code: int) -> None:
    answers = [_held(code), _held(code), None]

    def work() -> None:
        if error := answers.pop(0):
            raise error

    files.patiently(work)
    assert answers == []


@pytest.mark.parametrize(
    "error", [_held(32), _held(3), PermissionError(13, "not yours")], ids=["for long", "another reason", "not Windows"]
)
def test_what_stays_held_or_fails_otherwise_is_an_error(error: OSError) -> None:
    def work() -> None:
        raise error

    with pytest.raises(PermissionError):
        files.patiently(work, patience_s=0)
