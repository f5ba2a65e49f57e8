"""Documents, their vectors and their words, searched by both at once; and their folder, saved whole and mapped.

    index.json               written last: encoder, dimension, how vectors are searched and what that was measured to
                             find, size and SHA-256 of the other files
    vectors.faiss            index/vectors.py
    lexical.*                index/lexical.py
    words.json               index/words.py
    documents.jsonl, documents.offsets.npy    index/corpus.py

In memory stay the words themselves with their counts, the documents read last, and of an approximate search what
index/vectors.py names; the rest is mapped, and stays readable after its folder was replaced.
Not covered: updates in place; two builds of one folder at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from index.corpus import CORPUS_FILES, read_corpus, write_corpus
from index.documents import Document
from index.errors import BundleError, CorpusError
from index.facts import CURE, MARKER, SCHEMA, IndexFacts, check_files, write_index
from index.fusion import fused
from index.lexical import LEXICAL_FILES, Lexical, WordSearch, load_lexical, make_lexical
from index.vectors import Algorithm, Vectors, VectorSearch, make_vectors, read_vectors
from index.words import WORDS, WordCounts, count_words, read_word_counts

VECTORS = "vectors.faiss"
FILES = (VECTORS, *CORPUS_FILES, *LEXICAL_FILES, WORDS)
RANKED = 64  # of each side, at least; what is fused further down is hardly ever shown


@dataclass(frozen=True)
class Hit:
    """A document, its cosine similarity to the query, and its BM25 score; 0 where no query or vector was given."""

    document: Document
    score: float
    lexical: float = 0.0


class Index:
    """Documents with a unit vector each, wherever they lie; immutable once made, may be searched from any thread.

    The rows that a search ends with are asked for at once, before their documents are.
    """

    def __init__(
        self,
        documents: Sequence[Document],
        vectors: VectorSearch,
        lexical: WordSearch,
        words: WordCounts,
        encoder: str,
        fingerprint: str = "",
    ) -> None:
        self.documents = documents
        self.encoder, self.fingerprint = encoder, fingerprint
        self.dimension = vectors.dimension
        self.vectors = vectors
        self.lexical = lexical
        self.words = words

    def search(self, query: str, vector: np.ndarray, k: int) -> list[Hit]:
        """The k documents nearest to a query and its (D,) unit vector, best fused rank first.

        Both scores are exact for every hit. From k = 2 on the nearest by vector and the best by words are among them.
        """
        self._refuse_vector(vector)
        depth, ranking = max(k, RANKED), self.lexical.rank(query)
        rows = fused(self.vectors.search(vector, depth).tolist(), ranking.best(depth), k)
        return self._hits(rows, self.vectors.cosines(vector, rows), ranking.at(rows))

    def search_dense(self, vector: np.ndarray, k: int) -> list[Hit]:
        """The k documents nearest to a (D,) unit vector, best first."""
        self._refuse_vector(vector)
        rows = self.vectors.search(vector, k).tolist()
        return self._hits(rows, self.vectors.cosines(vector, rows), np.zeros(len(rows)))

    def search_lexical(self, query: str, k: int) -> list[Hit]:
        """The at most k documents that share a word with a query, best BM25 first."""
        ranking = self.lexical.rank(query)
        rows = ranking.best(k)
        return self._hits(rows, np.zeros(len(rows)), ranking.at(rows))

    def _hits(self, rows: Sequence[int], cosines_n: np.ndarray, bm25_n: np.ndarray) -> list[Hit]:
        scores = zip(rows, cosines_n, bm25_n, strict=True)
        return [Hit(self.documents[row], float(cosine), float(bm25)) for row, cosine, bm25 in scores]

    def _refuse_vector(self, vector: np.ndarray) -> None:
        if vector.shape != (self.dimension,):
            raise CorpusError(
                f'the query vector has shape "{vector.shape}", the index ({self.dimension},): '
                f'embed the query with "{self.encoder}"'
            )
        if not np.isfinite(vector).all():
            raise CorpusError('the query vector holds "nan" or "inf": embed the query again')


class LocalIndex(Index):
    """An index in this process's memory and mapped files."""

    vectors: Vectors
    lexical: Lexical

    def save(self, folder: Path) -> None:
        """Write the index as the folder (see write_index)."""
        facts = IndexFacts(
            schema_version=SCHEMA, encoder=self.encoder, encoder_fingerprint=self.fingerprint,
            dimension=self.dimension, documents=len(self.documents), vectors=self.vectors.facts, files={},
        )  # fmt: skip
        write_index(folder, FILES, self._write, facts)

    def _write(self, folder: Path) -> None:
        self.vectors.write(folder / VECTORS)
        self.lexical.save(folder)
        self.words.save(folder)
        write_corpus(folder, self.documents)


def make_index(
    documents: Sequence[Document],
    vectors_ND: np.ndarray,
    encoder: str,
    *,
    fingerprint: str = "",
    algorithm: Algorithm = "auto",
    queries_QD: np.ndarray | None = None,
) -> LocalIndex:
    """Build an index of N documents from their unit vectors (N, D); raises CorpusError where nothing could be searched.

    Where the search is approximate, its recall is measured with the vectors of queries (see make_vectors).
    """
    if not documents:
        raise CorpusError('the corpus has "0" documents: name a source that has some')
    if vectors_ND.ndim != 2 or len(vectors_ND) != len(documents):
        raise CorpusError(
            f'vectors of shape "{vectors_ND.shape}" are not of {len(documents)} documents: embed them all'
        )
    if not (finite := np.isfinite(vectors_ND).all(axis=1)).all():
        name = documents[int(np.argmin(finite))].id
        raise CorpusError(
            f'the vector of document "{name}" holds NaN or infinite numbers: embed it with another encoder'
        )
    lexical = make_lexical(document.text for document in documents)
    vectors = make_vectors(vectors_ND, algorithm, queries_QD)
    return LocalIndex(tuple(documents), vectors, lexical, count_words(documents), encoder, fingerprint)


def read_from_folder(folder: Path, facts: IndexFacts) -> LocalIndex:
    """Map the files of an index; raises BundleError naming the one that is missing, altered or does not fit."""
    if unlisted := set(FILES) - set(facts.files):
        raise BundleError(f'index "{folder}" lists no "{min(unlisted)}" in {MARKER}: {CURE}')
    check_files(folder, {name: facts.files[name] for name in FILES})
    vectors, lexical = read_vectors(folder / VECTORS, facts.vectors), load_lexical(folder)
    documents, words = read_corpus(folder), read_word_counts(folder)
    counts = facts.documents, len(documents), vectors.count, lexical.count, words.documents
    if len(set(counts)) > 1 or vectors.dimension != facts.dimension:
        raise BundleError(
            f'index "{folder}" states "{counts[0]}" documents of {facts.dimension} dimensions and holds {counts[1]} '
            f"documents, {counts[2]} vectors of {vectors.dimension}, words of {counts[3]} and {counts[4]}: {CURE}"
        )
    return LocalIndex(documents, vectors, lexical, words, facts.encoder, facts.encoder_fingerprint)
