import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from index.documents import Document
from index.errors import BundleError, CorpusError
from index.store import FILES, Index, load_index, make_index
from tests.index.conftest import encode


def test_a_document_is_the_nearest_to_its_own_text(index: Index, documents: list[Document]) -> None:
    """Scores are cosines: 1 for the text itself, falling from there."""
    for document in documents:
        hits = index.search(encode([document.text])[0], 3)
        assert hits[0].score == pytest.approx(1, abs=2e-3)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_search_gives_no_more_than_there_is(index: Index) -> None:
    """Asking for more documents than the index holds is no error."""
    assert len(index.search(np.zeros(index.dimension, np.float32), 1000)) == len(index.documents)


def test_what_is_saved_is_what_is_loaded(index: Index, tmp_path: Path) -> None:
    """Documents, encoder and search results survive the disk."""
    index.save(tmp_path)
    loaded = load_index(tmp_path)
    query = encode(["add all rows"])[0]
    assert (loaded.documents, loaded.encoder, loaded.dimension) == (index.documents, "words", index.dimension)
    assert loaded.search(query, 5) == index.search(query, 5)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(index: Index, tmp_path: Path, name: str) -> None:
    """Each of the three files is needed."""
    index.save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(BundleError, match=name):
        load_index(tmp_path)


def test_documents_that_do_not_fit_the_vectors_are_refused(index: Index, tmp_path: Path) -> None:
    """A lost line would shift every hit to another document."""
    index.save(tmp_path)
    lines = (tmp_path / "documents.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "documents.jsonl").write_text("".join(lines[1:]))
    with pytest.raises(BundleError, match="documents and"):
        load_index(tmp_path)


def test_a_count_that_only_index_json_states_is_named(index: Index, tmp_path: Path) -> None:
    """Where documents and vectors agree, the message must not say that they do not."""
    index.save(tmp_path)
    facts = json.loads((tmp_path / "index.json").read_text())
    (tmp_path / "index.json").write_text(json.dumps(facts | {"documents": 999}))
    with pytest.raises(BundleError, match=r'index\.json states "999"'):
        load_index(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", 'key "encoder" is missing'),
        ("[]", "should be an object"),
        ("null", "should be an object"),
        ('{"encoder": 1, "dimension": 64, "documents": 1}', 'key "encoder" is "1"'),
        ('{"encoder": "words"', "Invalid JSON"),
        (b"\xff", "Invalid JSON"),
    ],
)
def test_an_index_json_of_another_shape_is_refused_in_one_line(
    index: Index, tmp_path: Path, content: str | bytes, message: str
) -> None:
    """JSON is not enough: each key and its type counts."""
    index.save(tmp_path)
    (tmp_path / "index.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BundleError) as caught:
        load_index(tmp_path)
    assert f'index file "{tmp_path / "index.json"}" cannot be read' in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value) and "pydantic" not in str(caught.value)


@pytest.mark.parametrize("change", [{"text": None}, {"id": 7}, {"symbol": ["a"]}, {"title": "x"}, None, b"\xff", b"{"])
def test_a_document_that_is_none_is_refused_naming_its_line(index: Index, tmp_path: Path, change: Any) -> None:
    """A field that is no text would fail later, on the first query that finds the document."""
    index.save(tmp_path)
    path = tmp_path / "documents.jsonl"
    first, second, *rest = path.read_bytes().splitlines()
    changed = json.dumps(json.loads(second) | change).encode() if isinstance(change, dict) else change or b"null"
    path.write_bytes(b"\n".join((first, changed, *rest)) + b"\n")
    with pytest.raises(BundleError, match=r'documents\.jsonl" line 2 cannot be read'):
        load_index(tmp_path)


def test_unreadable_vectors_are_refused(index: Index, tmp_path: Path) -> None:
    """A cut vector file is a clear error, not a crash in the search."""
    index.save(tmp_path)
    content = (tmp_path / "vectors.faiss").read_bytes()
    (tmp_path / "vectors.faiss").write_bytes(content[:100])
    with pytest.raises(BundleError, match="cannot be read"):
        load_index(tmp_path)


def test_an_empty_corpus_is_refused() -> None:
    """An index of nothing would answer every query with nothing, in silence."""
    with pytest.raises(CorpusError, match='"0" documents'):
        make_index([], np.zeros((0, 4), np.float32), "words")
