"""Texts in, unit vectors out: the one file that imports sentence_transformers."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from starter import resolve_encoder

BATCH = 32
STARTER_ID = "all-MiniLM-L6-v2"


class Encoder:
    """A sentence-transformers model on one device; `encode` may be called from any thread, one caller at a time."""

    def __init__(self, id_: str, folder: str | Path) -> None:
        self.id = id_
        self._model = SentenceTransformer(str(folder), device="cuda" if torch.cuda.is_available() else "cpu")
        self._lock = threading.Lock()
        self.dimension = int(self._model.get_embedding_dimension() or 0)

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> np.ndarray:
        """Embed texts; returns (N, D) float32 rows of length 1. `progress` receives the number of texts just done."""
        rows = np.zeros((len(texts), self.dimension), np.float32)
        by_length = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # equal lengths together: less padding
        for start in range(0, len(texts), BATCH):
            chosen = by_length[start : start + BATCH]
            with self._lock:
                rows[chosen] = self._model.encode(
                    [texts[i] for i in chosen], normalize_embeddings=True, show_progress_bar=False
                )
            if progress:
                progress(len(chosen))
        return rows


def load_encoder(model: str) -> Encoder:
    """Load "starter" (all-MiniLM-L6-v2), a local folder, or a Hugging Face id."""
    return Encoder(STARTER_ID if model == "starter" else model, resolve_encoder(model))
