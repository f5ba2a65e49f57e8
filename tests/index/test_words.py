"""What documents hold of words and names, counted and kept."""

from dataclasses import replace
from pathlib import Path

import pytest

from index.documents import Document
from index.errors import BundleError
from index.words import WORDS, count_words, identifiers, read_word_counts, words


def test_words_are_lower_case_and_identifiers_are_whole() -> None:
    """Two ways to read one text: what it is about, and the names it uses."""
    text = "Use df.group_by('A1').Sum() or to_list"
    assert words(text) == {"use", "df", "group", "by", "a1", "sum", "or", "to", "list"}
    assert identifiers(text) == {"group_by", "Sum", "to_list"}


def test_a_word_counts_once_a_document_and_a_symbol_is_of_names() -> None:
    """Document frequencies, as the features weigh words by rarity."""
    document = Document("one", "rows of rows", "s", "MIT", "object", "table.Frame")
    counts = count_words([document, replace(document, id="two", text="rows.sum()", symbol="table")])
    assert counts.documents == 2
    assert counts.words == {"rows": 2, "of": 1, "sum": 1}
    assert counts.identifiers == {"table", "Frame", "sum"}


def test_what_is_saved_is_what_is_read(documents: list[Document], tmp_path: Path) -> None:
    """And the same documents give the same bytes, in whatever order a set holds its names."""
    counts = count_words(documents)
    counts.save(tmp_path)
    content = (tmp_path / WORDS).read_bytes()
    assert read_word_counts(tmp_path) == counts
    count_words(reversed(documents)).save(tmp_path)
    assert (tmp_path / WORDS).read_bytes() == content


@pytest.mark.parametrize(
    ("content", "message"), [("{", "Invalid JSON"), ('{"documents": 1, "words": {"a": "b"}}', '"words.a" is "b"')]
)
def test_words_that_cannot_be_read_are_refused_by_name(tmp_path: Path, content: str, message: str) -> None:
    """Half a file, or another shape."""
    (tmp_path / WORDS).write_text(content)
    with pytest.raises(BundleError, match=rf'words\.json" cannot be read .*{message}.*: rebuild the index'):
        read_word_counts(tmp_path)
