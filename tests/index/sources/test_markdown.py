from index.sources.markdown import markdown_blocks


def blocks(text: str) -> list[tuple[int, str, int, int]]:
    """(level, text, first line, last line) of each block."""
    return [(b.level, b.text, b.first_line, b.last_line) for b in markdown_blocks(text)]


def test_headings_of_both_forms_are_found_on_their_lines() -> None:
    """`#` and underlined; markup in a heading is reduced to what a reader sees."""
    assert blocks("# A `b` *c* [d](e)\n\ntext\n\nF\n---\nmore\n") == [
        (1, "A b c d", 1, 1), (0, "text", 3, 3), (2, "F", 5, 6), (0, "more", 7, 7),
    ]  # fmt: skip


def test_a_hash_in_code_or_in_a_list_is_no_heading() -> None:
    """Comments are what most code begins with."""
    text = "# A\n\n```python\n# not a heading\n\nx = 1\n```\n\n- item\n\n  # inner\n"
    assert blocks(text) == [
        (1, "A", 1, 1),
        (0, "```python\n# not a heading\n\nx = 1\n```", 3, 7),
        (0, "- item\n\n  # inner", 9, 11),
    ]


def test_comments_and_rules_are_left_out() -> None:
    """No reader sees them; a comment with text behind it on its line is kept."""
    assert blocks("<!-- do\nthis -->\n\n---\n\na\n\n<!-- x --> shown\n") == [
        (0, "a", 6, 6),
        (0, "<!-- x --> shown", 8, 8),
    ]


def test_the_title_in_front_matter_is_the_first_heading() -> None:
    """As site generators show it; the rest of front matter is no text, and lines still count from the file's first."""
    assert blocks("---\nid: x\ntitle: 'The guide'\n---\n## A\ntext\n") == [
        (1, "The guide", 1, 4), (2, "A", 5, 5), (0, "text", 6, 6),
    ]  # fmt: skip
    assert blocks("---\nid: x\n...\ntext") == [(0, "text", 4, 4)]


def test_a_rule_at_the_start_is_no_front_matter() -> None:
    """Only `key:` lines are."""
    assert (0, "Just text.", 2, 2) in blocks("---\nJust text.\n\nmore")


def test_anchors_are_no_part_of_a_heading() -> None:
    """Nor are empty headings a part of the path."""
    assert blocks("# A {#a .b}\n#\n") == [(1, "A", 1, 1), (1, "", 2, 2)]


def test_nothing_in_it_can_end_the_reading() -> None:
    """Deep nesting and unclosed marks are text."""
    for text in (">" * 5000 + "a", "[" * 5000, "`" * 5001, "- " * 3000 + "a", "\0", "***" * 2000 + "a", "<!--"):
        assert sum(len(block[1]) for block in blocks(text)) or text == "<!--"
