"""`bakehouse bench`: what is measured, cut, shown and kept; over a made-up runtime."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bakehouse.app.main import main
from bakehouse.inference import bench
from bakehouse.inference.bench import Bench
from bakehouse.inference.busy import Others, Watch
from bakehouse.store.files import records
from bakehouse.tasks.text_generation.workers.jobs import Loaded
from tests.support.running import CONTEXT, NAME, use
from tests.support.systems import needs_converters

pytestmark = pytest.mark.needs_backend("openvino")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use(tmp_path, monkeypatch)


@needs_converters
def test_a_measurement_is_shown_and_kept_outside_the_package(package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = records(package)
    assert main(["bench", NAME, "--runs", "2", "--prompt-tokens", "8,500", "--new-tokens", "4"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{NAME} on CPU: loaded in ") and "medians of 2 runs after a warm-up, 4 new tokens each" in out
    assert f"prompts of 500 tokens are cut to {CONTEXT - 4}" in err
    kept = Bench.model_validate_json((tmp_path / "bench" / f"{NAME}.json").read_bytes())
    assert [(row.prompt_tokens, row.new_tokens) for row in kept.lengths] == [(8, 4), (CONTEXT - 4, 4)]
    assert kept.lengths[0].first_token_range_s == (0.02, 0.02) and kept.machine["cores"]
    assert records(package) == before


@needs_converters
def test_json_is_all_that_a_script_reads(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", NAME, "--runs", "1", "--prompt-tokens", "8", "--new-tokens", "1", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert one["name"] == NAME and one["lengths"][0]["tokens_per_s"] is None


def test_every_package_is_looked_for_before_the_first_is_measured(package: Path, tmp_path: Path) -> None:
    assert main(["bench", NAME, "nope"]) == 1
    assert not (tmp_path / "bench").exists()


def test_lengths_are_cut_to_the_context_and_to_the_longest_prompt() -> None:
    def of(context: int | None, longest: int | None) -> list[int]:
        return bench.fitting((1000, 8, 500), 10, Loaded(device="", device_name="", load_s=0, context=context, longest_prompt=longest))

    assert (of(None, None), of(300, None), of(300, 100)) == ([8, 500, 1000], [8, 290], [8, 100])


def test_others_are_named_and_this_command_is_not_one() -> None:
    assert str(Others(1.24, 2, (("cc1plus", 0.9),))) == "others use 1.2 of 2 cores: cc1plus (0.9)"
    assert Others(0.19, 2).quiet and not Others(0.21, 2).quiet
    assert Watch().others().cores >= 0
