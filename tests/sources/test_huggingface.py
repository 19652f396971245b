"""The hub as a source: what is fetched, what is refused, and how a download goes wrong and goes on, with the hub's real client."""

from __future__ import annotations

import hashlib
import json
import socket
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.formats.checkpoint import Survey
from bakehouse.recipe.source import HuggingFace
from bakehouse.sources import huggingface
from bakehouse.sources.seams import DownloadResult
from bakehouse.steps.step import Step
from tests.support import worker
from tests.support.hub import Fault, Hub
from tests.support.standin import safetensors
from tests.support.systems import needs_converters, not_on_windows

REPO, COMMIT = "bakers/tiny", "0123456789abcdef0123456789abcdef01234567"
SHARD = "model-00001-of-00002.safetensors"
WANTED = {
    "LICENSE",
    "NOTICE.md",
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
}
UNWANTED = {"README.md", "modeling_phi3.py", "configuration_phi3.py", "pytorch_model.bin", "onnx/model.onnx", "consolidated.safetensors"}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository in the layout of Phi-3-mini's, 0.6 MB in two shards."""
    folder = tmp_path / "repository"
    (folder / "onnx").mkdir(parents=True)
    for name in WANTED | UNWANTED:
        (folder / name).write_text("{}", encoding="utf-8")
    config = {"model_type": "phi3", "auto_map": {"AutoConfig": "configuration_phi3.Phi3Config"}}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / SHARD).write_bytes(safetensors({"a": 100_000}))
    (folder / "model-00002-of-00002.safetensors").write_bytes(safetensors({"b": 50_000, "c": 10}))
    names = {"a": SHARD, "b": "model-00002-of-00002.safetensors", "c": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}), encoding="utf-8")
    return folder


@pytest.fixture
def served(hub: Hub, repository: Path) -> Hub:
    hub.serve(repository, REPO, COMMIT)
    return hub


def source(**changes: Any) -> HuggingFace:
    return HuggingFace(**{"type": "huggingface", "repo": REPO, "revision": COMMIT, "license": "MIT", **changes})


def fetch(step: Step, hub: Hub | None, files: Path, **env: str) -> worker.Said:
    files.mkdir(exist_ok=True)
    endpoint = {"HF_ENDPOINT": hub.endpoint} if hub else {}
    return worker.run(huggingface.command(step, {}, files), {"HF_HOME": str(files.parent / "hf"), **endpoint, **env})


def download(hub: Hub | None, files: Path, **env: str) -> worker.Said:
    return fetch(huggingface.download(source(), "tiny"), hub, files, **env)


def test_only_what_a_checkpoint_needs_is_fetched(served: Hub, repository: Path, tmp_path: Path) -> None:
    files = tmp_path / "files"
    said = download(served, files)
    assert said.code == 0, said.text
    assert {path.name for path in files.iterdir()} == WANTED
    for name in WANTED:
        assert (files / name).read_bytes() == (repository / name).read_bytes()
        assert said.report.read(DownloadResult).files[name] == hashlib.sha256((repository / name).read_bytes()).hexdigest()
    step = huggingface.download(source(), "tiny")
    verification = huggingface.verify(step, {}, files, said.report)
    assert verification.faults == ()
    assert set(verification.measured["sha256_by_hub"]) == {SHARD, "model-00002-of-00002.safetensors"}
    assert not any(name in path for _, path in served.requests for name in UNWANTED)


def test_the_other_chat_templates_are_fetched_into_their_folder(hub: Hub, repository: Path, tmp_path: Path) -> None:
    more = "additional_chat_templates/tool_use.jinja"
    (repository / more).parent.mkdir()
    (repository / more).write_text("{{ messages }}", encoding="utf-8")
    hub.serve(repository, REPO, COMMIT)
    files = tmp_path / "files"
    (files / "left").mkdir(parents=True)
    (files / "left" / "behind.jinja").write_text("", encoding="utf-8")
    said = download(hub, files)
    assert said.code == 0, said.text
    assert (files / more).read_text(encoding="utf-8") == "{{ messages }}"
    assert not (files / "left").exists()
    assert huggingface.verify(huggingface.download(source(), "tiny"), {}, files, said.report).faults == ()


