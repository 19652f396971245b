"""Chromium without a window, over a pipe of its DevTools: what a page looks like at a width, light or dark, and what its script does."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

# Where the variable is set, a test that needs one of them fails without it; elsewhere it is skipped. Windows passes no descriptors on.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PROGRAM = None if sys.platform == "win32" else next(filter(None, map(shutil.which, NAMES)), None)
needs_browser = pytest.mark.skipif(
    PROGRAM is None and not os.environ.get("BAKEHOUSE_TESTS_HAVE_CHROMIUM"), reason="no Chromium is installed (apt install chromium)"
)
# DevTools read from descriptor 3 and write to 4, each message ended by a zero byte.
_START = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execvp(sys.argv[3], sys.argv[3:])"
_OPTIONS = ("--headless", "--no-sandbox", "--remote-debugging-pipe", "--no-first-run", "--disable-dev-shm-usage")

_NO_GPU = ("--disable-gpu",)
_SOFTWARE_GPU = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader")  # WebGPU that the CPU computes; it has no fp16


@dataclass
class Page:
    """One tab."""

    to: IO[bytes]
    back: IO[bytes]
    session: str = ""
    sent: int = 0
    unread: bytes = field(default=b"", repr=False)

    def send(self, method: str, **parameters: Any) -> Any:
        """Send a command and return its result."""
        self.sent += 1
        message = {"id": self.sent, "method": method, "params": parameters, **({"sessionId": self.session} if self.session else {})}
        self.to.write(json.dumps(message).encode() + b"\0")
        self.to.flush()
        while (answer := self._read()).get("id") != self.sent:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self.unread:
            more = os.read(self.back.fileno(), 1 << 16)
            assert more, "the browser ended"
            self.unread += more
        message, _, self.unread = self.unread.partition(b"\0")
        found = json.loads(message)
        assert isinstance(found, dict)
        return found

    def show(self, html: str, width: int, *, dark: bool = False, script: bool = True) -> None:
        """Show a page in a window of that width in pixels."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.send("Emulation.setScriptExecutionDisabled", value=not script)
        frame = self.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
        self.send("Page.navigate", url="about:blank")
        self.send("Page.setDocumentContent", frameId=frame, html=html)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page."""
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def picture(self, path: Path) -> None:
        """Write all of the page to a PNG."""
        size = self.send("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)["data"]))


@contextmanager
def opened(profile: Path, *, webgpu: bool = False) -> Iterator[Page]:
    """A browser with one empty tab; its profile is in that folder. `webgpu`: whether it has WebGPU, from Chromium's own software driver."""
    assert PROGRAM, "no Chromium is installed (apt install chromium)"
    import fcntl  # not on Windows

    (theirs_in, to), (back, theirs_out) = os.pipe(), os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (theirs_in, theirs_out)]
    argv = [
        sys.executable,
        "-c",
        _START,
        *map(str, high),
        PROGRAM,
        *_OPTIONS,
        *(_SOFTWARE_GPU if webgpu else _NO_GPU),
        f"--user-data-dir={profile}",
    ]
    process = subprocess.Popen(argv, pass_fds=high, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for end in (theirs_in, theirs_out, *high):
        os.close(end)
    try:
        with os.fdopen(to, "wb") as sending, os.fdopen(back, "rb") as receiving:
            page = Page(sending, receiving)
            target = page.send("Target.createTarget", url="about:blank")["targetId"]
            page.session = page.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            page.send("Page.enable")
            yield page
    finally:
        process.terminate()
        process.wait()
