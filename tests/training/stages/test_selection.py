from training.stages.config import SelectionSettings
from training.stages.selection import Sample, allowed, chosen, programs_of
from training.stages.yields import report


def sample(item: str, code: str, passed: bool = True, **facts: object) -> Sample:
    known = {"counts": True, "model": "sft", "decoding": "T=0.6,n=2"} | facts
    return Sample(item, f"Here:\n```python\n{code}\n```", passed, **known)  # type: ignore[arg-type]


def test_a_program_is_known_by_its_syntax_tree() -> None:
    """Layout, quotes and comments say nothing new; names and constants do. The shortest text stands for all."""
    same = [sample("a", "result = f( 'x' )  # so"), sample("a", 'result = f("x")'), sample("a", "result = f('x')")]
    other = [sample("a", "result = g('x')"), sample("a", "result = f('y')"), sample("a", "result = f('y')")]
    assert programs_of([*same, *other, sample("a", "def broken(:")]) == [
        'result = f("x")', "result = f('y')", "result = g('x')",
    ]  # fmt: skip


def test_hard_problems_give_more_programs_than_easy_ones() -> None:
    settings = SelectionSettings(per_problem=4)
    assert [allowed(rate, settings) for rate in (0.0, 0.25, 0.5, 0.9, 1.0)] == [4, 3, 2, 1, 1]
    hard = [sample("hard", f"result = {n}", passed=n < 3) for n in range(12)]
    easy = [sample("easy", f"result = {n}") for n in range(12)]
    found = chosen([*hard, *easy], settings)
    assert len(found.programs["hard"]) == 3 and len(found.programs["easy"]) == 1


def test_what_failed_or_is_unknown_is_not_learnt() -> None:
    """A verdict that says nothing counts neither as pass nor as sample."""
    rows = [sample("a", "result = 1", passed=False), sample("a", "result = 2"), sample("b", "result = 3", passed=False)]
    found = chosen([*rows, sample("a", "result = 4", passed=True, counts=False)], SelectionSettings())
    assert found.programs == {"a": ["result = 2"]}
    assert (found.tallies["a"].samples, found.tallies["a"].passed) == (2, 1)
    assert found.tallies["b"].rate == 0


def test_a_held_out_statement_that_the_model_found_by_itself_is_not_learnt() -> None:
    """Compared as syntax; the problem still counts as solved, and gives its other programs."""
    rows = [sample("a", "frame = g()\nresult = frame.unique( )"), sample("a", "result = f()"), sample("b", "x = h(1)")]
    found = chosen(rows, SelectionSettings(), {"frame.unique()", "h(1)"})
    assert found.programs == {"a": ["result = f()"]}
    assert (found.tallies["b"].passed, found.tallies["b"].kept) == (1, 0)


def test_the_report_says_what_was_solved_by_whom_and_how_variously() -> None:
    rows = [sample("a", "result = 1"), sample("a", "result = 1"), sample("b", "x", passed=False, model="base")]
    figures = report({"tasks": chosen(rows, SelectionSettings())})["tasks"]
    assert (figures["problems"], figures["samples"], figures["passed"], figures["distinct"]) == (2, 3, 2, 1)
    assert figures["distinct_share"] == 0.5 and figures["solved_never"] == 1 and figures["solved_always"] == 1
    assert figures["solved"]["value"] == 0.5 and figures["solved"]["low"] < 0.1
    assert figures["by_source"]["base, T=0.6,n=2"] == {"samples": 1, "passed": 0, "rate": 0.0}
    assert figures["problem"]["a"] == {"samples": 2, "passed": 2, "distinct": 1, "rows": 1}
