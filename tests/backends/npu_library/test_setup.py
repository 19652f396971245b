"""What is let into the environment of the Intel NPU Acceleration Library: files whose hash is known, and no others."""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.backends.npu_library.workers import setup as npulib_setup
from bakehouse.child import pinned
from bakehouse.records import Distribution


def wheel(folder: Path) -> Path:
    """A wheel with one module."""
    path = folder / "bun-1.0-py3-none-any.whl"
    info = "bun-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bun.py", "baked = True\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: bun\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"bun.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return path


def refusal(capfd: pytest.CaptureFixture[str]) -> str:
    events = [line.removeprefix("@bakehouse ") for line in capfd.readouterr().out.splitlines() if line.startswith("@bakehouse ")]
    what: str = json.loads(events[-1])["what"]
    return what


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))


def install(folder: Path, digest: str) -> list[Distribution]:
    lock = folder / "lock.txt"
    lock.write_text(f"bun==1.0 --hash=sha256:{digest}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return pinned.install(folder / "site", lock)


def test_a_wheel_with_the_pinned_hash_is_installed_and_named_by_it(tmp_path: Path) -> None:
    digest = hashlib.sha256(wheel(tmp_path).read_bytes()).hexdigest()
    assert install(tmp_path, digest) == [Distribution(name="bun", version="1.0", sha256=digest)]
    assert (tmp_path / "site" / "bun.py").exists()


def test_a_wheel_with_another_hash_is_not(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    wheel(tmp_path)
    with pytest.raises(SystemExit):
        install(tmp_path, "0" * 64)
    assert refusal(capfd) == snapshot("The package index gave a file other than the pinned one.")
    assert not (tmp_path / "site").exists()


def installed(folder: Path, content: bytes) -> None:
    """A distribution of one module whose wheel held `baked = True`, and that holds `content` now."""
    info = folder / "roll-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "roll.py").write_bytes(content)
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"baked = True\n").digest()).rstrip(b"=").decode()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: roll\nVersion: 1.0\n")
    (info / "RECORD").write_text(f"roll.py,sha256={digest},13\n../../bin/roll,,\nroll-1.0.dist-info/METADATA,,\n")


def test_a_package_is_copied_as_its_wheel_brought_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path / "here", b"baked = True\n")
    monkeypatch.syspath_prepend(str(tmp_path / "here"))
    npulib_setup.copy_distribution("roll", tmp_path / "site")
    found = sorted(path.relative_to(tmp_path / "site").as_posix() for path in (tmp_path / "site").rglob("*") if path.is_file())
    assert found == ["roll-1.0.dist-info/METADATA", "roll.py"]


def test_a_package_that_was_changed_here_is_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    installed(tmp_path / "here", b"baked = 0   \n")
    monkeypatch.syspath_prepend(str(tmp_path / "here"))
    with pytest.raises(SystemExit):
        npulib_setup.copy_distribution("roll", tmp_path / "site")
    assert refusal(capfd) == snapshot("roll.py of roll was changed after it was installed.")
    assert not (tmp_path / "site" / "roll.py").exists()