@pytest.mark.parametrize("ask", [huggingface.survey, huggingface.download], ids=["survey", "download"])
def test_a_repository_without_a_tokenizer_is_refused_before_a_weight_is_requested(
    ask: Callable[[HuggingFace, str], Step], hub: Hub, repository: Path, tmp_path: Path
) -> None:
    (repository / "tokenizer.json").rename(repository / "tokenizer.model")
    hub.serve(repository, REPO, COMMIT)
    said = fetch(ask(source(), "tiny"), hub, tmp_path / "files")
    assert said.code == 3, said.text
    assert said.refusal.splitlines()[0] == (
        f"{REPO}: There is no tokenizer.json, only tokenizer.model: a SentencePiece model alone is not read."
    )
    assert hub.sent[SHARD] == 0


def test_a_download_says_how_many_bytes_have_come(served: Hub, tmp_path: Path) -> None:
    said = download(served, tmp_path / "files")
    last = said.progress[-1]
    whole = sum((tmp_path / "files" / name).stat().st_size for name in WANTED if name.startswith("model-"))
    assert (last["done"], last["total"], last["unit"]) == (whole, whole, "B")


def test_the_key_holds_the_commit_and_not_the_licence() -> None:
    step = huggingface.download(source(), "tiny")
    assert step.key == huggingface.download(source(license="Apache-2.0"), "other").key
    assert step.key != huggingface.download(source(revision="f" * 40), "tiny").key
    assert step.tools == {}


def test_a_survey_reads_headers_and_no_weights_and_the_cards_licence(hub: Hub, repository: Path, tmp_path: Path) -> None:
    (repository / "README.md").write_text("---\nlicense: llama3\n---\n# Tiny\n", encoding="utf-8")
    hub.serve(repository, REPO, COMMIT)
    step, files = huggingface.survey(source(), "tiny"), tmp_path / "files"
    said = fetch(step, hub, files)
    assert said.code == 0, said.text
    survey = Survey.model_validate_json((files / "survey.json").read_bytes())
    assert survey.download_bytes == sum((repository / name).stat().st_size for name in WANTED)
    assert survey.config["model_type"] == "phi3"
    assert survey.license == "llama3"
    assert {tensor.name: tensor.shape for tensor in survey.tensors} == {"a": (100_000,), "b": (50_000,), "c": (10,)}
    assert hub.sent[SHARD] <= 1 << 17
    assert huggingface.verify(step, {}, files, said.report).faults == ()


def test_a_survey_reads_a_header_that_is_longer_than_its_first_request(hub: Hub, repository: Path, tmp_path: Path) -> None:
    (repository / SHARD).write_bytes(safetensors({f"layer.{number:06}": 1 for number in range(5000)}))
    hub.serve(repository, REPO, COMMIT)
    said = fetch(huggingface.survey(source(), "tiny"), hub, tmp_path / "files")
    assert said.code == 0, said.text
    assert len(Survey.model_validate_json((tmp_path / "files" / "survey.json").read_bytes()).tensors) == 5002


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def gguf(words: int = 3, **more: str) -> bytes:
    """The header of a GGUF with so many words, and what would be its weights."""
    texts = {"general.architecture": "llama", "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "smollm", **more}
    texts["tokenizer.chat_template"] = "{{ messages }}"
    tokens = _text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, words) + b"".join(_text(f"word {n}") for n in range(words))
    pairs = [tokens, *(_text(name) + struct.pack("<I", 8) + _text(value) for name, value in texts.items())]
    return b"GGUF" + struct.pack("<IQQ", 3, 1, len(pairs)) + b"".join(pairs) + bytes(5_000_000)


