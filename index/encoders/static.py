"""A table of token vectors in, the mean of a text's rows out: the one file that imports model2vec.

Distilled from a sentence-transformers model by index/encoders/distil.py, once, into a folder of the cache; or a folder
in model2vec's own format. A hundred times as fast as the model and less exact: it knows words, not their order.
"""

import importlib.metadata
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from index.encoders.config import EncoderConfig
from index.encoders.encoder import Progress, checked_texts, cut_length, require_tokenizer, unit_rows
from index.encoders.fingerprint import fingerprint, with_facts
from index.errors import EncoderError
from starter.derived import derived

RECIPE = 1  # raise when the distillation makes other vectors
MADE_WITH = ("model2vec", "sentence-transformers", "torch", "transformers")
BATCH = 256


def static_encoder(config: EncoderConfig, source: Path) -> "StaticEncoder":
    """The static form of a model folder, made first where the cache lacks it; a model2vec folder as it is."""
    require_tokenizer(source)
    model = fingerprint(source)
    identity = with_facts(model, "static", RECIPE, config.max_tokens)
    if is_static(source):
        return StaticEncoder(config.id, source, identity, config.max_tokens)
    versions = {name: importlib.metadata.version(name) for name in MADE_WITH}
    recipe = {"recipe": str(RECIPE), "source": model, **versions}
    folder = derived(f"{config.short_name}-static", recipe, "index.encoders.distil", source)
    return StaticEncoder(config.id, folder, identity, config.max_tokens)


def is_static(folder: Path) -> bool:
    """Whether a folder is in model2vec's own format."""
    return json.loads((folder / "config.json").read_text()).get("model_type") == "model2vec"


class StaticEncoder:
    """A model2vec folder; one caller at a time, as the library sets its tokenizer anew in each call."""

    def __init__(self, id_: str, folder: Path, identity: str, max_tokens: int | None = None) -> None:
        self.id = id_
        self.fingerprint = identity
        self._model = load(folder)
        self._model.max_length = cut_length(max_tokens, self._model.max_length or max_tokens or 0, id_) or None
        self.dimension = int(self._model.dim)
        self._lock = threading.Lock()

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        """Unit rows (N, D); zeros for a text without a known token."""
        texts = checked_texts(texts)
        rows = np.zeros((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), BATCH):
            batch = texts[start : start + BATCH]
            with self._lock:
                found = self._model.encode(batch, normalize=False, use_multiprocessing=False)
            rows[start : start + len(batch)] = unit_rows(found, batch, self.id, self.dimension)
            if progress:
                progress(len(batch))
        return rows


def load(folder: Path) -> Any:
    """The StaticModel of a folder; raises EncoderError when there is none."""
    from model2vec import StaticModel

    try:
        return StaticModel.from_pretrained(folder)
    except Exception as error:  # each damage has another kind
        why = " ".join(str(error).split())[:300]
        raise EncoderError(f'encoder folder "{folder}" holds no model2vec model ({why}): fetch it again') from error


def save(vectors_VD: np.ndarray, tokenizer: Any, max_tokens: int, folder: Path) -> None:
    """Write one vector for each id of a tokenizer as a model2vec folder."""
    from model2vec import StaticModel

    config = {"model_type": "model2vec", "architectures": ["StaticModel"], "hidden_dim": vectors_VD.shape[1]}
    model = StaticModel(vectors_VD, tokenizer, config, normalize=True, max_length=max_tokens)
    model.save_pretrained(folder)
