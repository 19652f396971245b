"""How states become a vector is read from the files of sentence-transformers; what no runtime does is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bakehouse.records import Pooling
from bakehouse.tasks.embeddings import pooling

MODULES = [
    {"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]
NORMALIZE = {"idx": 2, "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}
MEAN = {"word_embedding_dimension": 4, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}


def written(folder: Path, modules: Any, how: Any = MEAN) -> Path:
    (folder / "1_Pooling").mkdir()
    (folder / "modules.json").write_text(modules if isinstance(modules, str) else json.dumps(modules))
    (folder / "1_Pooling" / "config.json").write_text(how if isinstance(how, str) else json.dumps(how))
    return folder


@pytest.mark.parametrize(
    ("modules", "how", "found"),
    [
        (MODULES, MEAN, Pooling(mode="mean", normalize=False)),
        ([*MODULES, NORMALIZE], MEAN, Pooling(mode="mean", normalize=True)),
        ([*MODULES, NORMALIZE], {"pooling_mode_lasttoken": True}, Pooling(mode="last_token", normalize=True)),
        (MODULES, {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, Pooling(mode="cls", normalize=False)),
    ],
)
def test_what_the_files_say_is_read(modules: Any, how: Any, found: Pooling, tmp_path: Path) -> None:
    assert pooling.read(written(tmp_path, modules, how)) == found


@pytest.mark.parametrize(
    ("modules", "how", "reason"),
    [
        ("{", MEAN, "modules.json cannot be read"),
        ([{"type": "x"}], MEAN, "modules.json cannot be read"),
        (MODULES[:1], MEAN, "modules.json names no pooling"),
        (
            [*MODULES, {"path": "2_Dense", "type": "sentence_transformers.models.Dense"}],
            MEAN,
            "modules.json has a module that no runtime",
        ),
        (MODULES, "[", "1_Pooling/config.json cannot be read"),
        (MODULES, {"pooling_mode_max_tokens": True}, "its pooling is pooling_mode_max_tokens"),
        (
            MODULES,
            {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True},
            "its pooling is pooling_mode_cls_token, pooling_mode_mean",
        ),
        (MODULES, {}, "its pooling is none"),
    ],
)
def test_what_cannot_be_made_is_refused(modules: Any, how: Any, reason: str, tmp_path: Path) -> None:
    with pytest.raises(pooling.Unpooled) as refused:
        pooling.read(written(tmp_path, modules, how))
    assert str(refused.value).startswith(reason)


def test_without_modules_nothing_is_known(tmp_path: Path) -> None:
    with pytest.raises(pooling.Unpooled, match=r"no modules\.json"):
        pooling.read(tmp_path)
