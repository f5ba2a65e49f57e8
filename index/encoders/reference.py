"""Any sentence-transformers model as its authors run it: the vectors that other backends are held against.

The one file that imports sentence_transformers, and only when a model is loaded: it takes seconds and 300 MB, which a
process with another backend does without.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from index.encoders.encoder import Progress, checked_texts, cut_length, require_tokenizer, unit_rows
from index.encoders.fingerprint import fingerprint, with_facts
from index.errors import EncoderError

BATCH = 32


class TorchEncoder:
    """A sentence-transformers model on one device; one caller at a time, the others wait."""

    def __init__(self, id_: str, folder: Path, max_tokens: int | None = None) -> None:
        require_tokenizer(folder)
        self.model = load(folder)
        self.id = id_
        self.fingerprint = with_facts(fingerprint(folder), "torch", max_tokens)
        self.dimension = int(self.model.get_embedding_dimension() or 0)
        if max_tokens:
            self.model.max_seq_length = cut_length(max_tokens, self.model.max_seq_length, id_)
        self._lock = threading.Lock()

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        """Unit rows (N, D)."""
        texts = checked_texts(texts)
        rows = np.zeros((len(texts), self.dimension), np.float32)
        by_length = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # equal lengths together: less padding
        for start in range(0, len(texts), BATCH):
            chosen = by_length[start : start + BATCH]
            batch = [texts[i] for i in chosen]
            with self._lock:
                found = self.model.encode(batch, show_progress_bar=False)
            rows[chosen] = unit_rows(found, batch, self.id, self.dimension)
            if progress:
                progress(len(chosen))
        return rows


def load(folder: Path) -> Any:
    """The SentenceTransformer of a folder; raises EncoderError when there is none."""
    import torch
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(
            str(folder), device="cuda" if torch.cuda.is_available() else "cpu", local_files_only=True
        )
    except Exception as error:  # each architecture and file format fails with another kind
        why = " ".join(str(error).split())[:300]
        raise EncoderError(
            f'encoder folder "{folder}" cannot be loaded ({type(error).__name__}: {why}): give the folder or the id '
            "of a sentence-transformers model"
        ) from error
