"""Texts in, the BM25 scores of a query's words out. The one file that imports bm25s.

Words are read as code has them: `pl.col("a").group_by_dynamic` gives pl, col, group_by_dynamic, group, by, dynamic, and
`DataFrame` gives dataframe, data, frame. An English stop word counts only where it stands as code, as in `pl.all()`.

On disk: `lexical.data.npy`, `lexical.indices.npy` and `lexical.indptr.npy` are mapped, one posting list for each word;
`lexical.vocabulary.json` and the few lines of `lexical.parameters.json` are read into memory.
Not covered: stems (column, columns), languages that put no space between words.
"""

import json
import re
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np

from index.errors import BundleError
from index.fusion import best

# bm25s loads numba where it is installed, for a search that is not used here. It costs a second, and vLLM's engine
# (0.32, triton_utils/dispatcher.py) cannot be started in a process that has it.
sys.modules.setdefault("numba", None)  # type: ignore[arg-type]
import bm25s  # noqa: E402
from bm25s.stopwords import STOPWORDS_EN  # noqa: E402

if sys.modules["numba"] is None:
    del sys.modules["numba"]

FILES = {
    "data_name": "lexical.data.npy", "indices_name": "lexical.indices.npy", "indptr_name": "lexical.indptr.npy",
    "vocab_name": "lexical.vocabulary.json", "params_name": "lexical.parameters.json",
}  # fmt: skip
LEXICAL_FILES = tuple(FILES.values())
TERM_FILES = FILES["vocab_name"], FILES["indptr_name"]
WORD = re.compile(r"\w+")
HUMP = re.compile(r"(?<=[a-z\d])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
LONGEST_WORD = 64  # characters; longer runs are data (base64, hashes), which nobody asks for and which fill the memory
QUERY_WORDS = 1024  # a pasted file of 100,000 characters must not read every posting list of a large index


def tokens(text: str) -> list[str]:
    """The words of a text as they are counted, in their order."""
    found: list[str] = []
    for match in WORD.finditer(text):
        word = match.group()
        if word.casefold() not in STOPWORDS_EN or stands_as_code(text, *match.span()):
            found += forms(word)
    return found


def stands_as_code(text: str, start: int, end: int) -> bool:
    """Whether the word at text[start:end] is called, reached by a dot, or in code marks."""
    before, after = text[start - 1 : start], text[end : end + 2]
    return before in (".", "`") or after[:1] in ("(", "`") or (after[:1] == "." and after[1:].isidentifier())


@lru_cache(1 << 16)
def forms(word: str) -> tuple[str, ...]:
    """A word case-folded, and the parts that underscores and capitals divide it into; data has none."""
    if len(word) > LONGEST_WORD:
        return ()
    parts = [part.casefold() for run in word.split("_") if run for part in HUMP.split(run)]
    return tuple(dict.fromkeys((word.casefold(), *parts))) if parts else ()


class Ranking(Protocol):
    """Texts by BM25 for one query."""

    def best(self, k: int) -> list[int]:
        """Rows of the at most k highest scores above 0, highest first; equal ones in their order."""

    def at(self, rows: Sequence[int]) -> np.ndarray:
        """The scores (n,) of these rows."""


class WordSearch(Protocol):
    """N texts that are asked for by words, wherever they lie."""

    count: int

    def rank(self, query: str) -> Ranking:
        """The texts by BM25 for a query."""


class Terms:
    """The words of N texts by their numbers, and in how many texts each is."""

    def __init__(self, vocabulary: Mapping[str, int], starts: np.ndarray) -> None:
        self._vocabulary, self._starts = vocabulary, starts

    def asked(self, query: str) -> list[int]:
        """The words that a query asks for, rarest first: each once, and at most QUERY_WORDS."""
        known = sorted({self._vocabulary[token] for token in tokens(query) if token in self._vocabulary})
        return sorted(known, key=lambda word: int(self._starts[word + 1] - self._starts[word]))[:QUERY_WORDS]

    def save(self, folder: Path) -> None:
        """Write TERM_FILES, as they are of a whole index."""
        vocabulary, starts = TERM_FILES
        (folder / vocabulary).write_text(json.dumps(self._vocabulary, ensure_ascii=False), "utf-8")
        np.save(folder / starts, self._starts)


class Scores:
    """BM25 of all N texts for one query."""

    def __init__(self, bm25_N: np.ndarray) -> None:
        self._bm25_N = bm25_N

    def best(self, k: int) -> list[int]:
        """Rows of the at most k highest scores above 0, highest first; equal ones in their order."""
        return best(self._bm25_N, k)

    def at(self, rows: Sequence[int]) -> np.ndarray:
        """The scores (n,) of these rows."""
        return self._bm25_N[np.asarray(rows, np.int64)]


class Lexical:
    """The posting lists of N texts; may be asked from any thread."""

    def __init__(self, scorer: bm25s.BM25) -> None:
        self._scorer = scorer
        self.count = int(scorer.scores["num_docs"])
        self.terms = Terms(scorer.vocab_dict, scorer.scores["indptr"])

    def rank(self, query: str) -> Scores:
        """The texts by BM25 for a query."""
        return Scores(self.scores(query))

    def scores(self, query: str) -> np.ndarray:
        """BM25 of each text for a query, (N,) float32, in the order they were given; 0 where they share no word.

        A word counts once however often it is asked for; of more than QUERY_WORDS words the rarest count.
        """
        return self._scorer.get_scores_from_ids(self.terms.asked(query))

    def weights(self) -> Iterator[dict[int, float]]:
        """Of each text the BM25 of each of its words; a query's score is the sum over the words it asks for."""
        data, texts, starts = (self._scorer.scores[name] for name in ("data", "indices", "indptr"))
        order = np.argsort(texts, kind="stable")
        words, bounds = np.repeat(np.arange(len(starts) - 1), np.diff(starts))[order], np.zeros(self.count + 1, int)
        bounds[1:] = np.cumsum(np.bincount(texts, minlength=self.count))
        for first, last in pairwise(bounds.tolist()):
            yield dict(zip(words[first:last].tolist(), data[order[first:last]].tolist(), strict=True))

    def save(self, folder: Path) -> None:
        """Write LEXICAL_FILES."""
        self._scorer.save(folder, **FILES, show_progress=False)


def make_lexical(texts: Iterable[str]) -> Lexical:
    """Count the words of N texts."""
    vocabulary = {"": 0}  # never asked for: a corpus without any word still has one posting list, and that is empty
    # whole numbers of 4 bytes: lists of Python's own would take ten times the memory
    counted = [array("i", [vocabulary.setdefault(token, len(vocabulary)) for token in tokens(t)]) for t in texts]
    scorer = bm25s.BM25(method="lucene", k1=1.5, b=0.75)
    with np.errstate(invalid="ignore"):  # an average length of 0 divides nothing
        scorer.index((counted, vocabulary), create_empty_token=False, show_progress=False)
    return Lexical(scorer)


def load_lexical(folder: Path) -> Lexical:
    """Map the posting lists of a folder; raises BundleError naming it when they cannot be read."""
    try:
        scorer = bm25s.BM25.load(folder, **FILES, mmap=True, show_progress=False)
    except (OSError, EOFError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BundleError(f'index "{folder}" has words that cannot be read ({error}): rebuild the index') from error
    for name in ("data", "indices", "indptr"):
        # the same mapped pages as a plain array: slicing a memmap costs ten times as much
        scorer.scores[name] = np.asarray(scorer.scores[name])
    return Lexical(scorer)


def load_terms(folder: Path) -> Terms:
    """Read TERM_FILES; raises BundleError naming the folder when they cannot be read."""
    vocabulary, starts = (folder / name for name in TERM_FILES)
    try:
        terms, numbers = json.loads(vocabulary.read_text("utf-8")), np.load(starts, mmap_mode="r")
    except (OSError, EOFError, ValueError, RecursionError) as error:
        raise BundleError(f'index "{folder}" has words that cannot be read ({error}): rebuild the index') from error
    if not isinstance(terms, dict) or numbers.shape != (len(terms) + 1,):
        raise BundleError(f'index file "{starts}" is not of "{vocabulary}": rebuild the index')
    return Terms(terms, np.asarray(numbers))
