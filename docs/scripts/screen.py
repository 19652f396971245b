"""Record a real build in a pseudo-terminal and write what the terminal shows as docs/screen.svg.

python -m docs.scripts.screen [MODEL.gguf]     about two minutes; without a file it uses the SmolLM2-135M-Instruct of the tests

It runs `bakehouse init` and `bakehouse build` in an empty folder, on the GGUF file, and keeps nothing but the picture.
The temporary folder is shown as ~/models; everything else is what the commands wrote.
"""

from __future__ import annotations

import io
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).resolve().parents[1] / "screen.svg"
COLUMNS, LINES = 100, 50
MODEL = "SmolLM2-135M-Instruct.gguf"
COMMANDS = (
    f"bakehouse init recipes/{MODEL} --name smollm2 --runtime openvino",
    "bakehouse build smollm2-int4-openvino",
)
# What a program writes to move on its screen: up, clear the line, and what changes no text (modes, other clears).
_MOVES = re.compile(r"(\x1b\[\d*A)|(\x1b\[2K)|(\x1b\[\?\d+[hl]|\x1b\[\d*[BCDGJK]|\r)|(\n)")
_FONT = re.compile(r"\s*@font-face \{.*?\n    \}", re.DOTALL)


def shown(output: str) -> list[str]:
    """The lines that stay on a terminal after this output, with their colours."""
    lines, row = [""], 0
    for part in filter(None, _MOVES.split(output)):
        match = _MOVES.fullmatch(part)
        if match is None:
            lines[row] += part
        elif match[1]:
            row = max(0, row - int(part[2:-1] or 1))
        elif match[2]:
            lines[row] = ""
        elif match[4]:
            row += 1
            lines += [""] * (row + 1 - len(lines))
    while lines and not lines[-1]:
        lines.pop()
    return lines


def record(command: str, folder: Path) -> str:
    """What a command writes to a terminal of COLUMNS columns.

    Raises:
        RuntimeError: it fails.
    """
    ours, theirs = pty.openpty()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIPELINE_", "CI", "GITHUB_"))}
    size = {"COLUMNS": str(COLUMNS), "LINES": str(LINES), "TERM": "xterm-256color"}
    process = subprocess.Popen(
        ["sh", "-c", command], cwd=folder, env={**kept, "PATH": path, **size}, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    written = io.BytesIO()
    try:
        while part := os.read(ours, 65536):
            written.write(part)
    except OSError:  # on Linux the end of the output, once no process has the other side open
        pass
    if process.wait():
        raise RuntimeError(f"{command}\n{written.getvalue().decode(errors='replace')}")
    return written.getvalue().decode()


def picture(screens: list[tuple[str, str]]) -> str:
    """An SVG of commands and of what they wrote. It names the fonts of the reader's machine and loads none."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for number, (command, output) in enumerate(screens):
        console.print(Text.assemble(*(["\n"] if number else []), ("$ ", "bold green"), (command, "bold")))
        for line in shown(output):
            console.print(Text.from_ansi(line), soft_wrap=False)
    text = _FONT.sub("", console.export_svg(title="bakehouse", unique_id="screen"))
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def main(model: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "work"
        (folder / "recipes").mkdir(parents=True)
        shutil.copyfile(model, folder / "recipes" / MODEL)
        screens = [(command, record(command, folder).replace(str(folder), "~/models")) for command in COMMANDS]
    PICTURE.write_text(picture(screens), encoding="utf-8", newline="\n")
    print(PICTURE)


if __name__ == "__main__":
    if sys.argv[1:]:
        main(Path(sys.argv[1]))
    else:
        from tests.support import standin

        main(standin.smollm2_gguf())
