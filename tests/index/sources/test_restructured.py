from pathlib import Path

import pytest

from index.errors import CorpusError
from index.sources.restructured import rendered, restructured_blocks


def blocks(text: str) -> list[tuple[int, str, int, int]]:
    """(level, text, first line, last line) of each block."""
    return [(b.level, b.text, b.first_line, b.last_line) for b in restructured_blocks(text)]


TITLES = """
=====
Title
=====

Before.

A ``code`` :func:`~lib.f`
-------------------------
text::

    Fake
    ====

B
~
b

C
-
c
"""


def test_headings_are_found_with_their_levels_and_lines() -> None:
    """With a line above or only below; what looks like one inside code is none."""
    assert blocks(TITLES) == [
        (1, "Title", 2, 4), (0, "Before.", 6, 6),
        (2, "A code lib.f", 8, 9), (0, "text::\n\n    Fake\n    ====", 10, 13),
        (3, "B", 15, 16), (0, "b", 17, 17),
        (2, "C", 19, 20), (0, "c", 21, 21),
    ]  # fmt: skip


def test_two_headings_may_follow_each_other() -> None:
    """The underline of one is not the line above the next."""
    assert [block[:2] for block in blocks("A\n=\nB\n=\nb\n")] == [(1, "A"), (1, "B"), (0, "b")]


def test_no_paragraph_is_lost() -> None:
    """Not even one that is indented below its heading, which is a quotation."""
    assert blocks("\n  quoted\n\nA\n=\n\n  quoted\n\n  more\n\nplain") == [
        (0, "  quoted", 2, 2), (1, "A", 4, 5), (0, "  quoted\n\n  more", 7, 9), (0, "plain", 11, 11),
    ]  # fmt: skip


def test_a_directive_keeps_what_is_indented_below_it() -> None:
    """A block begins at the margin after a blank line."""
    text = ".. note::\n\n   one\n\n   two\n\n- item\n\n  more\n\nlast\n"
    assert [block[1] for block in blocks(text)] == [".. note::\n\n   one\n\n   two", "- item\n\n  more", "last"]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("See :func:`~lib.f`, :ref:`the guide <guide>` and `link`_.", "See lib.f, the guide and link."),
        (".. code-block:: python\n   :caption: x\n\n   a = 1\n\n   b = 2", "```\na = 1\n\nb = 2\n```"),
        (".. code-block:: python\n\n   if a:\n       b", "```\nif a:\n    b\n```"),
        ("Run::\n\n    a\n      b", "Run:\n\n```\na\n  b\n```"),
        (">>> 1 + 1\n2", "```\n>>> 1 + 1\n2\n```"),
        (".. versionadded:: 1.2\n   Now :class:`A`.", "versionadded 1.2\n\nNow A."),
        (".. tab:: Linux\n\n   .. code-block:: sh\n\n      run", "Linux\n\n```\nrun\n```"),
        (".. py:function:: f(a)\n\n   What it does.", "f(a)\n\nWhat it does."),
        (".. toctree::\n   :maxdepth: 2\n\n   a\n   b", ""),
        (".. a comment\n\n.. _target:\n\n.. contents::", ""),
        ("==  ==\na   b\n==  ==\n1   2\n==  ==", "a | b\n\n1 | 2"),
        ("====  ====\nbroken table", "====  ====\nbroken table"),
    ],
)
def test_a_block_is_rendered_as_its_readers_see_it(source: str, text: str) -> None:
    """Code stays code; what docutils alone does not know keeps its text."""
    assert rendered(source) == text


@pytest.mark.parametrize(
    "source",
    [
        ".. include:: {secret}",
        ".. literalinclude:: {secret}",
        ".. csv-table::\n   :file: {secret}",
        ".. raw:: html\n   :file: {secret}",
        ".. code-block:: python\n   :literalinclude: {secret}",
    ],
)
def test_a_document_cannot_read_files(tmp_path: Path, source: str) -> None:
    """It is not trusted: what it includes would land in an index that others read."""
    (tmp_path / "secret.txt").write_text("hunter2")
    assert "hunter2" not in rendered(source.format(secret=tmp_path / "secret.txt"))


def test_raw_text_is_left_out() -> None:
    """It is meant for a browser, not for readers."""
    assert rendered("a\n\n.. raw:: html\n\n   <script>x</script>\n\nb") == "a\n\nb"


def test_a_role_of_one_document_does_not_reach_the_next() -> None:
    """Texts must not depend on what was read before."""
    before = rendered("a :shout:`b <c>`")
    rendered(".. role:: shout\n\n:shout:`x`")
    assert rendered("a :shout:`b <c>`") == before == "a b"


def test_todays_date_is_no_text() -> None:
    """`|today|` would give another index every day."""
    assert rendered("On |today|.\n\n.. |today| date::") == "On today."


def test_a_document_that_docutils_fails_on_is_refused() -> None:
    """Its own failures are many; one error names them all."""
    with pytest.raises((CorpusError, RecursionError), match=r"docutils cannot read it|recursion"):
        rendered("\n".join(f"{'  ' * depth}- a\n" for depth in range(400)))


def test_line_ends_that_only_python_knows_shift_no_line() -> None:
    """docutils would count a form feed as one."""
    assert blocks("a\x0c\u2028b\n\nT\n=\nc\n")[1:] == [(1, "T", 3, 4), (0, "c", 5, 5)]


def test_nothing_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    """Sphinx's documents would fill the terminal."""
    rendered("``a\n\n.. nothing::\n\n:x:`y`\n\n*")
    assert capsys.readouterr() == ("", "")