def test_a_gguf_of_the_hub_comes_alone_with_the_licence(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    (folder / "q4").mkdir(parents=True)
    for name in ("q4/model.gguf", "other.gguf", "LICENSE"):
        (folder / name).write_bytes(gguf(200_000))  # the header alone has more than one request brings
    hub.serve(folder, REPO, COMMIT)
    step = huggingface.download(source(gguf="q4/model.gguf"), "tiny")
    said = fetch(step, hub, tmp_path / "files")
    assert said.code == 0, said.text
    assert {path.name for path in (tmp_path / "files").iterdir()} == {"model.gguf", "LICENSE"}
    assert huggingface.verify(step, {}, tmp_path / "files", said.report).faults == ()


@pytest.mark.whole
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (gguf(**{"general.architecture": "gemma"}), 'The GGUF\'s architecture is "gemma", and only llama, qwen2, qwen3, gemma2'),
        (gguf(**{"tokenizer.ggml.pre": "deepseek"}), 'The GGUF\'s tokenizer splits text the way "deepseek" does; only gpt-2'),
        (b"GGML" + bytes(100), "model.gguf is not a complete GGUF file: it does not begin with GGUF."),
        (gguf()[:90], "model.gguf is not a complete GGUF file: it ends in the middle of its header"),
    ],
)
def test_a_gguf_that_cannot_be_read_is_refused_before_it_is_downloaded(hub: Hub, tmp_path: Path, body: bytes, said: str) -> None:
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "model.gguf").write_bytes(body)
    hub.serve(folder, REPO, COMMIT)
    done = fetch(huggingface.download(source(gguf="model.gguf"), "tiny"), hub, tmp_path / "files")
    assert (done.code, done.refusal.startswith(f"bakers/tiny: {said}")) == (3, True), done.text
    assert not list((tmp_path / "files").rglob("*.gguf*"))


def test_a_gguf_that_is_not_there_is_refused_with_those_that_are(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "other.gguf").write_bytes(b"x")
    hub.serve(folder, REPO, COMMIT)
    said = fetch(huggingface.download(source(gguf="model.gguf"), "tiny"), hub, tmp_path / "files")
    assert said.code == 3
    assert said.refusal == snapshot(
        "bakers/tiny: The repository has no file model.gguf at that commit.\n"
        "other.gguf\n"
        "Write the path of a file that is in the repository into the recipe."
    )


def test_a_token_goes_to_the_hub_and_not_to_the_host_that_it_points_to(served: Hub, tmp_path: Path) -> None:
    said = download(served, tmp_path / "files", HF_TOKEN="hf_secret")
    assert said.code == 0, said.text
    sent = {(path.startswith("/cdn/"), token) for (_, path), token in zip(served.requests, served.tokens, strict=True)}
    assert sent == {(False, "Bearer hf_secret"), (True, "")}
    assert "hf_secret" not in said.text


def test_a_login_of_the_hub_is_used(served: Hub, tmp_path: Path) -> None:
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "token").write_text("hf_login", encoding="utf-8")
    download(served, tmp_path / "files")
    assert served.tokens[0] == "Bearer hf_login"


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.whole
def test_pickled_weights_are_refused(hub: Hub, repository: Path, tmp_path: Path) -> None:
    for path in repository.glob("model*"):
        if path.suffix != ".py":
            path.unlink()
    hub.serve(repository, REPO, COMMIT)
    expected = (
        "bakers/tiny: The weights are pickles, which can run any code while they are read, and the repository has no safetensors.\n"
        "pytorch_model.bin\n"
        "Take a repository or a commit with safetensors weights, or write `convert_pickles: true` into the recipe's source: "
        "they are then read as plain data and made safetensors."
    )
    assert download(hub, tmp_path / "files").refusal == expected
    assert fetch(huggingface.survey(source(), "tiny"), hub, tmp_path / "files").refusal == expected


def test_a_repository_without_a_configuration_is_refused(hub: Hub, repository: Path, tmp_path: Path) -> None:
    (repository / "config.json").unlink()
    hub.serve(repository, REPO, COMMIT)
    assert download(hub, tmp_path / "files").refusal == snapshot(
        "bakers/tiny: There is no config.json, so this is not a transformers checkpoint.\n"
        "Let the recipe's source name a checkpoint in the Hugging Face layout, or a GGUF file."
    )


