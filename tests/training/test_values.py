from training.sandbox import Sandbox
from training.values import Outcome, Written, outcomes, tried, value_program
from training.variants import variants


def test_code_that_sets_result_reports_its_value(sandbox: Sandbox) -> None:
    """On both inputs; without frames the second is the first."""
    (outcome,) = outcomes(sandbox, [Written("a = 2", "result = a + 1")])
    assert (outcome.first, outcome.second, outcome.error) == ("value:3", "value:3", "")


def test_exceptions_are_reported_with_their_type(sandbox: Sandbox) -> None:
    """Whichever way code ends itself; the others still report."""
    codes = ["result = 1 / 0", "result = (", "raise SystemExit(0)", "y = 1", "import os; os._exit(0)", "result = 1"]
    found = outcomes(sandbox, [Written("", code) for code in codes])
    errors = [outcome.error.split(":")[0] for outcome in found]
    assert errors == ["ZeroDivisionError", "SyntaxError", "SystemExit", "NameError", "error", ""]
    assert found[-1].first == "value:1"


def test_what_is_printed_is_not_taken_for_the_outcome(sandbox: Sandbox) -> None:
    """Not even without an end of line before it."""
    code = 'import sys\nsys.stdout.write(\'["value:1", "value:1"]\')\nresult = 2'
    assert outcomes(sandbox, [Written("", code)]) == [Outcome("value:2", "value:2")]


def test_frames_are_reversed_and_shortened_for_the_second_input(sandbox: Sandbox) -> None:
    """What is no frame stays; what cannot be reversed stays."""
    setup = "import polars as pl\ns = pl.Series([1, 2, 3])\nn = [1, 2, 3]\n"
    (outcome,) = outcomes(sandbox, [Written(setup, "result = s.to_list() + n")])
    assert outcome == Outcome("value:[1, 2, 3, 1, 2, 3]", "value:[2, 1, 1, 2, 3]")


def test_the_wanted_value_is_in_no_memory_of_the_code(sandbox: Sandbox) -> None:
    """A program that looks for it everywhere finds nothing."""
    hunt = (
        "import gc, sys\n"
        "texts = [o for o in gc.get_objects() if isinstance(o, dict)]\n"
        "found = [v for d in texts for v in list(d.values()) if isinstance(v, str) and 'se' + 'cret-7' in v]\n"
        "result = found[0].removeprefix('value:') if found else 'nothing'\n"
    )
    wanted = Outcome("value:'secret-7'", "value:'secret-7'")
    assert sandbox.run(value_program(Written("", "result = 'secret-7'"), wanted)).passed
    assert sandbox.run(value_program(Written("", hunt), wanted)).status == "failed"


def test_a_reference_without_a_second_value_is_judged_by_the_first(sandbox: Sandbox) -> None:
    """Its own failure on the second input says nothing about an answer."""
    wanted = Outcome("value:1", "error:ValueError: x")
    assert sandbox.run(value_program(Written("", "result = 1"), wanted)).passed
    assert sandbox.run(value_program(Written("", "result = 2"), wanted)).status == "failed"


def test_a_set_up_of_its_own_is_the_second_input(sandbox: Sandbox) -> None:
    """It takes the place of the run-time change, and an answer that knows only the first one fails."""
    written = Written("a = [1, 2]", "result = a[0]", "a = [3, 2]")
    (outcome,) = outcomes(sandbox, [written])
    assert outcome == Outcome("value:1", "value:3")
    assert sandbox.run(value_program(written, outcome)).passed
    assert sandbox.run(value_program(written._replace(code="result = min(a[0], 1)"), outcome)).status == "failed"


def test_the_first_set_up_that_tells_is_kept(sandbox: Sandbox) -> None:
    """Those under which the code fails or shows the same are passed over; what tells already stays as it is."""
    frames = "import polars as pl\ns = pl.Series([1, 2])\n"
    programs = [
        Written("n = 0\n", "result = 6 // (n + 1)"), Written("n = 1\n", "result = 0 * n"),
        Written(frames, "result = s.to_list()"), Written("n = 1\n", "result = nothing"),
    ]  # fmt: skip
    found = tried(sandbox, programs, lambda setup: iter([setup.replace("n = 0", "n = -1"), f"{setup}n = 2"]))
    assert found[0] == (programs[0]._replace(setup_second="n = 0\nn = 2"), Outcome("value:6", "value:2"))
    assert [written.setup_second for written, _ in found[1:]] == ["", "", ""]
    assert [outcome.tells for _, outcome in found] == [True, False, True, False]


def test_a_date_in_a_set_up_is_moved_until_the_answer_moves(sandbox: Sandbox) -> None:
    """Month 13 does not exist: the sandbox finds that out."""
    preamble = "from datetime import date"
    written = Written(f"{preamble}\nd = date.fromisoformat('2020-12-30')\n", "result = d.month")
    found = tried(sandbox, [written], lambda setup: variants(setup, preamble))
    assert found[0][1] == Outcome("value:12", "value:11")
    assert "'2020-11-" in found[0][0].setup_second
