"""How much of a variant's time OpenVINO and NNCF take by themselves: on an existing export, in a process that imports nothing else.

    python -m benchmarks.openvino_parts --shape full --scratch /somewhere/with/30/GB

For each variant of `openvino_builds`: reading, NNCF, saving, and having the files on the disk; next to it, Bakehouse's whole step.
Prints a Markdown table; removes what it made.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys

from benchmarks import shapes
from benchmarks.measure import run
from benchmarks.openvino_builds import BIN, ROOT, VARIANTS, laid_out

ALONE = """
import json, os, sys, time
began = time.monotonic()
import nncf, openvino
marks = {"import": time.monotonic() - began}

def timed(name, work):
    begun = time.monotonic()
    made = work()
    marks[name] = time.monotonic() - begun
    return made

xml, target, given = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
model = timed("read", lambda: openvino.Core().read_model(xml))
if given:
    enums = {"mode": nncf.CompressWeightsMode, "backup_mode": nncf.BackupMode}
    options = {name: enums[name](value) if name in enums else value for name, value in given.items()}
    model = timed("NNCF", lambda: nncf.compress_weights(model, **options))
timed("save", lambda: openvino.save_model(model, target, compress_to_fp16=not given))
timed("on the disk", lambda: os.fsync(os.open(target.replace(".xml", ".bin"), os.O_RDONLY)))
print(json.dumps(marks))
"""
NNCF = {
    "fp16": {},
    "int8": {"mode": "int8_asym"},
    "int4-g128-r0.6": {"mode": "int4_sym", "group_size": 128, "ratio": 0.6},
    "int4-channel-r1.0": {"mode": "int4_sym", "group_size": -1, "ratio": 1.0, "backup_mode": "int8_sym"},
}
PARTS = ("import", "read", "NNCF", "save", "on the disk")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shapes.add_options(parser)
    options = parser.parse_args()
    with shapes.made(options) as (model, scratch):
        env, artifacts = laid_out(model, scratch, tuple(VARIANTS))

        def step(task: str) -> float:
            return run([str(BIN / "doit"), task], watch=[], env=env, log=scratch / "ours.log", cwd=ROOT).seconds

        step("download")
        print(f"export: {step('export:bench'):.1f} s", flush=True)
        export = next(artifacts.glob("store/export/*/files"))
        print("| variant | " + " | ".join(PARTS) + " | together | Bakehouse's command |\n" + "|---" * (len(PARTS) + 3) + "|")
        for name, given in NNCF.items():
            target = scratch / "alone" / "openvino_model.xml"
            target.parent.mkdir()
            done = subprocess.run(
                [sys.executable, "-c", ALONE, str(export / "openvino_model.xml"), str(target), json.dumps(given)],
                stdout=subprocess.PIPE,
                check=True,
                text=True,
                env={**os.environ, "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
            )
            marks = json.loads(done.stdout.splitlines()[-1])
            shutil.rmtree(target.parent)
            ours = step(f"convert:bench-{name}")
            cells = [f"{marks.get(part, 0):.1f} s" for part in PARTS]
            print(f"| {name} | {' | '.join(cells)} | {sum(marks.values()):.1f} s | {ours:.1f} s |", flush=True)
            shutil.rmtree(next(artifacts.glob("store/compress/*")))


if __name__ == "__main__":
    main()
