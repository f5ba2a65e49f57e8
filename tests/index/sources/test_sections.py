import pytest

from index.sources.checkout import Origin
from index.sources.sections import Block, chunks, section_documents

ORIGIN = Origin("lib@1", "MIT")


def block(line: int, text: str, level: int = 0) -> Block:
    """A block that begins on a line and ends where its text does."""
    return Block(text, line, line + text.count("\n"), level)


def test_a_chunk_stands_below_the_headings_above_it() -> None:
    """A heading closes those of its own and of deeper levels."""
    found = chunks(
        [
            block(1, "before"), block(3, "A", 1), block(4, "a"), block(5, "B", 3), block(6, "b"),
            block(7, "C", 2), block(8, "c"), block(9, "D", 1), block(10, "E", 2), block(11, "e"),
        ],
        100,
    )  # fmt: skip
    assert [(chunk.headings, chunk.text) for chunk in found] == [
        ((), "before"), (("A",), "a"), (("A", "B"), "b"), (("A", "C"), "c"), (("D", "E"), "e"),
    ]  # fmt: skip


def test_a_long_section_is_split_between_its_paragraphs() -> None:
    """As many together as the limit allows, on their own lines."""
    found = list(chunks([block(1, "A", 1), block(2, "a" * 40), block(4, "b" * 40), block(6, "c" * 40)], 100))
    assert [(chunk.text, chunk.first_line, chunk.last_line) for chunk in found] == [
        ("a" * 40 + "\n\n" + "b" * 40, 2, 4),
        ("c" * 40, 6, 6),
    ]


def test_a_paragraph_that_is_too_long_is_split_between_lines_and_words() -> None:
    """Nothing is lost, and every piece keeps its line."""
    text = "short line\n" + "word " * 30 + "\nx\n" + "y" * 120
    found = list(chunks([block(10, text)], 50))
    assert all(len(chunk.text) <= 50 for chunk in found)
    assert "".join(chunk.text for chunk in found).replace("\n", "") == text.replace("\n", "")
    assert [(chunk.first_line, chunk.last_line) for chunk in found] == [
        (10, 10), *[(11, 11)] * 3, (12, 12), *[(13, 13)] * 3,
    ]  # fmt: skip
    assert found[1].text.endswith("word ")


def test_what_begins_something_new_is_not_put_together_with_what_is_before_it() -> None:
    """In a notebook the next explanation begins a chunk, however short the last was; a second piece of it does not."""
    found = list(chunks([block(1, "a"), block(2, "b"), Block("c\n" * 30 + "c", 3, 33, begins=True)], 40))
    assert found[0].text.split() == ["a", "b"]
    assert sum(chunk.text.count("c") for chunk in found) == 31


def test_embedded_pictures_are_left_out() -> None:
    """A megabyte of base64 would be a thousand documents of nothing."""
    picture = f"![plot](data:image/png;base64,{'iVBORw0KGgo' * 500}=) after"
    assert [chunk.text for chunk in chunks([block(1, picture)], 100)] == ["![plot](data:image/png;base64,) after"]


def documents(*texts: str, headings: tuple[str, ...] = ("A", "B")) -> list[tuple[str, str]]:
    """Id and text of one-line sections below the same headings."""
    blocks = [block(1, heading, level) for level, heading in enumerate(headings, 1)]
    found = chunks([*blocks, *(block(n, text) for n, text in enumerate(texts, 9))], 12)
    return [(document.id, document.text) for document in section_documents(found, "a/b.md", "lib", ORIGIN, "section")]


def test_an_id_holds_the_path_and_the_headings() -> None:
    """And without headings the path, which also stands for the symbol."""
    assert documents("text") == [("lib:a/b.md#A > B", "A > B\ntext")]
    assert documents("text", headings=()) == [("lib:a/b.md", "a/b\ntext")]


def test_twins_are_told_apart_by_their_text() -> None:
    """So what is added between them changes no id but its own; the same text twice gets a number."""
    before, after = (
        dict(documents("first text", "other text")),
        dict(documents("first text", "added text", "other text")),
    )
    assert before.items() < after.items()
    assert len(dict(documents("same text", "same text", "same text", "same text"))) == 4


def test_a_chunk_without_text_is_no_document() -> None:
    """A comment or a list of links to files leaves none."""
    assert documents(" ", "text") == [("lib:a/b.md#A > B", "A > B\ntext")]


@pytest.mark.parametrize("limit", [200, 1200])
def test_a_megabyte_on_one_line_is_cut_in_no_time(limit: int) -> None:
    """No step may cost more for each character that is left."""
    found = list(chunks([Block("x" * (1 << 20), 1, 1)], limit))
    assert sum(len(chunk.text) for chunk in found) == 1 << 20
