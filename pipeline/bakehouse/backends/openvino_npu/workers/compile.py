"""Compiles an OpenVINO language model for one NPU platform, ahead of time, and writes the blob with a description beside it.

    python -m bakehouse.backends.openvino_npu.workers.compile IR_FOLDER FILES ASKED --driver native|driver|wine [--compiler FOLDER]

ASKED is JSON: `properties` that the model is compiled with, and `describes`, what the description says besides.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any, NoReturn

from bakehouse.backends.openvino_npu.workers import wine as npu_wine
from bakehouse.child import events, start
from bakehouse.formats import npu_blob

MODEL = "openvino_model"
BLOB, DESCRIPTION = f"{MODEL}.blob", f"{MODEL}.json"


def main() -> None:
    """Make the blob and its description in FILES."""
    parser = start.parser(__doc__, "model", "files", documents=("asked",))
    parser.add_argument("--driver", choices=("native", "driver", "wine"), required=True)
    parser.add_argument("--compiler", type=Path)
    told = parser.parse_args()
    properties: dict[str, str] = told.asked["properties"]
    doing = f"compiling for {properties['NPU_PLATFORM']}"
    if told.driver == "wine":
        under_wine(told.model, told.files / BLOB, properties, told.compiler, doing)
    else:
        here(told.model / f"{MODEL}.xml", told.files / BLOB, properties, doing)
    events.progress("describing the blob")
    made_of = {name: sha256(told.model / name) for name in (f"{MODEL}.xml", f"{MODEL}.bin")}
    compilers = {said.get("compiler", "unknown") for said in npu_blob.trailers(told.files / BLOB)}
    described = {
        **told.asked["describes"],
        "compiler": ", ".join(sorted(compilers)),
        "ir_sha256": made_of,
        "blob_sha256": sha256(told.files / BLOB),
    }
    (told.files / DESCRIPTION).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8", newline="\n")
    events.result(driver=told.driver)


def under_wine(model: Path, blob: Path, properties: dict[str, str], compiler: Path, doing: str) -> None:
    """By the Windows compiler. It works in a folder of plain names, because Windows would spell paths otherwise."""
    folder = Path.cwd() / "compile"
    folder.mkdir()
    for end in ("xml", "bin"):
        link(model / f"{MODEL}.{end}", folder / f"model.{end}")
    words = ("model.xml", "out.blob", *(f"{name}={value}" for name, value in properties.items()))
    code, said = npu_wine.run(compiler / "compile.exe", words, folder, doing)
    print(said, flush=True)
    if code != 0:
        refuse(properties["NPU_PLATFORM"], npu_wine.lines(said))
    shutil.move(folder / "out.blob", blob)


def here(xml: Path, blob: Path, properties: dict[str, str], doing: str) -> None:
    """In this process, by OpenVINO's own plugin: with its compiler library, or with the driver's."""
    import openvino as ov

    events.progress(doing)
    try:
        exported: Any = ov.Core().compile_model(xml, "NPU", properties).export_model()
    except RuntimeError as error:
        refuse(properties["NPU_PLATFORM"], npu_wine.lines(str(error)))
    blob.write_bytes(exported.getvalue() if hasattr(exported, "getvalue") else exported)


def refuse(platform: str, said: list[str]) -> NoReturn:
    """What the compiler said is not for us to translate."""
    events.refuse(
        f"The NPU compiler could not compile the model for {platform}.",
        "Try another max_prompt_len, prefill_hint or group_size; the compiler's own words stand above.",
        said,
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
    main()
