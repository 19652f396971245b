"""Readers of one file's format: IR, blobs, the acceleration library's pickles, any pickle, recordings."""

from __future__ import annotations

import io
import pickle
import tarfile
import wave
import zipfile
from collections import OrderedDict
from pathlib import Path
from random import Random

from bakehouse.formats import npu_blob, npu_library_pickle, openvino_ir, pickles, wav
from tests.fuzz import mutate
from tests.fuzz.campaign import Target

Prepared = tuple[Path, list[bytes]]


def _bytes(random: Random, prepared: Prepared) -> bytes:
    return mutate.of_bytes(random, prepared[1])


def _written(prepared: Prepared, name: str, body: bytes) -> Path:
    path = prepared[0] / name
    path.write_bytes(body)
    return path


# --- IR ---------------------------------------------------------------------------------------------------------------


def _irs(folder: Path) -> Prepared:
    from tests.support import npu_blobs

    made = npu_blobs.write_ir(folder / "ir") / "openvino_model.xml"
    return folder, [made.read_bytes()]


def _ir(random: Random, prepared: Prepared) -> bytes:
    """Attributes exchanged, edges led elsewhere (also in circles), elements doubled or nested; or broken bytes."""
    import re

    text = prepared[1][0].decode()
    for _ in range(random.choice((1, 1, 2, 3))):
        if random.random() < 0.2:
            return mutate.of_text(random, [text.encode()])
        pairs = list(re.finditer(r'([\w-]+)="([^"]*)"', text))
        one = random.choice(pairs)
        same = [other[2] for other in pairs if other[1] == one[1]]
        odd = random.choice(
            (random.choice(same), random.choice(same), "", "-1", "x", "1,x", "99999999999999999999", "true", "Convert", "Multiply")
        )
        text = text[: one.start(2)] + odd + text[one.end(2) :]
    return text.encode()


def _read_ir(body: bytes, prepared: Prepared) -> list[str]:
    path = _written(prepared, "openvino_model.xml", body)
    openvino_ir.read(path, convolutions=True)
    openvino_ir.info(path)
    return []


# --- blobs ------------------------------------------------------------------------------------------------------------


def _blobs(folder: Path) -> Prepared:
    from bakehouse.backends.openvino_npu.seams import CompileSpec
    from tests.support import npu_blobs

    spec = CompileSpec.model_construct(
        openvino="2026.4.1", platform=4000, max_prompt_len=512, min_response_len=128, prefill_hint="DYNAMIC", generate_hint="FAST_COMPILE"
    )
    tensors = (b"1" * 40, None, b"2" * 8)
    return folder, [
        npu_blobs.blob(spec, tensors[:1]),
        npu_blobs.blob(spec, tensors, compilers=("8.4", "8.5")),
        npu_blobs.blob(spec, (), weightless=True),
    ]


def _read_blob(body: bytes, prepared: Prepared) -> list[str]:
    path = _written(prepared, "openvino_model.blob", body)
    if body:
        npu_blob.trailers(path)
    npu_blob.read(path)
    return []


# --- pickles ----------------------------------------------------------------------------------------------------------


def _archives(folder: Path) -> Prepared:
    """Archives as torch.save lays them out, with the same parts as the library's model: modules, parameters, tensors of a storage."""
    bases = []
    for content in (_program(), pickle.dumps(OrderedDict(a=1), protocol=2)):
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            made = io.BytesIO()
            with zipfile.ZipFile(made, "w", method) as opened:
                opened.writestr("model/data.pkl", content)
                opened.writestr("model/data/0", bytes(16))
            bases.append(made.getvalue())
    return folder, [*bases, _program()]


def _program() -> bytes:
    """A pickle's program: a module with a parameter, and a module in it."""
    tensor = (
        b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"
        b"K\x00(K\x02K\x02t(K\x02K\x01t\x89ccollections\nOrderedDict\n)RtR"
    )
    inner = (
        b"cintel_npu_acceleration_library.nn.linear\nLinear\n)\x81}(X\x0b\x00\x00\x00_parameters}X\x06\x00\x00\x00weight" + tensor + b"sub"
    )
    outer = b"ctransformers.models.phi3.modeling_phi3\nPhi3ForCausalLM\n)\x81}(X\x08\x00\x00\x00_modules}X\x07\x00\x00\x00lm_head"
    return b"\x80\x02" + outer + inner + b"sX\x0b\x00\x00\x00_parameters}ub."


def _pickle(random: Random, prepared: Prepared) -> bytes:
    """A damaged archive, or a whole one with a damaged program."""
    *archives, program = prepared[1]
    if random.random() < 0.3:
        return mutate.of_bytes(random, archives)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as opened:
        opened.writestr("model/data.pkl", mutate.of_bytes(random, [program]))
        opened.writestr("model/data/0", bytes(16))
    return made.getvalue()


def _read_pickle(body: bytes, prepared: Prepared) -> list[str]:
    model = npu_library_pickle.read(_written(prepared, "pytorch_npu_model.pt", body))
    for _, module in npu_library_pickle.modules(model):
        npu_library_pickle.parameters(module)
    return []


def _disguised(folder: Path) -> Prepared:
    """Whatever may be a pickle by its content."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as opened:
        info = tarfile.TarInfo("data.pkl")
        info.size = 4
        opened.addfile(info, io.BytesIO(b"\x80\x02N."))
    return folder, [tar.getvalue(), _program(), *_archives(folder)[1][:4], b"\x80\x04" + b"weights" * 50, pickle.dumps({"a": [1, 2.5]}, 5)]


def _read_disguised(body: bytes, prepared: Prepared) -> list[str]:
    pickles.is_pickle(_written(prepared, "model.bin", body))
    return []


# --- recordings -------------------------------------------------------------------------------------------------------


def _recordings(folder: Path) -> Prepared:
    bases = []
    for channels, width, rate in ((1, 2, wav.RATE), (2, 2, 44100), (1, 1, 8000)):
        made = io.BytesIO()
        with wave.open(made, "wb") as opened:
            opened.setnchannels(channels)
            opened.setsampwidth(width)
            opened.setframerate(rate)
            opened.writeframes(bytes(64))
        bases.append(made.getvalue())
    return folder, bases


def _read_recording(body: bytes, prepared: Prepared) -> list[str]:
    wav.seconds(wav.samples(_written(prepared, "hello.wav", body)))
    return []


TARGETS = (
    Target("ir", _ir, _irs, _read_ir, (ValueError,)),
    Target("blob", _bytes, _blobs, _read_blob, (npu_blob.NotABlob,)),
    Target("npulib", _pickle, _archives, _read_pickle, (npu_library_pickle.Foreign,)),
    Target("pickles", _bytes, _disguised, _read_disguised),
    Target("wav", _bytes, _recordings, _read_recording, (wav.NotARecording,)),
)
