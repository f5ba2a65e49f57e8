"""A sentence-transformers model in 8-bit integers on one core: the one file that imports onnxruntime.

Made once for a model, by index/encoders/export.py, into a folder of the cache:

    model.onnx      token ids (1, n) in, one pooled row out; matrices in int8 a channel, activations at run time
    tokenizer.json  as the model cuts texts
    check.npy       rows that torch gave for the texts of check.json; compared whenever the folder is loaded
    check.json      those texts, and the model's own length in tokens

Each text is embedded alone: its quantisation then depends on nothing but itself, so a text has one vector whatever
stands beside it, and on one core a batch saves nothing. Not covered: GPUs.
"""

import importlib.metadata
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from index.encoders.config import EncoderConfig
from index.encoders.encoder import Progress, checked_texts, cut_length, require_tokenizer, unit_rows
from index.encoders.fingerprint import fingerprint, with_facts
from index.errors import EncoderError
from starter.derived import derived

RECIPE = 1  # raise when the export makes other vectors: it is then made again, and indexes embedded with it are refused
MADE_WITH = ("onnx", "onnxruntime", "onnxscript", "sentence-transformers", "torch", "transformers")
LEAST_COSINE = 0.98
# Its kernel is not vectorised on x86: without the fusion a query takes a sixth less time.
SLOW_FUSIONS = ["SkipLayerNormFusion"]


def quantised_encoder(config: EncoderConfig, source: Path) -> "QuantisedEncoder":
    """The quantised form of a model folder, made first where the cache lacks it."""
    require_tokenizer(source)
    versions = {name: importlib.metadata.version(name) for name in MADE_WITH}
    model = fingerprint(source)
    recipe = {"recipe": str(RECIPE), "source": model, **versions}
    folder = derived(f"{config.short_name}-onnx-int8", recipe, "index.encoders.export", source)
    # Versions are left out: they hardly move a vector, and a bundle is carried between machines.
    identity = with_facts(model, "onnx-int8", RECIPE, config.max_tokens)
    return QuantisedEncoder(config.id, folder, identity, threads=config.threads, max_tokens=config.max_tokens)


class QuantisedEncoder:
    """An exported folder; any number of threads may call, each call takes `threads` cores and one for a single text."""

    def __init__(
        self, id_: str, folder: Path, identity: str, *, threads: int = 1, max_tokens: int | None = None
    ) -> None:
        check = json.loads((folder / "check.json").read_text())
        expected = np.load(folder / "check.npy")
        self.id = id_
        self.fingerprint = identity
        self.dimension = int(expected.shape[1])
        self._threads = threads
        self._session = open_session(folder / "model.onnx")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._cut(check["max_tokens"])
        self._compare(check["texts"], expected)
        self._cut(cut_length(max_tokens, check["max_tokens"], id_))

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        """Unit rows (N, D)."""
        texts = checked_texts(texts)
        rows = np.zeros((len(texts), self.dimension), np.float32)
        for number, row in enumerate(self._each(texts)):
            rows[number] = row
            if progress:
                progress(1)
        return rows

    def _each(self, texts: list[str]) -> Iterator[np.ndarray]:
        if min(self._threads, len(texts)) < 2:
            yield from map(self._row, texts)
            return
        with ThreadPoolExecutor(self._threads) as pool:
            yield from pool.map(self._row, texts)

    def _row(self, text: str) -> np.ndarray:
        ids = np.array([self._tokenizer.encode(text).ids], np.int64)
        found: Any = self._session.run(None, {"input_ids": ids})[0]
        return unit_rows(found, [text], self.id, self.dimension)[0]

    def _cut(self, tokens: int) -> None:
        self._tokenizer.enable_truncation(tokens)

    def _compare(self, texts: list[str], expected: np.ndarray) -> None:
        """Refuse vectors that are far from torch's: a model that quantises badly, or a processor that saturates."""
        cosines = (self.encode(texts) * expected).sum(axis=1)
        worst = int(cosines.argmin())
        if cosines[worst] < LEAST_COSINE:
            raise EncoderError(
                f'encoder "{self.id}" is too far from the model it was made from: for the text "{texts[worst][:60]}" '
                f'its cosine with torch is "{cosines[worst]:.3f}", below {LEAST_COSINE}: use the backend "torch"'
            )


def open_session(path: Path) -> Any:
    """An inference session on one core, without telemetry."""
    # Its builds for Linux send telemetry unless this stands in the environment before the library is loaded.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"], disabled_optimizers=SLOW_FUSIONS
    )


def quantise(source: Path, target: Path) -> None:
    """Matrices of a float ONNX file in int8, a scale for each output channel."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # Embeddings stay float: quantised, they cost accuracy and save memory alone.
    quantize_dynamic(source, target, per_channel=True, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul"])
