"""Labelled queries in, their features out, as the service would see them.

A query made from a documented method sees the index as a held-out method does: without examples of the method itself.
"""

from collections.abc import Sequence

import numpy as np

from index.bundle import SEARCH_DEPTH
from index.calibrate import Example
from index.features import Vocabulary
from index.prompt import QUERY_CHARACTERS
from index.store import Hit, Index
from training.gate.queries import Query
from training.rows import Encode, others


def found(query: Query, vector: np.ndarray, index: Index) -> list[Hit]:
    """What the search finds for one query and its (D,) unit vector."""
    hits = index.search(query.text[:QUERY_CHARACTERS], vector, SEARCH_DEPTH)
    return others(hits, query.method) if query.method else hits


def make_examples(queries: Sequence[Query], index: Index, vocabulary: Vocabulary, encode: Encode) -> list[Example]:
    """One example a query, in their order."""
    vectors_QD = encode([query.text[:QUERY_CHARACTERS] for query in queries])
    return [
        Example(
            query.text, vocabulary.features(query.text[:QUERY_CHARACTERS], found(query, vector, index)), query.outcome,
            query.source, query.group, query.logprobs, vector,
        )
        for query, vector in zip(queries, vectors_QD, strict=True)
    ]  # fmt: skip
