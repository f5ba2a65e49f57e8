"""Vectors that are kept: the same rows with less work, never another's, never damaged, and not without end."""

import hashlib
import logging
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from index.embed import CachedEncoder
from index.encoders.encoder import Progress
from index.errors import EncoderError

ROOT = Path(__file__).parents[2]
TEXTS = [f"text {number}" for number in range(300)]


class HashEncoder:
    """Vectors from a hash of the text; counts the texts it embeds."""

    id = "example/hashes"
    dimension = 64

    def __init__(self, fingerprint: str = "f" * 64) -> None:
        self.fingerprint = fingerprint
        self.embedded: list[str] = []

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        self.embedded += texts
        rows = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(rows, texts, strict=True):
            digest = hashlib.shake_128(f"{self.fingerprint[0]}{text}".encode()).digest(self.dimension)
            row[:] = np.frombuffer(digest, np.uint8)
            if progress:
                progress(1)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vectors" / "hashes.sqlite"


def embedded(path: Path, texts: Sequence[str] = TEXTS) -> list[str]:
    """The texts that a new encoder embeds behind the file, after its rows have been checked."""
    encoder = HashEncoder()
    assert (CachedEncoder(encoder, path).encode(texts) == HashEncoder().encode(texts)).all()
    return encoder.embedded


def test_a_text_is_embedded_once(path: Path) -> None:
    """Within a call, in the next one, and in another process's."""
    assert embedded(path, ["a", "b", "a"]) == ["a", "b"]
    assert embedded(path, ["b", "c", "a", "c"]) == ["c"]


def test_progress_counts_each_text_kept_or_not(path: Path) -> None:
    embedded(path, ["a", "b"])
    done: list[int] = []
    CachedEncoder(HashEncoder(), path).encode(["a", "b", "a", "c"], done.append)
    assert sum(done) == 4


def test_no_texts_give_no_rows(path: Path) -> None:
    assert CachedEncoder(HashEncoder(), path).encode([]).shape == (0, 64)


def test_it_is_known_by_what_it_wraps(path: Path) -> None:
    """An index cannot tell whether vectors were kept."""
    cached, encoder = CachedEncoder(HashEncoder(), path), HashEncoder()
    assert (cached.id, cached.fingerprint, cached.dimension) == (encoder.id, encoder.fingerprint, encoder.dimension)


def test_another_fingerprint_shares_nothing(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not even in one file; by default each encoder has a file of its own below the cache's folder."""
    embedded(path, ["a"])
    other = HashEncoder("0" * 64)
    assert (CachedEncoder(other, path).encode(["a"]) == HashEncoder("0" * 64).encode(["a"])).all()
    monkeypatch.setenv("POINTSMAN_HOME", str(tmp_path))
    for fingerprint in ("0" * 64, "f" * 64):
        CachedEncoder(HashEncoder(fingerprint)).encode(["a"])
    names = {file.name for file in (tmp_path / "vectors").glob("hashes-*")}
    assert names == {f"hashes-{'0' * 16}.sqlite", f"hashes-{'f' * 16}.sqlite"}


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def no_header(content: bytes) -> bytes:
    return bytes(100) + content[100:]


def no_pages(content: bytes) -> bytes:
    return content[:4096] + bytes(len(content) - 4096)


def text_file(content: bytes) -> bytes:
    return b"somebody's notes\n" * 1000


@pytest.mark.parametrize("damage", [half, no_header, no_pages, text_file])
def test_a_damaged_file_is_put_aside_and_begun_anew(
    path: Path, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """With a warning that names both files; the rows are right before, during and after."""
    embedded(path)
    path.write_bytes(damage(path.read_bytes()))
    assert embedded(path) == TEXTS
    assert any(record.levelno == logging.WARNING and "begun anew" in record.message for record in caplog.records)
    assert path.with_name("hashes.sqlite.damaged").is_file()
    embedded(path)
    assert embedded(path) == []


def test_a_flipped_bit_never_becomes_a_vector(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """SQLite does not see it; the row's sum does, and its text alone is embedded again."""
    embedded(path)
    row = HashEncoder().encode([TEXTS[7]])[0].tobytes()
    content = path.read_bytes()
    assert content.count(row) == 1
    path.write_bytes(content.replace(row, bytes([row[0] ^ 1]) + row[1:]))
    assert embedded(path) == [TEXTS[7]]
    assert "a vector in" in caplog.text and "is damaged" in caplog.text
    assert embedded(path) == []


def test_one_texts_vector_under_anothers_key_is_not_taken(path: Path) -> None:
    embedded(path, ["a", "b"])
    with sqlite3.connect(path) as file:
        (_, vector, total), (other, *_) = file.execute("SELECT key, vector, sum FROM vectors").fetchall()
        file.execute("UPDATE vectors SET vector = ?, sum = ? WHERE key = ?", (vector, total, other))
    file.close()
    assert len(embedded(path, ["a", "b"])) == 1


def test_the_file_stays_below_its_limit_and_drops_what_was_read_longest_ago(path: Path) -> None:
    """Vectors of 256 bytes in a file of 200 KiB: some hundred of the thousand stay, the last written among them."""
    limit = 200 << 10
    texts = [f"page {number}" for number in range(1000)]
    for start in range(0, len(texts), 100):
        CachedEncoder(HashEncoder(), path, limit).encode(texts[start : start + 100])
    assert path.stat().st_size < limit + (100 << 10)
    missing = embedded(path, texts[-50:]), embedded(path, texts[:50])
    assert (len(missing[0]), len(missing[1])) == (0, 50)


def test_what_was_read_lately_is_dropped_last(path: Path) -> None:
    cached = CachedEncoder(HashEncoder(), path)
    cached.encode(TEXTS)
    with sqlite3.connect(path) as file:
        file.execute("UPDATE vectors SET used = used - 10")
    file.close()
    cached.encode(TEXTS[:20])
    CachedEncoder(HashEncoder(), path, limit_bytes=150 << 10).encode([f"page {number}" for number in range(200)])
    assert embedded(path, TEXTS[:20]) == []
    assert len(embedded(path, TEXTS[20:])) > 100


def test_a_file_that_cannot_be_used_costs_a_warning_and_no_row(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The cache saves time; it may not cost a build."""
    (tmp_path / "taken").write_text("a file where a folder should be")
    assert embedded(tmp_path / "taken" / "hashes.sqlite", ["a"]) == ["a"]
    assert "cannot be used" in caplog.text
    (tmp_path / "folder.sqlite").mkdir()
    assert embedded(tmp_path / "folder.sqlite", ["a"]) == ["a"]


PROCESS = """
import sys
from pathlib import Path
from tests.index.test_embed_cached import TEXTS, embedded
for start in range(0, 300, 30):
    embedded(Path(sys.argv[1]), TEXTS[start : start + 30])
"""


def test_processes_and_threads_share_a_file(path: Path) -> None:
    """All at once; afterwards nothing is missing and nothing is damaged."""
    command = [sys.executable, "-c", PROCESS, str(path)]
    processes = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda start: embedded(path, TEXTS[start : start + 60]), range(0, 300, 30)))
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert errors == ["", "", ""]
    assert embedded(path) == []


def test_rows_of_another_dimension_are_refused(path: Path) -> None:
    encoder = HashEncoder()
    cached = CachedEncoder(encoder, path)
    encoder.dimension = 32
    with pytest.raises(EncoderError, match=r'rows of shape "\(1, 32\)", not of its dimension 64'):
        cached.encode(["a"])
