"""Documents, their vectors and their words: built, saved whole, mapped, searched by both at once.

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

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from index.corpus import CORPUS_FILES, read_corpus, write_corpus
from index.documents import Document
from index.errors import BundleError, CorpusError
from index.facts import CURE, MARKER, SCHEMA, IndexFacts, build_of, check_files, read_facts
from index.folder import file_facts, make_folder, refuse_foreign, replace_folder, write_through
from index.fusion import best, fused
from index.lexical import LEXICAL_FILES, Lexical, load_lexical, make_lexical
from index.vectors import Algorithm, Vectors, make_vectors, read_vectors
from index.words import WORDS, WordCounts, count_words, read_word_counts

VECTORS = "vectors.faiss"
FILES = (VECTORS, *CORPUS_FILES, *LEXICAL_FILES, WORDS)
RANKED = 64  # of each side, at least; what is fused further down is hardly ever shown
LOADS = 2


@dataclass(frozen=True)
class Hit:
    """A document, its cosine similarity to the query, and its BM25 score; 0 where no query or vector was given."""

    document: Document
    score: float
    lexical: float = 0.0


class Index:
    """Documents with a unit vector each; immutable once made, may be searched from any thread."""

    def __init__(
        self,
        documents: Sequence[Document],
        vectors: Vectors,
        lexical: Lexical,
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
        depth = max(k, RANKED)
        bm25_N = self.lexical.scores(query)
        rows = fused(self.vectors.search(vector, depth).tolist(), best(bm25_N, depth), k)
        cosines = self.vectors.cosines(vector, rows)
        return [Hit(self.documents[row], float(c), float(bm25_N[row])) for row, c in zip(rows, cosines, strict=True)]

    def search_dense(self, vector: np.ndarray, k: int) -> list[Hit]:
        """The k documents nearest to a (D,) unit vector, best first."""
        self._refuse_vector(vector)
        rows = self.vectors.search(vector, k).tolist()
        cosines = self.vectors.cosines(vector, rows)
        return [Hit(self.documents[row], float(c)) for row, c in zip(rows, cosines, strict=True)]

    def search_lexical(self, query: str, k: int) -> list[Hit]:
        """The at most k documents that share a word with a query, best BM25 first."""
        bm25_N = self.lexical.scores(query)
        return [Hit(self.documents[row], 0.0, float(bm25_N[row])) for row in best(bm25_N, k)]

    def _refuse_vector(self, vector: np.ndarray) -> None:
        if vector.shape != (self.dimension,):
            raise CorpusError(
                f'the query vector has shape "{vector.shape}", the index ({self.dimension},): '
                f'embed the query with "{self.encoder}"'
            )
        if not np.isfinite(vector).all():
            raise CorpusError('the query vector holds "nan" or "inf": embed the query again')

    def save(self, folder: Path) -> None:
        """Write the index beside a folder, index.json last, then put it in the folder's place.

        `folder` is the old or the new index at every moment (see replace_folder). Raises ConfigError where other files
        stand.
        """
        refuse_foreign(folder, MARKER)
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        make_folder(partial)
        self.vectors.write(partial / VECTORS)
        self.lexical.save(partial)
        self.words.save(partial)
        write_corpus(partial, self.documents)
        for name in FILES:
            write_through(partial / name)
        facts = IndexFacts(
            schema_version=SCHEMA, encoder=self.encoder, encoder_fingerprint=self.fingerprint,
            dimension=self.dimension, documents=len(self.documents), vectors=self.vectors.facts,
            files={name: file_facts(partial / name) for name in FILES},
        )  # fmt: skip
        (partial / MARKER).write_text(facts.model_dump_json(indent=2) + "\n")
        write_through(partial / MARKER)
        write_through(partial)
        replace_folder(partial, folder, MARKER)


def make_index(
    documents: Sequence[Document],
    vectors_ND: np.ndarray,
    encoder: str,
    *,
    fingerprint: str = "",
    algorithm: Algorithm = "auto",
    queries_QD: np.ndarray | None = None,
) -> Index:
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
    return Index(tuple(documents), vectors, lexical, count_words(documents), encoder, fingerprint)


def load_index(folder: Path) -> Index:
    """Map an index; raises BundleError naming the file that is missing, altered or does not fit the others.

    A folder that is replaced meanwhile is read once more, so that an index is never of files of two builds.
    """
    for _ in range(LOADS):
        before, refused = build_of(folder), None
        try:
            index = read_index(folder)
        except BundleError as error:
            refused = error
        if build_of(folder) == before:  # so all files were opened between two looks at the same build
            if refused:
                raise refused
            return index
    raise BundleError(f'index "{folder}" was replaced whenever it was read: load it again when its builds are done')


def read_index(folder: Path) -> Index:
    """One attempt to map an index, see load_index."""
    facts = read_facts(folder)
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
    return Index(documents, vectors, lexical, words, facts.encoder, facts.encoder_fingerprint)
