"""The three backends over one small real model: agreement, unit rows, odd texts, and what is refused."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from index.embed import Encoder, EncoderConfig, load_encoder
from index.encoders.export import PerToken, Pooled, parts
from index.encoders.quantised import QuantisedEncoder
from index.encoders.reference import TorchEncoder
from index.encoders.static import StaticEncoder
from index.errors import CorpusError, EncoderError
from starter.errors import ModelError
from tests.index.small_encoder import MAX_TOKENS, write_encoder

ROOT = Path(__file__).parents[2]
TEXTS = ("how do i sort a table by two columns", "read csv", "the sum of rows " * 40, "", "?", "sort")
BACKENDS = ("torch", "onnx-int8", "static")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("encoder") / "small")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """POINTSMAN_HOME of this file's tests, so that each form of the model is made once."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POINTSMAN_HOME", str(home))
        yield home


@pytest.fixture(scope="module")
def encoders(model: Path, cache: Path) -> dict[str, Encoder]:
    return {backend: load_encoder(f"{model}:{backend}") for backend in BACKENDS}


@pytest.fixture(params=BACKENDS)
def encoder(request: pytest.FixtureRequest, encoders: dict[str, Encoder]) -> Encoder:
    return encoders[request.param]


@pytest.fixture
def quantised(encoders: dict[str, Encoder], cache: Path) -> Path:
    """The exported folder."""
    (folder,) = (cache / "encoders").glob("small-onnx-int8-*")
    return folder


def test_rows_are_unit_float32_and_progress_counts_each_text(encoder: Encoder) -> None:
    """A text without a known token has zeros where only tokens are known, and its ends elsewhere."""
    done: list[int] = []
    rows = encoder.encode(TEXTS, done.append)
    assert rows.dtype == np.float32 and rows.shape == (len(TEXTS), encoder.dimension)
    lengths = np.linalg.norm(rows, axis=1)
    known = [0.0 if isinstance(encoder, StaticEncoder) and text in ("", "?") else 1.0 for text in TEXTS]
    assert np.allclose(lengths, known, atol=1e-5)
    assert sum(done) == len(TEXTS)


def test_no_texts_give_no_rows(encoder: Encoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.dimension)


