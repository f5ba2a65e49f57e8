"""The gate's features: what each says of a query, and that they need no document but those found."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from index.documents import Document
from index.features import FEATURES, Vocabulary
from index.load import load_index
from index.store import Hit, Index
from tests.index.conftest import encode

QUERIES = ("", "add all rows", "Table.total of a polars frame", "`concat`(left, right) in duckdb", "text_contains")


def features(index: Index, query: str) -> dict[str, float]:
    """The features of a query on the toy index."""
    hits = index.search(query, encode([query])[0], 8)
    return dict(Vocabulary(index, ["toytable", "tt"], ["duckdb"]).features(query, hits))


def test_features_come_by_name_in_their_fixed_order(index: Index) -> None:
    """Coefficients are stored in this order."""
    assert tuple(features(index, "add all rows")) == FEATURES


def test_words_the_evidence_lacks_lower_the_coverage(index: Index) -> None:
    """The near miss: the same question for another library."""
    near = features(index, "add all rows with sum")
    miss = features(index, "add all rows with sum in duckdb over parquet")
    assert near["coverage"] > 0.9
    assert miss["coverage"] < near["coverage"] - 0.2


def test_a_query_that_names_the_library_says_so(index: Index) -> None:
    """Whole words only: a name inside another word is another word."""
    assert features(index, "Table in toytable?")["mentions"] == 1
    assert features(index, "tt.concat")["mentions"] == 1
    assert features(index, "attic")["mentions"] == 0


def test_a_query_that_names_only_a_rival_says_so(index: Index) -> None:
    """The nearest miss of all: our words, another library. From ours to another one is still ours."""
    assert features(index, "add all rows in DuckDB")["elsewhere"] == 1
    assert features(index, "from toytable to duckdb")["elsewhere"] == 0
    assert features(index, "add all rows")["elsewhere"] == 0


def test_an_empty_query_has_features(index: Index) -> None:
    """Nothing to divide by is no error in the gate."""
    assert features(index, "")["coverage"] == 0


@pytest.mark.parametrize("query", ["1", "= 1 + 2", "3 つの果物", "Сколько будет 1 2 3?", "a 1"])
def test_a_query_without_words_proves_nothing(index: Index, query: str) -> None:
    """A digit that the index holds has a BM25 score; divided by no weight at all it would decide alone."""
    found = index.search(query, encode(["add all rows"])[0], 8)
    scored = [Hit(hit.document, hit.score, lexical=5.0) for hit in found]
    assert Vocabulary(index, ["toytable"]).features(query, scored)["lexical"] == 0.0
    assert Vocabulary(index, ["toytable"]).features("add 1", scored)["lexical"] <= 2.0


class Unread(Sequence[Document]):
    """Documents that nobody may look at."""

    def __len__(self) -> int:
        return 1_000_000

    def __getitem__(self, row: Any) -> Any:
        pytest.fail(f'document "{row}" was read')


def test_a_loaded_index_gives_the_same_features_and_reads_no_document_for_them(index: Index, tmp_path: Path) -> None:
    """Bit for bit, as the coefficients were fitted on an index in memory; a start reads none of a million documents."""
    index.save(tmp_path / "out")
    loaded = load_index(tmp_path / "out")
    unread = Index(Unread(), loaded.vectors, loaded.lexical, loaded.words, "words")
    names, rivals = ["toytable", "tt"], ["duckdb"]
    for query in QUERIES:
        hits = index.search(query, encode([query])[0], 8)
        made, read = Vocabulary(index, names, rivals), Vocabulary(unread, names, rivals)
        assert read.features(query, hits) == made.features(query, hits)
