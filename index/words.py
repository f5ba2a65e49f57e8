"""Documents in, what they hold of words and names out: counted once, when an index is made.

On disk: `words.json`, read into memory whole; the gate's features (index/features.py) need it and no document.
These are words as people write them; what the search counts is another matter (index/lexical.py).
"""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError, field_serializer

from index.config import Settings, explained
from index.documents import Document
from index.errors import BundleError

WORDS = "words.json"
WORD = re.compile(r"[A-Za-z][A-Za-z0-9]+")
# Names that only code has: called, after a dot, or of several parts.
IDENTIFIER = re.compile(r"\.([A-Za-z_]\w+)|\b([A-Za-z_]\w+)(?=\()|\b([a-z0-9]+(?:_[a-z0-9]+)+)\b")


def words(text: str) -> set[str]:
    """Lower-cased words; identifiers are split at underscores and dots."""
    return {word.lower() for word in WORD.findall(text)}


def identifiers(text: str) -> set[str]:
    """The names in a text that are written as code, whole."""
    return {name for groups in IDENTIFIER.findall(text) for name in groups if name}


class WordCounts(Settings):
    """words.json: the number of documents, how many of them hold each word, and every name that is written as code."""

    documents: int
    words: dict[str, int]
    identifiers: frozenset[str]

    @field_serializer("identifiers")
    def _in_order(self, names: frozenset[str]) -> list[str]:
        """The same documents give the same file."""
        return sorted(names)

    def save(self, folder: Path) -> None:
        """Write WORDS."""
        (folder / WORDS).write_text(self.model_dump_json() + "\n", "utf-8")


def count_words(documents: Iterable[Document]) -> WordCounts:
    """Count words and names; the parts of a symbol are names too."""
    counts: Counter[str] = Counter()
    names: set[str] = set()
    number = 0
    for document in documents:
        number += 1
        counts.update(words(document.text))
        names |= identifiers(document.text) | set(document.symbol.split("."))
    return WordCounts(documents=number, words=dict(sorted(counts.items())), identifiers=frozenset(names))


def read_word_counts(folder: Path) -> WordCounts:
    """Read the words of a folder; raises BundleError naming the file and the key."""
    path = folder / WORDS
    try:
        return WordCounts.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        why = error.strerror if isinstance(error, OSError) else explained(error, WordCounts)
        raise BundleError(f'index file "{path}" cannot be read ({why}): rebuild the index') from error
