import hashlib

import pytest

from index.documents import Document


def document(symbol: str, text: str = "text") -> Document:
    return Document("id", text, "source", "MIT", "object", symbol)


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("polars.Expr.str.contains", "contains"),
        ("concat", "concat"),
        ("Guide > Version 1.2", "Guide > Version 1.2"),
        ("docs/v1.2/install", "docs/v1.2/install"),
    ],
)
def test_only_a_public_path_is_named_by_its_last_part(symbol: str, name: str) -> None:
    """Two sections of "1.2" and "2.2" are no twins; `Expr.str.contains` and `Series.str.contains` are."""
    assert document(symbol).name == name


def test_the_hash_is_that_of_the_text_alone() -> None:
    """Two documents of one text share one embedding, wherever they stand."""
    text = "Größe"
    assert document("a", text).hash == document("b", text).hash == hashlib.sha256(text.encode()).hexdigest()
    assert document("a", text).hash != document("a", text + " ").hash


def test_where_a_document_stands_may_be_unknown() -> None:
    """What was written before documents had a path is read as it is."""
    assert (document("a").path, document("a").first_line, document("a").last_line) == ("", 0, 0)