def test_an_index_that_names_a_shard_elsewhere_is_refused(hub: Hub, repository: Path, tmp_path: Path) -> None:
    index = {"weight_map": {"a": "../../evil.safetensors"}}
    (repository / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    hub.serve(repository, REPO, COMMIT)
    assert download(hub, tmp_path / "files").refusal == snapshot(
        """\
bakers/tiny: model.safetensors.index.json is not an index of weights: it names '../../evil.safetensors', which is no file beside it.
Take a complete checkpoint, as the model's author published it.\
"""
    )


CODE = b"print('code of the repository')\n"


def with_code(repository: Path) -> None:
    config = {"model_type": "novel", "auto_map": {"AutoConfig": "modeling_novel.Config", "AutoModelForCausalLM": "modeling_novel.Model"}}
    (repository / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (repository / "modeling_novel.py").write_bytes(CODE)


@pytest.mark.whole
def test_code_of_a_repository_is_refused_before_its_weights_are_fetched(hub: Hub, repository: Path, tmp_path: Path) -> None:
    with_code(repository)
    hub.serve(repository, REPO, COMMIT)
    for step in (huggingface.download(source(), "tiny"), huggingface.survey(source(), "tiny")):
        said = fetch(step, hub, tmp_path / "files")
        assert said.refusal == snapshot(
            'The model type "novel" is not part of transformers 5.5.4: it needs Python code of the repository.\n'
            "modeling_novel.py\n"
            "Read that code; if you trust it, list every file that it needs under source.remote_code with its sha256."
        )
    assert not hub.sent[SHARD]
    assert not hub.sent["modeling_novel.py"]


def test_listed_code_is_fetched(hub: Hub, repository: Path, tmp_path: Path) -> None:
    with_code(repository)
    hub.serve(repository, REPO, COMMIT)
    step = huggingface.download(source(remote_code={"modeling_novel.py": hashlib.sha256(CODE).hexdigest()}), "tiny")
    said = fetch(step, hub, tmp_path / "files")
    assert said.code == 0, said.text
    assert (tmp_path / "files" / "modeling_novel.py").read_bytes() == CODE
    assert huggingface.verify(step, {}, tmp_path / "files", said.report).faults == ()


def test_listed_code_with_another_content_is_refused(hub: Hub, repository: Path, tmp_path: Path) -> None:
    with_code(repository)
    hub.serve(repository, REPO, COMMIT)
    said = fetch(huggingface.download(source(remote_code={"modeling_novel.py": "0" * 64}), "tiny"), hub, tmp_path / "files")
    assert said.refusal == (
        "bakers/tiny: modeling_novel.py is not the code that the recipe lists.\n"
        f"sha256 in the recipe: {'0' * 64}\n"
        f"sha256 of the file:   {hashlib.sha256(CODE).hexdigest()}\n"
        "Read the file; only if you trust it, put its sha256 under source.remote_code."
    )


def test_listed_code_that_is_not_there_is_refused(served: Hub, tmp_path: Path) -> None:
    said = fetch(huggingface.download(source(remote_code={"other.py": "0" * 64}), "tiny"), served, tmp_path / "files")
    assert said.refusal == snapshot(
        "bakers/tiny: The recipe's remote_code lists files that are not at the top of the repository.\n"
        "other.py\n"
        "Write down the names as they are in the repository at that commit."
    )


@needs_converters
def test_a_type_that_transformers_does_not_know_is_refused(hub: Hub, repository: Path, tmp_path: Path) -> None:
    (repository / "config.json").write_text('{"model_type": "novel"}', encoding="utf-8")
    hub.serve(repository, REPO, COMMIT)
    assert download(hub, tmp_path / "files").refusal == snapshot(
        'transformers 5.5.4 does not know the model type "novel".\n'
        "Take a model whose type it knows, or a later release of transformers when the others of the toolchain allow it."
    )


# --- a hub that fails -----------------------------------------------------------------------------

LOG_IN = "`hf auth login` or HF_TOKEN"
KEPT = "what was downloaded is kept"
REFUSALS = {
    "401": (
        "The hub does not show bakers/tiny without a valid token (401): it is private or gated, or does not exist.\n"
        f"Check source.repo in the recipe; if it is right, accept the licence at {{hub}}/bakers/tiny, and give a token with {LOG_IN}."
    ),
    "token": (
        "The hub does not show bakers/tiny without a valid token (401): it is private or gated, or does not exist.\n"
        f"Check source.repo in the recipe; if it is right, accept the licence at {{hub}}/bakers/tiny, and give a token with {LOG_IN}."
    ),
    "gated": (
        "bakers/tiny is gated: its owner gives it only to those who have accepted the licence.\n"
        f"Accept it at {{hub}}/bakers/tiny, and give a token of that account with {LOG_IN}."
    ),
    "403": f"The token may not read bakers/tiny (403).\nGive a token that may read it, with {LOG_IN}.",
    "404": (
        "The hub has no repository bakers/tiny.\n"
        f"Check source.repo in the recipe; a private repository shows only to a token that may read it ({LOG_IN})."
    ),
    "no-revision": f"bakers/tiny has no commit {COMMIT}.\nTake a full commit from {{hub}}/bakers/tiny/commits/main.",
    "429": (
        "The hub takes no more requests from here for now (429).\n"
        f"Wait some minutes and run the same command again: {KEPT}. With a token ({LOG_IN}) the hub allows more."
    ),
    "500": f"The hub fails with an error of its own (500).\nRun the same command again later: {KEPT}.",
}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        *(("api", kind) for kind in ("token", "403", "404", "no-revision", "500")),
        *(pytest.param("api", kind, marks=pytest.mark.whole) for kind in ("401", "gated", "429")),
        *(pytest.param(SHARD, kind, marks=pytest.mark.whole) for kind in ("403", "500")),
        (SHARD, "429"),
    ],
)
def test_a_refusal_of_the_hub_is_put_into_words(served: Hub, tmp_path: Path, kind: Any, path: str) -> None:
    served.misbehave(Fault(kind, path))
    said = download(served, tmp_path / "files")
    assert said.code == 3
    assert said.refusal == REFUSALS[kind].format(hub=served.endpoint)


