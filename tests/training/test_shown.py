from training.shown import Shown, bare, shown_in, with_literals_given

DOCS = """A clock.

>>> from clocks import tick
>>> t = tick(3)
>>> t  # doctest: +SKIP
3
>>> t.double()
6

After an hour:

>>> t.add(hours=1)  # emits nothing
<BLANKLINE>
4
"""


def test_every_displayed_expression_has_the_statements_before_it() -> None:
    """Skipped ones are none, and what only displays is no statement."""
    first, second = shown_in(DOCS, "A clock.", "import clocks")
    setup = "import clocks\nfrom clocks import tick\nt = tick(3)\n"
    assert first == Shown("A clock.", "A clock.", setup, "t.double()", "6\n")
    assert (second.before, second.setup, second.wanted) == ("After an hour:", setup, "\n4\n")


def test_a_comment_is_no_part_of_an_expression_and_printing_has_no_value() -> None:
    assert bare("t.add(1)  # one more") == "t.add(1)"
    assert bare("f(\n  1,\n)") == "f(\n  1,\n)"
    assert bare("(a\n + 1)") == "a + 1"
    assert bare('print("".join(a))') == '"".join(a)'
    assert bare("print(a, b)") == "print(a, b)"


def test_without_any_prose_the_method_is_named() -> None:
    """Otherwise nothing but the display would say what is wanted."""
    silent = with_literals_given(Shown("", "", "", "t(3).double()", "6"), "double")
    assert (silent.about, silent.setup, silent.expression) == ("Use `double`.", "value = t(3)\n", "value.double()")
    assert with_literals_given(Shown("A clock. Ticks.", "Ticks.", "", "t(3).double()", "6"), "double").before == ""


def test_a_set_up_that_is_no_python_stays_as_it_is() -> None:
    """It will not run, and its task will not be kept."""
    assert with_literals_given(Shown("", "", "%magic\n", "t(3).double()", ""), "double").expression == "t(3).double()"
