"""Compiles an OpenVINO language model for one NPU platform, ahead of time, and writes the blob and its description."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from bakehouse.backends.openvino_npu.seams import CompileRequest, CompileResult, Description
from bakehouse.backends.openvino_npu.workers import wine as npu_wine
from bakehouse.child import events, start
from bakehouse.formats import npu_blob

MODEL = "openvino_model"
BLOB, DESCRIPTION = f"{MODEL}.blob", f"{MODEL}.json"


def run(request: CompileRequest) -> CompileResult:
    """Make the blob and its description."""
    blob = request.files / BLOB
    doing = f"compiling for {request.properties['NPU_PLATFORM']}"
    if request.compiler is not None:
        under_wine(request.model, blob, request.properties, request.compiler, doing)
    else:
        here(request.model / f"{MODEL}.xml", blob, request.properties, doing)
    events.progress("describing the blob")
    description = Description(
        **request.describes.model_dump(),
        compiler=", ".join(sorted({graph.get("compiler", "unknown") for graph in npu_blob.trailers(blob)})),
        ir_sha256={name: sha256(request.model / name) for name in (f"{MODEL}.xml", f"{MODEL}.bin")},
        blob_sha256=sha256(blob),
    )
    text = json.dumps(description.model_dump(mode="json"), indent=2) + "\n"
    (request.files / DESCRIPTION).write_text(text, encoding="utf-8", newline="\n")
    return CompileResult(driver=request.driver)


def under_wine(model: Path, blob: Path, properties: Mapping[str, str], compiler: Path, doing: str) -> None:
    """By the Windows compiler. It works in a folder of plain names, because Windows would spell paths otherwise."""
    folder = Path.cwd() / "compile"
    folder.mkdir()
    for end in ("xml", "bin"):
        link(model / f"{MODEL}.{end}", folder / f"model.{end}")
    words = ("model.xml", "out.blob", *(f"{name}={value}" for name, value in properties.items()))
    code, output = npu_wine.run(compiler / "compile.exe", words, folder, doing)
    print(output, flush=True)
    if code != 0:
        refuse(properties["NPU_PLATFORM"], npu_wine.lines(output))
    shutil.move(folder / "out.blob", blob)


def here(xml: Path, blob: Path, properties: Mapping[str, str], doing: str) -> None:
    """In this process, by OpenVINO's own plugin: with its compiler library, or with the driver's."""
    import openvino as ov

    events.progress(doing)
    try:
        exported: Any = ov.Core().compile_model(xml, "NPU", dict(properties)).export_model()
    except RuntimeError as error:
        refuse(properties["NPU_PLATFORM"], npu_wine.lines(str(error)))
    blob.write_bytes(exported.getvalue() if hasattr(exported, "getvalue") else exported)


def refuse(platform: str, output: list[str]) -> NoReturn:
    """Refuse with the compiler's own words, which are not for us to translate."""
    events.refuse(
        f"The NPU compiler could not compile the model for {platform}.",
        "Try another max_prompt_len, prefill_hint or group_size; the compiler's own words stand above.",
        output,
    )


def link(source: Path, target: Path) -> None:
    """The same file under another name; a copy where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def sha256(path: Path) -> str:
    """Of a whole file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    start.run(run, CompileRequest)
