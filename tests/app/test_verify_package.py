"""The command `bakehouse check`, and what it has in common with `doit check --package`: no option is ignored, in either."""

from __future__ import annotations

from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.app import check_package, main
from bakehouse.errors import Failure
from bakehouse.package.seams import SigstoreIdentity, TrustedChain
from tests.support.bench import command
from tests.support.packed import pack

NOTHING = dict.fromkeys(check_package.OPTIONS)
pytestmark = pytest.mark.needs_backend("openvino")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return pack(tmp_path / "package")


def test_a_complete_package_is_checked_in_any_folder(
    package: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(package.parent)
    assert main.main(["check", "package"]) == 0
    assert capsys.readouterr().out.endswith(" hashed: nothing wrong\n")


def test_a_damaged_package_and_a_folder_that_is_none_end_with_1(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (package / "LICENSE").unlink()
    assert main.main(["check", str(package)]) == 1
    assert capsys.readouterr().out.startswith("damaged  LICENSE: missing; listed in ")
    assert main.main(["check", str(package / "below")]) == 1
    assert capsys.readouterr().err == (
        f"ERROR: {package / 'below'}: The folder has no bakehouse.json, so it is not a package.\n"
        "  what to do: Name the folder that holds bakehouse.json.\n"
    )


def test_what_the_hubs_client_leaves_is_one_line_however_much_it_is(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left = package / ".cache" / "huggingface" / "download"
    left.mkdir(parents=True)
    for number in range(43):
        (left / f"{number}.metadata").write_text("x")
    (package / ".gitattributes").write_text("x")
    assert main.main(["check", str(package)]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == snapshot(
        [
            "aside    .cache/huggingface/ (43 files): left by a hub's client or by git, no part of the package",
            "aside    .gitattributes: left by a hub's client or by git, no part of the package",
        ]
    )


def test_wrong_usage_ends_with_2_and_says_what_is_right(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main(["check", "./package", "--signed-by", "me"])
    assert caught.value.code == 2
    assert "unrecognized arguments: --signed-by me" in capsys.readouterr().err


def test_the_verb_of_before_names_the_one_of_today(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["verify", str(package)]) == 2
    assert capsys.readouterr() == ("", "ERROR: `bakehouse verify` is not a command. Did you mean `bakehouse check`?\n")


def test_a_signature_is_requested_with_each_option(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pem = package / "LICENSE"
    assert main.main(["check", str(package), "--key", str(pem)]) == 1
    assert capsys.readouterr().out.startswith("damaged  model.sig: missing, so nothing says who made this\n")
    chain = check_package.signer({**NOTHING, "certificate": f"{pem},{pem}"})
    assert chain and chain.trusted == TrustedChain(chain=(pem, pem))
    someone = check_package.signer({**NOTHING, "identity": "https://forge.example/me"})
    assert someone and someone.trusted == SigstoreIdentity(
        identity="https://forge.example/me", issuer="https://token.actions.githubusercontent.com"
    )
    other = check_package.signer({**NOTHING, "identity": "me@example.org", "issuer": "https://id.example"})
    assert other and other.trusted == SigstoreIdentity(identity="me@example.org", issuer="https://id.example")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"issuer": "https://id.example"}, "--issuer is about an identity, and none is named.\n  what to do: Add --identity."),
        ({"key": "a", "identity": "b"}, "--key and --identity: a package has one signature, of one kind.\n  what to do: Give one of them."),
        (
            {"key": "a", "issuer": "https://id.example"},
            "--issuer is about an identity, and none is named.\n  what to do: Add --identity.",
        ),
        ({"key": ""}, "--key is empty, so nothing would be checked.\n  what to do: Say by whom the package must be signed."),
        (
            {"key": "/nowhere.pem"},
            "--key: There is no file /nowhere.pem.\n  what to do: Name the PEM file, from where you trust it.",
        ),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(options: dict[str, str], said: str) -> None:
    with pytest.raises(Failure) as caught:
        check_package.signer({**NOTHING, **options})
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["NAME", "--package", "DIR"],
            "NAME would not be looked at: --package checks one folder.\n"
            "  what to do: `bakehouse check DIR` checks a folder, `bakehouse check NAME` what is in the store.",
        ),
        (
            ["NAME", "--key", "x.pem"],
            "--key is about a package from elsewhere, and none is named.\n  what to do: `bakehouse check DIR --key ...`.",
        ),
        (
            ["--package="],
            "--package names no folder.\n  what to do: `bakehouse check DIR` checks a folder, `bakehouse check NAME` what is in the store.",
        ),
        (
            ["--package", "DIR", "--key="],
            "--key is empty, so nothing would be checked.\n  what to do: Say by whom the package must be signed.",
        ),
    ],
)
def test_doit_takes_options_wherever_they_stand_and_ignores_none(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("check", *words) == 1
    assert capsys.readouterr().err == f"ERROR: {said}\n"
