"""Run the light suite in Windows Python, each file in a process and a time of its own: what `make test-windows` does.

python -m tests.windows [--jobs N] [FILE...]      the files of FILES, or those named
python -m tests.windows --python WORDS...         Windows Python with these words, with the converters and runtimes
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.windows.files import FULL, LIGHT
from tests.windows.place import ROOT, wine_is_here
from tests.windows.wine import Done, Windows, as_windows, run, started

_LIMIT_S = 300.0
_COUNTED = re.compile(r"(\d+) (passed|failed|skipped|xfailed|error|deselected)")
_SHOWN = 400  # lines of a file that failed


def main(words: Sequence[str]) -> int:
    """The exit code: 0 if nothing failed and no time was up."""
    parser = argparse.ArgumentParser(prog="python -m tests.windows", description="Run the light suite in Windows Python under Wine.")
    parser.add_argument("files", nargs="*", metavar="FILE")
    parser.add_argument("--full", action="store_true", help="install the extra `build` too, and run what needs it")
    parser.add_argument("--jobs", type=int, default=2, help="how many files run at once")
    parser.add_argument("--python", nargs=argparse.REMAINDER, help="run Windows Python with these words instead")
    asked = parser.parse_args(words)
    if not wine_is_here():
        print("Wine is not installed: run `apt-get install wine wine64`.", file=sys.stderr)
        return 1
    if asked.python is not None:
        with started(whole=True) as windows:
            done = run(windows, *asked.python, timeout_s=3600)
        print(done.text, end="")
        return 1 if done.code is None else done.code
    return _test(asked.files or [*LIGHT, *(FULL if asked.full else ())], asked.jobs, whole=asked.full)


def _test(files: Sequence[str], jobs: int, *, whole: bool) -> int:
    begun = time.monotonic()
    with started(whole=whole) as windows, ThreadPoolExecutor(jobs) as pool:
        counts = sum(pool.map(lambda file: _one(windows, file), files), Counter[str]())
    shown = ", ".join(f"{counts[what]} {what}" for what in ("passed", "failed", "skipped", "timed out"))
    print(f"{len(files)} files in {time.monotonic() - begun:.0f} s: {shown}")
    return 1 if counts["failed"] or counts["timed out"] or not counts["passed"] else 0


def _one(windows: Windows, file: str) -> Counter[str]:
    """Run one file and print its line; if it failed, how its output ends."""
    if not (ROOT / file).exists():
        print(f"{file}: there is no such file", flush=True)
        return Counter(failed=1)
    scratch = windows.scratch / re.sub(r"\W", "-", file)
    words = ("-m", "pytest", "-n", "0", "-q", "--tb=short", "-m", "not model", "-p", "no:cacheprovider", "--inline-snapshot=disable", file)
    done = run(windows, *words, f"--basetemp={as_windows(scratch)}", timeout_s=_LIMIT_S)
    counts = _counted(done)
    said = ", ".join(f"{number} {what}" for what, number in counts.items())
    report = "\n".join(done.text.splitlines()[-_SHOWN:]) + "\n" if counts["failed"] or counts["timed out"] else ""
    print(f"{file}: {said} in {done.seconds:.0f} s\n{report}", end="", flush=True)
    return counts


def _counted(done: Done) -> Counter[str]:
    """What pytest's last line says; a file whose time was up, or that could not be collected, counts as one."""
    if done.code is None:
        return Counter({"timed out": 1})
    last = done.text.strip().splitlines()[-1] if done.text.strip() else ""
    counts = Counter[str]()
    for number, what in _COUNTED.findall(last):
        counts["failed" if what.startswith("error") else what] += int(number)
    if done.code not in (0, 5) and not counts["failed"]:
        counts["failed"] = 1
    return +counts


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
