"""An encoder that embeds no text twice: for index builds, calibration and evaluation.

Vectors are kept in <home>/vectors/<model>-<fingerprint>.sqlite under a hash of the encoder's fingerprint and the text,
so what one encoder made is never another's. Not covered: the service's queries, which it remembers in its own memory.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from index.encoders.encoder import Encoder, Progress, checked_texts
from index.encoders.vector_file import VectorFile
from index.errors import EncoderError
from starter import home

LIMIT_BYTES = 1 << 30
TEXTS_A_WRITE = 512


class CachedEncoder:
    """`encoder` behind a file of its vectors; the same rows, any thread, any number of processes."""

    def __init__(self, encoder: Encoder, path: Path | None = None, limit_bytes: int = LIMIT_BYTES) -> None:
        self.id = encoder.id
        self.fingerprint = encoder.fingerprint
        self.dimension = encoder.dimension
        self._encoder = encoder
        self._file = VectorFile(path or vectors_path(encoder), encoder.dimension, limit_bytes)

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        """Unit rows (N, D); only texts that are not in the file are embedded, each once, and kept as they come."""
        keys = [self._key(text) for text in checked_texts(texts)]
        rows = self._file.read(list(dict.fromkeys(keys)))
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in rows}
        if progress and len(missing) < len(texts):
            progress(len(texts) - len(missing))
        wanted = list(missing)
        for start in range(0, len(wanted), TEXTS_A_WRITE):
            batch = wanted[start : start + TEXTS_A_WRITE]
            fresh = self._encoder.encode([missing[key] for key in batch], progress)
            if fresh.shape != (len(batch), self.dimension):
                raise EncoderError(
                    f'encoder "{self.id}" gave rows of shape "{fresh.shape}", not of its dimension {self.dimension}: '
                    "load it again"
                )
            made = dict(zip(batch, fresh, strict=True))
            self._file.write(made)
            rows |= made
        return np.stack([rows[key] for key in keys]) if keys else np.zeros((0, self.dimension), np.float32)

    def _key(self, text: str) -> bytes:
        return hashlib.sha256(f"{self.fingerprint}\0{text}".encode()).digest()


def vectors_path(encoder: Encoder) -> Path:
    """The file of an encoder's vectors below the cache."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", encoder.id.rpartition("/")[2])
    return home() / "vectors" / f"{name}-{encoder.fingerprint[:16]}.sqlite"
