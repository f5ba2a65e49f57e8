import ast

import pytest

from index.documents import Document
from training.sections import asked_in, names_called
from training.shown import shown_in

TEXT = """# Moving clocks

Clocks are {class}`~clocks.Clock` objects:

```python
>>> from clocks import Clock
>>> c = Clock(3)
>>> c.add(hours=1)
Clock(4)
```

```python
>>> c.add(hours=1)  # again
Clock(4)
>>> c + Clock(1) == Clock(4)
True
>>> c
Clock(3)
```
"""


def section(text: str) -> Document:
    """A section of some guide."""
    return Document("guide:moving.md#Moving", text, "guide", "MIT", "section", "Guide > Moving `clocks`")


def test_a_fence_ends_a_display_and_repeated_examples_count_once() -> None:
    """A variable on its own is nothing that anything computed."""
    first, second = asked_in([section(TEXT)], "clocks", "import clocks", [])
    assert (first.id, first.name, first.shown.wanted) == ("guide:moving.md#Moving/0", "add", "Clock(4)\n")
    assert (first.shown.about, first.shown.before) == ("Moving `clocks`.", "Clocks are `~clocks.Clock` objects:")
    assert (second.id, second.name) == ("guide:moving.md#Moving/2", "__add__")


def test_what_docstrings_show_is_not_asked_again() -> None:
    """Whatever was imported before it."""
    known = shown_in(">>> c = Clock(3)\n>>> c.add( hours=1 )\nClock(4)\n", "", "import clocks")
    assert [asked.name for asked in asked_in([section(TEXT)], "clocks", "import clocks", known)] == ["__add__"]


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("Clock(3).at(Hour(2)).utc()", "at"),
        ("clocks.Clock(3)", "Clock"),
        ("clocks.Clock(3).at(1)", "at"),
        ("bool(Clock(3))", "bool"),
        ("a - Clock(3)", "__sub__"),
        ("Clock(-3)", "Clock"),
        ("-Clock(3)", "__neg__"),
        ("a", None),
    ],
)
def test_an_expression_is_about_what_it_reads_first(expression: str, name: str | None) -> None:
    found = names_called(ast.parse(expression, mode="eval").body, "clocks")
    assert (found[0] if found else None) == name
