from index.documents import Document
from index.prompt import EVIDENCE_CHARACTERS, QUERY_CHARACTERS, choose_evidence, gate_query, text_of, with_evidence
from index.store import Hit


def document(symbol: str, kind: str = "object", text: str = "text") -> Document:
    """A document with only what the prompt looks at."""
    return Document(f"p:{symbol}:{kind}", text, "p==1", "MIT", kind, symbol)  # type: ignore[arg-type]


def test_the_gate_reads_the_last_user_message() -> None:
    """Earlier questions and the assistant's own words do not decide."""
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "How do I sort a list in Python by length?"},
        {"role": "assistant", "content": "sorted(x, key=len)"},
        {"role": "user", "content": "And how do I group a polars frame by two columns?"},
    ]
    assert gate_query(messages) == "And how do I group a polars frame by two columns?"


def test_a_short_follow_up_is_read_with_the_question_before_it() -> None:
    """ "And descending?" says nothing alone."""
    messages = [
        {"role": "user", "content": "Sort a polars frame by two columns"},
        {"role": "user", "content": "descending?"},
    ]
    assert gate_query(messages) == "Sort a polars frame by two columns\ndescending?"


def test_list_content_is_read_by_its_text_parts() -> None:
    """OpenAI's content parts; images have no text."""
    parts = [
        {"type": "text", "text": "group"},
        {"type": "image_url", "image_url": {"url": "x"}},
        {"type": "text", "text": "by"},
    ]
    assert gate_query([{"role": "user", "content": parts}]) == "group\nby"


def test_a_conversation_without_user_text_is_an_empty_query() -> None:
    """The gate then has nothing to trust."""
    assert gate_query([]) == gate_query([{"role": "user", "content": None}]) == ""


def test_a_very_long_message_is_cut() -> None:
    """The encoder reads the beginning only; a book must not cost its tokenisation."""
    assert len(gate_query([{"role": "user", "content": "x" * 100_000}])) == QUERY_CHARACTERS


def test_evidence_stands_before_the_last_question_and_the_original_is_untouched() -> None:
    """The caller's messages are theirs."""
    messages = [{"role": "user", "content": "first"}, {"role": "user", "content": "second"}]
    rendered = with_evidence(messages, [document("p.a", text="A" * 1000)])
    assert rendered[0]["content"] == "first"
    assert rendered[1]["content"].endswith("\n\n---\n\nsecond")
    assert "A" * EVIDENCE_CHARACTERS in rendered[1]["content"]
    assert "A" * (EVIDENCE_CHARACTERS + 1) not in rendered[1]["content"]
    assert messages[1]["content"] == "second"


def test_list_content_keeps_its_parts_after_the_evidence() -> None:
    """A question with parts stays a question with parts."""
    rendered = with_evidence([{"role": "user", "content": [{"type": "text", "text": "q"}]}], [document("p.a")])
    assert [part["type"] for part in rendered[0]["content"]] == ["text", "text"]
    assert rendered[0]["content"][1]["text"] == "q"


def test_without_documents_nothing_changes() -> None:
    """No empty frame round a question."""
    assert with_evidence([{"role": "user", "content": "q"}], []) == [{"role": "user", "content": "q"}]


def test_twins_are_shown_once() -> None:
    """`Expr.str.contains` and `Series.str.contains` would say the same thing twice."""
    hits = [
        Hit(document(s, k), 0.9)
        for s, k in (("p.E.f", "object"), ("p.S.f", "object"), ("p.E.f", "example"), ("p.E.g", "object"))
    ]
    assert [hit.document.symbol for hit in choose_evidence(hits)] == ["p.E.f", "p.E.f", "p.E.g"]


def test_only_text_in_a_text_part_is_asked() -> None:
    """Numbers, nothing, other objects and refusals say nothing to the gate."""
    parts = [{"type": "text", "text": value} for value in (3, None, {"a": 1}, "sort rows")]
    assert text_of([*parts, {"type": "refusal", "text": "no"}, "loose"]) == "sort rows"
