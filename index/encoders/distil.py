"""A sentence-transformers model in, a static model's folder out.

    python -m index.encoders.distil MODEL FOLDER

Runs as a child process of `starter.derived`, once for a model. As model2vec distils: each token of the vocabulary goes
through the model alone, the mean of its rows is reduced by PCA and weighted down by how common the token is; places in
the vocabulary that no word took stay zero. Written here because the library's own distillation asks for an older
transformers than the trainer does.
Not covered: words besides the tokenizer's own.
"""

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import PCA

from index.encoders.export import parts
from index.encoders.reference import TorchEncoder
from index.encoders.static import save
from index.errors import EncoderError
from starter.derived import REFUSED

DIMENSION = 256
SIF = 1e-4  # Arora et al. (2017): smooth inverse frequency; model2vec's own value
BATCH = 256
UNUSED = re.compile(r"\[unused\d+\]")


def token_rows(transformer: torch.nn.Module, tokenizer: Any, ids: np.ndarray) -> np.ndarray:
    """(V, D): the mean row of each token between the model's first and last special tokens."""
    first, *last = tokenizer("")["input_ids"]
    device = next(transformer.parameters()).device
    rows = []
    for batch in torch.from_numpy(ids).split(BATCH):
        columns = [torch.full_like(batch, first), batch, *(torch.full_like(batch, id_) for id_ in last)]
        inputs = torch.stack(columns, 1).to(device)
        with torch.inference_mode():
            rows.append(transformer(input_ids=inputs).last_hidden_state.mean(1).float().cpu().numpy())
    return np.concatenate(rows)


def weights(count: int) -> np.ndarray:
    """(V, 1): less for common tokens; a vocabulary is ordered by frequency, which falls as Zipf's law says."""
    shares = 1 / np.arange(2, count + 2)
    return (SIF / (SIF + shares / shares.sum()))[:, None]


def distil(source: Path, target: Path) -> None:
    """Write the folder."""
    encoder = TorchEncoder(source.name, source)
    transformer, _ = parts(encoder.model)
    tokenizer = encoder.model.tokenizer
    words = tokenizer.get_vocab()
    ids = np.array(sorted(id_ for word, id_ in words.items() if not UNUSED.fullmatch(word)))
    rows_VD = token_rows(transformer.eval(), tokenizer, ids)
    reduced = PCA(min(DIMENSION, *rows_VD.shape), svd_solver="covariance_eigh").fit_transform(rows_VD)
    vectors = np.zeros((len(words), reduced.shape[1]), np.float16)
    vectors[ids] = reduced * weights(len(ids))
    backend = tokenizer.backend_tokenizer
    backend.no_padding()
    save(vectors, backend, int(encoder.model.max_seq_length), target)


if __name__ == "__main__":
    try:
        distil(Path(sys.argv[1]), Path(sys.argv[2]))
    except EncoderError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(REFUSED)
