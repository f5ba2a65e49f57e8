"""Vectors by key in one SQLite file that several processes may share: every row is checked, a damaged file replaced.

    vectors(key, vector, sum, used)    sum: a hash of key and vector; used: the hour since 1970 when it was last read

A row that does not fit its sum counts as missing, so a wrong vector is never returned. A file that SQLite calls damaged
is renamed to `<file>.damaged` and begun anew. Where the file cannot be read or written (full disk, no rights, locked
for half a minute) it is left out. Each of these is logged as a warning. Past `limit_bytes` the tenth that was read
longest ago goes; the room is used again, and the file never shrinks.
"""

import contextlib
import fcntl
import hashlib
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

SCHEMA = """
CREATE TABLE IF NOT EXISTS vectors
(key BLOB PRIMARY KEY, vector BLOB NOT NULL, sum BLOB NOT NULL, used INTEGER NOT NULL)
"""
DROP = "DELETE FROM vectors WHERE rowid IN (SELECT rowid FROM vectors ORDER BY used, rowid LIMIT ?)"
LOCKED_S = 30.0
KEYS_A_QUERY = 500
DROPPED_SHARE = 0.1
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT)

logger = logging.getLogger(__name__)
Result = TypeVar("Result")


class VectorFile:
    """Vectors of one dimension; any thread, any process: each call opens the file and closes it."""

    def __init__(self, path: Path, dimension: int, limit_bytes: int) -> None:
        self.path = path
        self._bytes = dimension * np.dtype(np.float32).itemsize
        self._limit_bytes = limit_bytes

    def read(self, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        """The vectors (D,) of those keys that are there and whole."""
        return self._with_file(lambda file: self._read(file, keys)) or {}

    def write(self, rows: Mapping[bytes, np.ndarray]) -> None:
        """Keep vectors (D,), float32, by key."""
        self._with_file(lambda file: self._write(file, rows))

    def _read(self, file: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        found: dict[bytes, np.ndarray] = {}
        for start in range(0, len(keys), KEYS_A_QUERY):
            batch = keys[start : start + KEYS_A_QUERY]
            marks = ",".join("?" * len(batch))
            rows = file.execute(f"SELECT key, vector, sum FROM vectors WHERE key IN ({marks})", batch)
            found.update(self._whole(rows))
        now = hour()
        file.executemany("UPDATE vectors SET used = ? WHERE key = ? AND used < ?", ((now, key, now) for key in found))
        return found

    def _whole(self, rows: Iterable[tuple[bytes, bytes, bytes]]) -> Iterator[tuple[bytes, np.ndarray]]:
        for key, vector, stored in rows:
            if len(vector) == self._bytes and stored == checksum(key, vector):
                yield key, np.frombuffer(vector, np.float32)
            else:
                logger.warning('a vector in "%s" is damaged; its text is embedded again', self.path)

    def _write(self, file: sqlite3.Connection, rows: Mapping[bytes, np.ndarray]) -> None:
        now = hour()
        blobs = ((key, np.ascontiguousarray(row, np.float32).tobytes()) for key, row in rows.items())
        file.executemany(
            "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)",
            ((key, blob, checksum(key, blob), now) for key, blob in blobs),
        )
        while filled(file) > self._limit_bytes:
            (count,) = file.execute("SELECT count(*) FROM vectors").fetchone()
            dropped = max(int(count * DROPPED_SHARE), 1)
            file.execute(DROP, (dropped,))
            if count <= dropped:
                return

    def _with_file(self, work: Callable[[sqlite3.Connection], Result]) -> Result | None:
        """What `work` returns in one transaction; None, with a warning, where the file fails it."""
        try:
            return self._attempt(work)
        except (sqlite3.Error, OSError) as error:
            logger.warning('the vectors in "%s" cannot be used (%s); texts are embedded again', self.path, error)
        return None

    def _attempt(self, work: Callable[[sqlite3.Connection], Result]) -> Result | None:
        try:
            with contextlib.closing(self._open()) as file, file:
                return work(file)
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            self._set_aside()
        return None

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = sqlite3.connect(self.path, timeout=LOCKED_S)
        try:
            file.execute(SCHEMA)
        except sqlite3.Error:
            file.close()
            raise
        return file

    def _set_aside(self) -> None:
        """Rename the file, unless another process has just done so and begun a new one."""
        with self.path.with_name(self.path.name + ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self._damaged():
                return
            aside = self.path.with_name(self.path.name + ".damaged")
            self.path.rename(aside)
            self.path.with_name(self.path.name + "-journal").unlink(missing_ok=True)
            logger.warning('the vectors in "%s" are damaged; they are now "%s" and begun anew', self.path, aside)

    def _damaged(self) -> bool:
        try:
            with contextlib.closing(self._open()) as file:
                return bool(file.execute("PRAGMA quick_check(1)").fetchone() != ("ok",))
        except sqlite3.Error as error:
            return is_damage(error)


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite says that the file's content is not what it wrote."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF in DAMAGED  # the low byte is the primary code


def filled(file: sqlite3.Connection) -> int:
    """Bytes of the file that hold something."""
    pages, free, size = (
        file.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def checksum(key: bytes, vector: bytes) -> bytes:
    """Eight bytes that a row must fit; the key is in it, so that no vector passes for another text's."""
    return hashlib.blake2b(key + vector, digest_size=8).digest()


def hour() -> int:
    """Hours since 1970: coarse, so that reading seldom writes."""
    return int(time.time() // 3600)
