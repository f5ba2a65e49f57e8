import pytest

from training.evaluate.extract import (
    EXTRACTIONS,
    defining_block,
    definitions,
    first_block,
    flexible_number,
    last_block,
    strict_number,
)

TWO = "First:\n```python\nimport math\n```\nthen\n```py\ndef f(x):\n    return x\n```\nand\n```\nprint(f(1))\n```"


def test_blocks_are_chosen_by_their_rule() -> None:
    """The same answer, four rules."""
    assert first_block(TWO) == "import math\n"
    assert last_block(TWO) == "print(f(1))\n"
    assert defining_block(TWO, "f") == "import math\n\ndef f(x):\n    return x\n"
    assert EXTRACTIONS["whole"](TWO, "f") == TWO


@pytest.mark.parametrize("answer", ["def f(x):\n    return x\n", "```python\ndef f(x):\n    return x\n"])
def test_an_answer_without_fences_or_with_a_cut_one_is_taken_to_its_end(answer: str) -> None:
    """A stop text or the token limit ends answers there."""
    for rule in ("definitions", "defining", "first", "last"):
        assert EXTRACTIONS[rule](answer, "f") == "def f(x):\n    return x\n"


def test_definitions_leave_an_answers_own_tests_away() -> None:
    """Failing examples, prints and a cut end do not decide about a right function."""
    code = (
        "import math\nLIMIT = 3\nUNUSED = f(2)\n\n@cache\ndef helper(x):\n    return x + LIMIT\n\n"
        "def f(x):\n    return helper(x)\n\n# Test cases\nassert f(1) == 99\nprint(f(2))\ncases = [(1, 2), (3"
    )
    found = definitions(f"```python\n{code}", "f")
    assert "@cache\ndef helper(x):" in found and "LIMIT = 3" in found and "import math" in found
    assert "assert" not in found and "print" not in found and "cases" not in found and "UNUSED" not in found


def test_a_name_that_is_defined_twice_keeps_both_in_order() -> None:
    """The later one holds, as it would when run."""
    code = "def g():\n    return 1\ndef g():\n    return 2\ndef f():\n    return g()\n"
    assert definitions(f"```python\n{code}```", "f") == code


def test_code_whose_function_is_cut_off_stays_as_it_is() -> None:
    """Its syntax error is the verdict."""
    code = "def f(x):\n    return [x,\n"
    assert definitions(f"```python\n{code}", "f") == code


def test_a_bare_body_stays_as_it_is() -> None:
    """It continues the prompt's own function."""
    assert definitions("    return 1\n", "f") == "    return 1\n"


@pytest.mark.parametrize(
    ("answer", "strict", "flexible"),
    [
        ("so 3 + 4 = 7\n#### 7", "7", "7"),
        ("#### 1,000.00", "1000", "1000"),
        ("#### $18 in all", "18", "18"),
        ("The answer is 72.", None, "72"),
        ("it costs $1,234.50.", None, "1234.5"),
        ("#### 5\nwait, 6", "5", "6"),
        ("-3 degrees", None, "-3"),
        ("no number", None, None),
        ("#### .", None, None),
    ],
)
def test_numbers_are_found_by_both_rules(answer: str, strict: str | None, flexible: str | None) -> None:
    """Strict after the last ####, flexible the last number anywhere; both in one form."""
    assert (strict_number(answer), flexible_number(answer)) == (strict, flexible)
