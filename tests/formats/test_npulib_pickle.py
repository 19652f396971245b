"""What is read of a pickled model without running it, and what is refused."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.formats import npu_library_pickle
from bakehouse.formats.npu_library_pickle import Foreign


class _Calls:
    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.function, self.arguments


def archive(folder: Path, content: Any) -> Path:
    """A file as torch.save lays it out, with `content` for a model."""
    program = io.BytesIO()
    pickle.Pickler(program, protocol=2).dump(content)
    path = folder / "pytorch_npu_model.pt"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("model/data.pkl", program.getvalue())
    return path


def refusal(path: Path) -> str:
    with pytest.raises(Foreign) as caught:
        npu_library_pickle.read(path)
    return str(caught.value)


def test_a_pickle_that_would_run_a_command_is_refused_and_does_not_run_it(tmp_path: Path) -> None:
    harmed = tmp_path / "harmed"
    path = archive(tmp_path, _Calls(os.mkdir, str(harmed)))
    assert refusal(path) == f"it refers to {os.mkdir.__module__}.mkdir, which a compiled Phi-3 does not need"
    assert not harmed.exists()


def test_no_class_but_those_of_a_compiled_phi3_is_let_in(tmp_path: Path) -> None:
    assert refusal(archive(tmp_path, Path("x"))).startswith("it refers to pathlib")


@pytest.mark.parametrize("of", [_Calls(getattr, OrderedDict(), "__class__"), _Calls(getattr, [], "append")])
def test_getattr_is_let_in_for_the_one_attribute_that_the_library_keeps(tmp_path: Path, of: _Calls) -> None:
    assert refusal(archive(tmp_path, of)).startswith("it refers to the attribute ")


def test_something_that_is_not_a_model_is_refused(tmp_path: Path) -> None:
    assert refusal(archive(tmp_path, OrderedDict(a=1))) == snapshot("what it holds is not a model")


def test_a_file_that_breaks_off_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, OrderedDict(a=1))
    path.write_bytes(path.read_bytes()[:40])
    assert refusal(path).startswith("it is not complete: ")


def test_two_pickles_in_one_file_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, OrderedDict(a=1))
    with zipfile.ZipFile(path, "a") as opened:
        opened.writestr("model/more.pkl", b"")
    assert refusal(path) == snapshot("it holds 2 pickles and should hold one")


MODEL = b"ctransformers.models.phi3.modeling_phi3\nPhi3Model\n)R"


def program(folder: Path, code: bytes) -> Path:
    """A file whose pickle is this very program."""
    path = folder / "pytorch_npu_model.pt"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("model/data.pkl", code)
    return path


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (b"cbuiltins\nset\nK\x01\x85R.", "its pickle is damaged: 'int' object is not iterable"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n)R.", "its pickle is damaged: _tensor() missing 3 required positional arguments"),
        (b"ctorch._utils\n_rebuild_tensor_v2\nK\x01K\x02K\x03\x87R.", "it makes a tensor of 1 and 3"),
        (b"ctorch._utils\n_rebuild_parameter\nK\x01\x85R.", "it makes a parameter of 1, which is not a tensor"),
        (b"X\x01\0\0\0\xff.", "its pickle is damaged: 'utf-8' codec can't decode"),
        (b"(K\x01K\x02K\x03K\x04K\x05tQ.", "it refers to (1, 2, 3, 4, 5), which is not the storage of a tensor"),
        (b"(" + MODEL + b"tQ.", "it refers to (<transformers.models.phi3.modeling_phi3.Phi3Model>,), which is not the storage"),
        (b"NQ.", "it refers to None, which is not the storage of a tensor"),
        (b"h\x05.", "it is not complete: Memo value not found at index 5"),
        (b"X\x01\0\0\0a0.", "it is not complete: "),
    ],
)
def test_a_program_that_makes_no_sense_is_refused(tmp_path: Path, code: bytes, reason: str) -> None:
    assert refusal(program(tmp_path, b"\x80\x02" + code)).startswith(reason)


@pytest.mark.parametrize(
    "state",
    [
        b"}X\x08\0\0\0_modulesK\x05s",
        b"}X\x0b\0\0\0_parametersK\x05s",
        b"q\0}X\x08\0\0\0_modules}X\x01\0\0\0ah\0ss",
        b"}X\x04\0\0\0nameK\x05s",
    ],
    ids=["modules", "parameters", "itself", "name"],
)
def test_a_model_that_is_laid_out_otherwise_is_refused(tmp_path: Path, state: bytes) -> None:
    assert refusal(program(tmp_path, b"\x80\x02" + MODEL + state + b"b.")) == snapshot(
        "its modules are not laid out as torch lays them out"
    )


def test_the_same_program_with_no_modules_is_a_model(tmp_path: Path) -> None:
    model = npu_library_pickle.read(program(tmp_path, b"\x80\x02" + MODEL + b"}b."))
    assert [name for name, _ in npu_library_pickle.modules(model)] == [""]


def test_a_program_that_would_fill_the_memory_is_refused_before_it_is_read(tmp_path: Path) -> None:
    assert refusal(program(tmp_path, b"\x80\x02Nr\x00\x00\x00\x40.")) == "its pickle is damaged: it remembers a thing as number 1073741824"
    with zipfile.ZipFile(tmp_path / "pytorch_npu_model.pt", "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("model/data.pkl", bytes((1 << 26) + 1))
    assert refusal(tmp_path / "pytorch_npu_model.pt") == "its pickle has 67,108,865 bytes, which no compiled model's has"


def test_a_name_is_told_so_that_a_person_can_read_it(tmp_path: Path) -> None:
    assert refusal(program(tmp_path, b"\x80\x02cos\tx\nname\n.")) == "it refers to os\\tx.name, which a compiled Phi-3 does not need"
    assert len(refusal(program(tmp_path, b"\x80\x02cos\n" + b"n" * 2000 + b"\n."))) == 501


def test_a_pickle_that_is_said_to_be_larger_than_its_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = program(tmp_path, b"\x80\x02" + MODEL + b"}b.")
    body = bytearray(path.read_bytes())
    at = body.index(b"PK\x01\x02") + 20
    body[at : at + 4] = (1 << 31).to_bytes(4, "little")
    path.write_bytes(body)
    assert refusal(path) == "its pickle would be larger than the file that it is in"


@pytest.mark.parametrize(
    "changes",
    [{6: b"\xff"}, {10: b"\x63"}, {42: b"\xff\xff\xff\x7f"}, {9: b"\x08", 46: b"\x98"}],
    ids=["version", "method", "place", "name in no known encoding"],
)
def test_an_archive_that_cannot_be_read_is_refused(tmp_path: Path, changes: dict[int, bytes]) -> None:
    path = program(tmp_path, b"\x80\x02" + MODEL + b"}b.")
    body = bytearray(path.read_bytes())
    entry = body.index(b"PK\x01\x02")
    for at, new in changes.items():
        body[entry + at : entry + at + len(new)] = new
    path.write_bytes(body)
    assert refusal(path).startswith("it is not complete: ")
