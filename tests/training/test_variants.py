import pytest

from training.variants import VARIANTS, hoisted, variants


@pytest.mark.parametrize(
    ("expression", "keep", "given", "left"),
    [
        ("Date(2021, 1, 2).prev_day()", "prev_day", ["value = Date(2021, 1, 2)"], "value.prev_day()"),
        ("Date(2021, 1, 2).year", "year", ["value = Date(2021, 1, 2)"], "value.year"),
        ("Date(2021, 1, 2) == Date(2021, 1, 3)", "__eq__", ["value = Date(2021, 1, 2)", "other = Date(2021, 1, 3)"],
         "value == other"),
        ("d.since(Date('2020-01-01'), unit='days')", "since", ["value = Date('2020-01-01')"],
         "d.since(value, unit='days')"),
        ('Date.parse("2021-01-02", form="basic")', "parse", ['value = "2021-01-02"'],
         'Date.parse(value, form="basic")'),
        ("Date(2021, month=-1)", "Date", ["value = 2021", "other = -1"], "Date(value, month=other)"),
        ("matches('appel', ['ape', 'apple'])", "matches", ["value = 'appel'", "other = ['ape', 'apple']"],
         "matches(value, other)"),
        ("mean([1,\n  2])", "mean", ["value = [1, 2]"], "mean(value)"),
        ("Time(12).on(Date(2021, 1, 2)).year", "on", ["value = Time(12)", "other = Date(2021, 1, 2)"],
         "value.on(other).year"),
        ("apply(lambda x: x + 1, [1])", "apply", ["value = [1]"], "apply(lambda x: x + 1, value)"),
        ("f('ü', [3])[1:2]", "f", ["value = [3]"], "f('ü', value)[1:2]"),
        ("now()", "now", [], "now()"),
    ],
)  # fmt: skip
def test_what_only_literals_decide_becomes_a_variable(expression: str, keep: str, given: list[str], left: str) -> None:
    """The method asked for stays, and so do plain options where something else can be given."""
    setup, reference = hoisted("d = today()\n", expression, keep)
    assert setup == "d = today()\n" + "".join(f"{line}\n" for line in given)
    assert reference == left


def test_an_expression_with_a_variable_keeps_its_plain_arguments() -> None:
    """They are what the answer has to find; the variable is what the second input changes."""
    assert hoisted("d = Date(2021, 1, 2)\n", "d.add(days=3)", "add") == ("d = Date(2021, 1, 2)\n", "d.add(days=3)")


def test_a_name_that_is_taken_is_not_given_again() -> None:
    """Neither one of the set-up, nor an imported one, nor one of the expression."""
    setup, reference = hoisted("import value\nother = 1\n", "third([4])", "third")
    assert (setup.splitlines()[-1], reference) == ("fourth = [4]", "third(fourth)")


def changed(setup: str) -> list[str]:
    """The other set-ups without the preamble."""
    return [text.removeprefix("import x\n") for text in variants(f"import x\n{setup}", "import x")]


def test_numbers_move_by_small_steps_and_never_below_nought() -> None:
    assert changed("n = 1\n") == ["n = 2\n", "n = 0\n", "n = 3\n", "n = 4\n"]
    assert changed("n = -0.5\n")[0] == "n = -1.5\n"


def test_a_group_of_digits_moves_in_its_width() -> None:
    assert changed("d = '2021-09-02 utc'\n")[:4] == [
        "d = '2022-09-02 utc'\n", "d = '2021-10-02 utc'\n", "d = '2021-09-03 utc'\n", "d = '2020-09-02 utc'\n",
    ]  # fmt: skip


def test_a_list_loses_elements_and_words_lose_letters() -> None:
    """Words come last: most of them are options, which the sandbox then refuses."""
    found = changed("a = ['ab', 'c', 'd', 'e']\n")
    assert found[:3] == ["a = ['c', 'd', 'e']\n", "a = ['ab', 'c', 'd']\n", "a = ['ab', 'c']\n"]
    assert found[3:5] == ["a = ['b', 'c', 'd', 'e']\n", "a = ['a', 'c', 'd', 'e']\n"]


def test_what_stands_nearest_to_the_expression_moves_first() -> None:
    assert changed("a = 1\nb = 5\n")[:2] == ["a = 1\nb = 6\n", "a = 2\nb = 5\n"]


def test_preamble_truth_values_and_f_strings_stay() -> None:
    assert list(variants("import x\nx.set(5)\ny = True\n", "import x\nx.set(5)")) == []
    assert changed("s = f'{1} of 2'\n") == []


def test_layout_and_what_follows_a_change_stay_as_they_are() -> None:
    """Positions count bytes, and a statement may have several lines."""
    assert changed("s = ['ü',\n  7]  # seven\nt()\n")[1] == "s = ['ü',\n  8]  # seven\nt()\n"


def test_a_long_set_up_has_as_many_variants_as_are_tried() -> None:
    assert len(changed("".join(f"a{n} = {n}\n" for n in range(1, 90)))) == VARIANTS