def test_a_text_of_100_000_characters_is_cut(encoder: Encoder) -> None:
    """In words and in one word; nothing past the model's end changes the row."""
    words = "sort a table " * 8000
    rows = encoder.encode([words, words[: len(words) // 2], "a" * 100_000])
    assert np.allclose(rows[0], rows[1], atol=1e-5)
    assert np.isfinite(rows).all()


def test_half_a_character_is_refused(encoder: Encoder) -> None:
    with pytest.raises(CorpusError, match=r'"sort \\ud800" is not UTF-8 text'):
        encoder.encode(["read", "sort \ud800"])


def test_threads_get_the_rows_they_asked_for(encoder: Encoder) -> None:
    texts = [f"{word} {other}" for word in ("sort", "join", "read") for other in ("rows", "a file", "csv", "table")]
    expected = encoder.encode(texts)
    with ThreadPoolExecutor(4) as pool:
        found = np.concatenate(list(pool.map(lambda text: encoder.encode([text]), texts * 3)))
    assert np.allclose(found, np.tile(expected, (3, 1)), atol=1e-5)


def test_a_shorter_length_cuts_and_has_an_id_of_its_own(model: Path, encoders: dict[str, Encoder]) -> None:
    """What stands behind the cut changes no row; longer texts have other rows, so the fingerprint differs too."""
    start = "sort a table by the sum of rows"
    texts = [f"{start} and keep two columns", f"{start} read write"]
    for backend in BACKENDS:
        short = load_encoder(f"{model}:{backend}:8")
        assert short.id.endswith(":8") and short.fingerprint != encoders[backend].fingerprint
        cut, other = short.encode(texts)
        whole, _ = encoders[backend].encode(texts)
        assert np.allclose(cut, other, atol=1e-5) and not np.allclose(cut, whole, atol=1e-3)


def test_more_tokens_than_the_model_reads_are_refused(model: Path, encoders: dict[str, Encoder]) -> None:
    for backend in BACKENDS:
        with pytest.raises(EncoderError, match=f'max_tokens "99" .* give {MAX_TOKENS} or less'):
            load_encoder(EncoderConfig(model=str(model), backend=backend, max_tokens=99))


def test_int8_agrees_with_torch(encoders: dict[str, Encoder]) -> None:
    cosines = (encoders["torch"].encode(TEXTS) * encoders["onnx-int8"].encode(TEXTS)).sum(axis=1)
    assert cosines.min() > 0.98
    assert cosines.max() < 1 - 1e-6  # else it is the float model


def test_an_int8_row_is_the_same_alone_in_a_batch_and_on_several_cores(
    model: Path, encoders: dict[str, Encoder]
) -> None:
    """To the bit: otherwise a cached vector would depend on what stood beside its text."""
    alone = np.concatenate([encoders["onnx-int8"].encode([text]) for text in TEXTS])
    several = load_encoder(EncoderConfig(model=str(model), backend="onnx-int8", threads=3)).encode(TEXTS)
    assert (encoders["onnx-int8"].encode(TEXTS) == alone).all() and (several == alone).all()


def test_the_static_model_knows_its_words(encoders: dict[str, Encoder]) -> None:
    """Order means nothing to it; other words do."""
    rows = encoders["static"].encode(["sort a table", "table a sort", "read csv"])
    assert rows[0] @ rows[1] > 0.999 > rows[0] @ rows[2]


def test_a_model2vec_folder_is_taken_as_it_is(encoders: dict[str, Encoder], cache: Path) -> None:
    (folder,) = (cache / "encoders").glob("small-static-*")
    before = sorted((cache / "encoders").iterdir())
    given = load_encoder(f"{folder}:static")
    assert (given.encode(TEXTS) == encoders["static"].encode(TEXTS)).all()
    assert sorted((cache / "encoders").iterdir()) == before


def test_a_form_is_made_once(model: Path, quantised: Path) -> None:
    before = (quantised / "model.onnx").stat().st_mtime_ns
    load_encoder(f"{model}:onnx-int8")
    assert (quantised / "model.onnx").stat().st_mtime_ns == before


def test_a_form_far_from_torch_is_refused_with_the_cure(quantised: Path, tmp_path: Path) -> None:
    """Whatever the cause: a model that quantises badly, another processor, another version of the runtime."""
    folder = shutil.copytree(quantised, tmp_path / "far")
    rows = np.load(folder / "check.npy")
    np.save(folder / "check.npy", rows[::-1])
    with pytest.raises(EncoderError, match=r'cosine with torch is .* below 0\.98: use the backend "torch"'):
        QuantisedEncoder("far", folder, "0")


ALONE = """
import sys
from pathlib import Path
from index.embed import load_encoder
encoder = load_encoder(sys.argv[1])
encoder.encode(["sort a table"])
print(*(name for name in ("torch", "transformers", "sentence_transformers", "model2vec") if name in sys.modules))
"""


def test_int8_needs_no_torch_and_leaves_no_trace(model: Path, quantised: Path, cache: Path, tmp_path: Path) -> None:
    """The runtime would keep an identifier of the machine and a queue of events in the home folder."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ORT_") and key != "CI"}
    homes = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", ALONE, f"{model}:onnx-int8"], env=environment | homes, cwd=ROOT, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_backends_and_weights_have_fingerprints_of_their_own(
    model: Path, encoders: dict[str, Encoder], tmp_path: Path
) -> None:
    """The same files in another folder are the same model; one changed weight is another."""
    assert len({encoder.fingerprint for encoder in encoders.values()}) == len(BACKENDS)
    copy = shutil.copytree(model, tmp_path / "copy")
    (copy / "README.md").write_text("Words about the model.")
    assert TorchEncoder("copy", copy).fingerprint == encoders["torch"].fingerprint
    other = write_encoder(tmp_path / "other", seed=1)
    assert TorchEncoder("other", other).fingerprint != encoders["torch"].fingerprint


def test_rows_per_token_and_first_rows_are_the_models_own(tmp_path: Path) -> None:
    """Rescaled layers compute the same function, and without a mask one text is pooled as in a batch."""
    encoder = TorchEncoder("first", write_encoder(tmp_path / "first", pooling="cls"))
    transformer, pooling = parts(encoder.model)
    ids = torch.tensor([encoder.model.tokenizer("sort a table")["input_ids"]])
    linear = torch.nn.Linear(8, 16)
    rows = torch.randn(5, 8) * torch.tensor([[100.0], [1], [1], [0], [0.01]])
    with torch.inference_mode():
        pooled = Pooled(transformer, pooling)(ids)
        assert torch.allclose(PerToken(linear)(rows), linear(rows), atol=1e-4)
    expected = torch.from_numpy(encoder.encode(["sort a table"]))
    assert torch.allclose(torch.nn.functional.normalize(pooled, dim=-1), expected, atol=1e-5)


def test_a_model_that_cannot_be_quantised_is_refused_with_the_cure(cache: Path, tmp_path: Path) -> None:
    """By the program that exports, in its own words; nothing is left in the cache."""
    folder = write_encoder(tmp_path / "largest", pooling="max")
    with pytest.raises(ModelError, match=r'has the pooling "max" and cannot be converted .* use the backend "torch"'):
        load_encoder(f"{folder}:onnx-int8")
    assert not list((cache / "encoders").glob("largest-*"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_model_folder_without_tokenizer_is_refused(model: Path, cache: Path, tmp_path: Path, backend: str) -> None:
    """The library would make an empty tokenizer, and every text would have the same vector."""
    folder = shutil.copytree(model, tmp_path / "mute", ignore=shutil.ignore_patterns("tokenizer*", "vocab*"))
    with pytest.raises(EncoderError, match="has no tokenizer"):
        load_encoder(f"{folder}:{backend}")


def test_weights_that_are_no_numbers_are_refused(model: Path, tmp_path: Path) -> None:
    """One NaN would make every cosine NaN."""
    folder = shutil.copytree(model, tmp_path / "broken")
    weights = load_file(folder / "model.safetensors")
    weights["embeddings.LayerNorm.weight"][0] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncoderError, match='NaN or infinite numbers for the text "sort"'):
        TorchEncoder("broken", folder).encode(["sort"])


def test_a_folder_that_is_no_encoder_is_refused(model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model, tmp_path / "cut")
    (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(EncoderError, match=r'encoder folder ".*cut" cannot be loaded'):
        load_encoder(str(folder))
    (folder / "config.json").write_text(json.dumps({"model_type": "model2vec"}))
    with pytest.raises(EncoderError, match=r'encoder folder ".*cut" holds no model2vec model'):
        load_encoder(f"{folder}:static")
