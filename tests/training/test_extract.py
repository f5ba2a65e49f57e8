import pytest

from training.extract import (
    EXTRACTIONS,
    after,
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
    assert last_block(TWO) == "def f(x):\n    return x\n"  # what is marked as Python goes before what is not marked
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


@pytest.mark.parametrize(
    ("answer", "block"),
    [
        ("```Python\nx = 1\n```\nThis works.", "x = 1\n"),
        ("```bash\npip install x\n```\n```python\ny = 1\n```\n```text\nout\n```", "y = 1\n"),
        ("```python\n```python\nz = 1\n```", "z = 1\n"),
        ("```python title=a.py\nz = 1\n```", "z = 1\n"),
        ("1. So:\n   ```python\n   if z:\n       z = 1\n   ```", "if z:\n    z = 1\n"),
        ("~~~py\nz = '```'\n~~~", "z = '```'\n"),
        ("```\nz = 1\n```", "z = 1\n"),
        ("```python\nz = 1```\nDone.", "z = 1\n"),
        ("```python\r\nz = 1\r\n```", "z = 1\n"),
    ],
)
def test_fences_are_read_as_markdown_means_them(answer: str, block: str) -> None:
    """Labels in any case, attributes, indentation, other languages beside, an opening said twice."""
    assert first_block(answer) == last_block(answer) == block


def test_definitions_keep_every_statement_that_makes_what_is_reached() -> None:
    """Guarded imports, tables filled by loops, changes in place, limits of the interpreter; not scripts and loops."""
    kept = (
        "try:\n    import numpy as np\nexcept ImportError:\n    np = None\nimport sys\nsys.setrecursionlimit(99)\n"
        "N = 0\nN += 1\nT = {}\nfor i in range(3):\n    T[i] = i\nP = []\nP.append(1)\n"
        "if N:\n    def helper():\n        return N\n"
        "def f(x, cases=P):\n    y = np\n    return helper() + T[0] + x\n"
    )
    script = "y = f(1)\nfor x in [1, 2]:\n    print(f(x))\nif __name__ == '__main__':\n    N = input()\n"
    assert definitions(f"```python\n{kept}{script}```", "f") == kept


def test_only_ends_of_lines_end_lines() -> None:
    """A form feed or a Unicode separator stands within one."""
    code = "import math\n\x0cdef f(x):\n    y = 'a\u2028b'\n    return x\n"
    assert definitions(f"```python\n{code}```", "f") == code


def test_imports_from_the_future_come_first() -> None:
    """Behind the code that a prompt gave they would be a syntax error."""
    assert after("import math", "from __future__ import annotations\nx = 1\n") == (
        "from __future__ import annotations\nimport math\nx = 1\n"
    )


@pytest.mark.parametrize("code", ["result = df" + ".x" * 5000, "x = " + "-" * 20000 + "1", "(" * 5000])
def test_code_too_deep_for_the_parser_is_no_failure_of_ours(code: str) -> None:
    """It stays as it is, for the sandbox to judge."""
    assert definitions(code, "f") == code