def test_too_many_requests_are_waited_out(served: Hub, tmp_path: Path) -> None:
    served.misbehave(Fault("429", "api", times=1), Fault("429", SHARD, times=1))
    assert download(served, tmp_path / "files").code == 0


def test_a_failure_of_the_hub_that_passes_is_waited_out(served: Hub, tmp_path: Path) -> None:
    served.misbehave(Fault("500", "api", times=1))
    assert download(served, tmp_path / "files").code == 0


@pytest.mark.whole
def test_a_hub_that_cannot_be_reached_is_put_into_words(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
    said = download(None, tmp_path / "files", HF_ENDPOINT=endpoint)
    assert said.refusal == (
        f"The hub at {endpoint} cannot be reached: [Errno 111] Connection refused.\n"
        f"Check the network, and HF_ENDPOINT and HTTPS_PROXY if they are set, and run the same command again: {KEPT}."
    )


@pytest.mark.whole
def test_a_hub_whose_name_is_unknown_is_put_into_words(tmp_path: Path) -> None:
    said = download(None, tmp_path / "files", HF_ENDPOINT="http://hub.invalid", HTTP_PROXY="", http_proxy="", NO_PROXY="*")
    assert said.refusal.startswith("The hub at http://hub.invalid cannot be reached: [Errno -")
    assert said.refusal.endswith(
        f"Check the network, and HF_ENDPOINT and HTTPS_PROXY if they are set, and run the same command again: {KEPT}."
    )


def test_offline_mode_is_honoured(served: Hub, tmp_path: Path) -> None:
    said = download(served, tmp_path / "files", HF_HUB_OFFLINE="1")
    assert said.refusal == snapshot(
        "bakers/tiny must be downloaded, and the hub's client is set to stay offline.\n"
        "Unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE, or run it once with a network."
    )
    assert served.requests == []


@pytest.mark.whole
def test_wrong_bytes_are_refused_and_not_kept(served: Hub, repository: Path, tmp_path: Path) -> None:
    served.misbehave(Fault("wrong", SHARD, after=200_000))
    right = (repository / SHARD).read_bytes()
    wrong = right[:200_000] + bytes([right[200_000] ^ 0xFF]) + right[200_001:]
    said = download(served, tmp_path / "files")
    assert said.refusal == (
        f"The hub sent other bytes for {SHARD} than it announces.\n"
        f"announced: {len(right)} bytes, sha256 {hashlib.sha256(right).hexdigest()}\n"
        f"received:  {len(right)} bytes, sha256 {hashlib.sha256(wrong).hexdigest()}\n"
        "Run the same command again; if it happens twice, a proxy or a mirror (HF_ENDPOINT) changes the files."
    )
    assert not list((tmp_path / "files").glob(f"{SHARD}*"))
    served.forget()
    assert download(served, tmp_path / "files").code == 0


def test_wrong_bytes_of_a_small_file_are_found_by_git(served: Hub, tmp_path: Path) -> None:
    served.misbehave(Fault("wrong", "tokenizer.json", after=1))
    said = download(served, tmp_path / "files")
    assert said.refusal.splitlines()[:2] == snapshot(
        [
            "The hub sent other bytes for tokenizer.json than it announces.",
            "announced: 2 bytes, git sha1 9e26dfeeb6e641a33dae4961196235bdb965b21b",  # git hash-object of {}
        ]
    )


@not_on_windows("it has no name spaces")
def test_a_full_disk_ends_a_download(served: Hub, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    command = huggingface.command(huggingface.download(source(), "tiny"), {}, files)
    small = f'mount -t tmpfs -o size=100k tmpfs "{files}" && exec "$@"'  # in a name space of its own: no right is needed
    program = ("unshare", "--map-root-user", "--mount", "sh", "-c", small, "sh", *command.argv)
    said = worker.run(replace(command, argv=program), {"HF_HOME": str(tmp_path / "hf"), "HF_ENDPOINT": served.endpoint})
    assert said.code == 1
    assert "OSError: [Errno 28] No space left on device" in said.text.splitlines()  # which a stage puts into words


# --- broken off, and gone on ----------------------------------------------------------------------


def test_a_connection_that_breaks_off_once_is_taken_up_where_it_was(served: Hub, repository: Path, tmp_path: Path) -> None:
    served.misbehave(Fault("break", SHARD, after=150_000, times=1))
    assert download(served, tmp_path / "files").code == 0
    assert served.sent[SHARD] == (repository / SHARD).stat().st_size
    assert (tmp_path / "files" / SHARD).read_bytes() == (repository / SHARD).read_bytes()


@pytest.mark.whole
def test_a_second_run_fetches_only_the_rest(served: Hub, repository: Path, tmp_path: Path) -> None:
    served.misbehave(Fault("break", SHARD, after=150_000))
    size = (repository / SHARD).stat().st_size
    said = download(served, tmp_path / "files")
    assert said.refusal.splitlines()[0] == (
        f"The connection broke off while {SHARD} was being downloaded: 150000 of {size} bytes are here."
    )
    assert said.refusal.splitlines()[-1] == snapshot("Check the network and run the same command again: it goes on from byte 150000.")
    served.forget()
    assert download(served, tmp_path / "files").code == 0
    assert served.sent[SHARD] == size - 150_000
    assert served.sent["tokenizer.json"] == 0
    assert (tmp_path / "files" / SHARD).read_bytes() == (repository / SHARD).read_bytes()
    assert {path.name for path in (tmp_path / "files").iterdir()} == WANTED


def test_a_damaged_part_is_fetched_again(served: Hub, repository: Path, tmp_path: Path) -> None:
    files, size = tmp_path / "files", (repository / SHARD).stat().st_size
    files.mkdir()
    (files / f"{SHARD}.partial").write_bytes(b"\0" * 100_000)
    assert download(served, files).code == 0
    assert served.sent[SHARD] == size - 100_000 + size
    assert (files / SHARD).read_bytes() == (repository / SHARD).read_bytes()


def test_a_killed_download_goes_on(served: Hub, repository: Path, tmp_path: Path) -> None:
    files, size = tmp_path / "files", (repository / SHARD).stat().st_size
    files.mkdir()
    served.misbehave(Fault("slow", SHARD, after=400_000))
    env = {"HF_HOME": str(tmp_path / "hf"), "HF_ENDPOINT": served.endpoint}
    process = worker.start(huggingface.command(huggingface.download(source(), "tiny"), {}, files), env, tmp_path)
    assert process.stdout is not None
    for line in process.stdout:
        if SHARD in line and '"done": 0' not in line and '"done": null' not in line:
            break
    process.kill()
    process.wait()
    process.stdout.close()
    partial = (files / f"{SHARD}.partial").stat().st_size
    assert 0 < partial < size
    served.wait_until_idle()
    served.forget()
    assert download(served, files).code == 0
    assert served.sent[SHARD] == size - partial
    assert (files / SHARD).read_bytes() == (repository / SHARD).read_bytes()


def test_a_truncated_shard_is_a_fault(served: Hub, tmp_path: Path) -> None:
    files, step = tmp_path / "files", huggingface.download(source(), "tiny")
    said = download(served, files)
    with (files / SHARD).open("r+b") as opened:
        opened.truncate(200_000)
    size = len(safetensors({"a": 100_000}))
    assert huggingface.verify(step, {}, files, said.report).faults == (
        f"{SHARD} has 200000 bytes, and should have {size} according to its header.",
    )
