"""What an encoder is, and what every encoder's texts and rows are held to.

Not covered: several vectors a text, sparse vectors, images.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from index.errors import CorpusError, EncoderError

Progress = Callable[[int], None]
TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "sentencepiece.bpe.model", "spiece.model", "tokenizer.model")
SHOWN = 60


class Encoder(Protocol):
    """Texts in, unit vectors out; `encode` may be called from any thread.

    `id` names model, backend and length; `fingerprint` is a hash of weights, tokenizer, backend and length, so that
    an altered model under the same id is told apart; `dimension` is the length of a row.
    """

    id: str
    fingerprint: str
    dimension: int

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        """(N, D) float32 rows of length 1, or of zeros where a static encoder knows no token of the text.

        `progress` receives the number of texts just done. Raises CorpusError on a text that is not UTF-8, EncoderError
        on numbers that are not finite.
        """


def checked_texts(texts: Sequence[str]) -> list[str]:
    """The texts; refuses half characters (lone surrogates), which tokenizers answer with a TypeError of their own."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            shown = text[:SHOWN].encode(errors="backslashreplace").decode()
            raise CorpusError(f'the text "{shown}" is not UTF-8 text: write it in UTF-8') from error
    return list(texts)


def unit_rows(rows: np.ndarray, texts: Sequence[str], id_: str, dimension: int) -> np.ndarray:
    """Rows (N, D) of one encoder as float32 of length 1; rows of zeros stay. Refuses another shape, NaN, infinity."""
    if rows.shape != (len(texts), dimension):
        raise EncoderError(
            f'encoder "{id_}" gave an array of shape "{rows.shape}" for {len(texts)} texts, not of dimension '
            f"{dimension}: its model folder is mixed from two models, fetch it again"
        )
    rows = rows.astype(np.float32)
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        text = texts[int(finite.argmin())][:SHOWN]
        raise EncoderError(
            f'encoder "{id_}" gave NaN or infinite numbers for the text "{text}": its weights are damaged, fetch the '
            "model again"
        )
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)


def require_tokenizer(folder: Path) -> None:
    """Refuse a model folder without a tokenizer: transformers would make an empty one, all texts the same to it."""
    if not any(path.name in TOKENIZERS for path in folder.rglob("*")):
        raise EncoderError(
            f'encoder folder "{folder}" has no tokenizer ({", ".join(TOKENIZERS[:2])} or the like): copy the whole '
            "model folder, tokenizer files included"
        )


def cut_length(max_tokens: int | None, limit: int, id_: str) -> int:
    """Tokens after which a text is cut; refuses more than the model reads."""
    if max_tokens is not None and max_tokens > limit:
        raise EncoderError(
            f'max_tokens "{max_tokens}" of encoder "{id_}" is more than the model reads: give {limit} or less'
        )
    return max_tokens or limit
