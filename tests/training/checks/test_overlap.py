"""What training has seen is found by id, words, runs of words and check; what only looks alike is not."""

from dataclasses import asdict, replace

import pytest

from training.checks.overlap import Text, overlap, refuse, texts_of
from training.errors import StageError
from training.evaluate.benchmarks.catalogue import BENCHMARKS
from training.evaluate.benchmarks.doctests import task_item
from training.evaluate.item import Item
from training.rows import chat_row
from training.tasks import Task

LONG = "Write a function that takes the readings of every station and returns the highest one of each day in order"


def mbpp(benchmark: str, id_: str | int, text: str, test: str = "assert top([1]) == 1") -> Item:
    """An item of MBPP in one of its editions."""
    row = {"task_id": id_, "text": text, "code": "def top(a):\n    return a[0]\n", "test_list": [test], "test": ""}
    return BENCHMARKS[benchmark].item('"file" line 1', row)


def kinds(texts: list[Text], *items: Item) -> list[str]:
    """The kinds of hits of a set."""
    return [hit.kind for hit in overlap(texts, "set", items)]


def test_the_same_item_is_known_in_another_edition() -> None:
    """MBPP+ words its prompts anew, and keeps the numbers."""
    problem = texts_of([], [mbpp("mbpp", 601, "Find the longest chain.", "assert top([1]) == 1")])
    problem = [replace(one, question="", answer="") for one in problem]
    asked = mbpp("mbpp+", "Mbpp/601", LONG, "assert top([7]) == 7")
    assert kinds(problem, replace(asked, prompt="Another wording.")) == ["id"]
    assert kinds(problem, replace(asked, id="Mbpp/602")) == []


def test_the_same_question_is_known_by_its_words() -> None:
    """Case, space and punctuation aside, in a row of training."""
    rows = [chat_row([{"role": "user", "content": "  find the LONGEST chain, of pairs!"}], "x = 1")]
    item = replace(mbpp("mbpp", 1, "x"), prompt="Find the longest chain of pairs.")
    assert kinds(texts_of(rows, []), item) == ["text"]


def test_most_of_a_question_within_a_longer_one_is_a_hit_and_a_little_of_it_is_none() -> None:
    """A stem that many questions share proves nothing."""
    item = replace(mbpp("mbpp", 1, "x"), prompt=LONG)
    inside = [chat_row([{"role": "user", "content": f"Hello. {LONG}, please."}], "x = 1")]
    assert kinds(texts_of(inside, []), item) == ["13-gram"]
    stem = " ".join(LONG.split()[:14])
    little = [chat_row([{"role": "user", "content": f"{stem} and nothing else of it at all"}], "x = 1")]
    assert kinds(texts_of(little, []), item) == []


def test_a_reference_in_a_training_answer_is_a_hit() -> None:
    """Raw files hold solutions without their questions."""
    code = "def total(rows):\n" + "".join(f"    a{n} = rows[{n}] * {n}\n" for n in range(9)) + "    return a1 + a2\n"
    item = replace(mbpp("mbpp", 1, "x"), reference=f"```python\n{code}```")
    assert kinds(texts_of([chat_row([{"role": "user", "content": "Go on."}], code)], []), item) == ["13-gram"]


def test_the_words_of_a_template_are_no_hit() -> None:
    """Every question of a set holds them."""
    template = "Answer with one block of Python code that assigns what is wanted to the name result and nothing more."
    items = [replace(mbpp("mbpp", n, "x"), prompt=f"{template} {n}", cluster=str(n)) for n in range(9)]
    rows = [chat_row([{"role": "user", "content": template}], "x = 1")]
    assert kinds(texts_of(rows, []), *items) == []


def test_a_task_with_the_same_outcomes_is_a_hit_whatever_its_answer(tasks: list[Task]) -> None:
    """Where `mean` and `median` of an example agree, an answer learnt for one passes for the other."""
    task = next(one for one in tasks if one.outcome.tells or one.expected)
    held = replace(task, id="statistics:other/0", instruction="Another question.", reference="result = other()\n")
    item, problem = (task_item("x", asdict(one)) for one in (held, task))
    assert kinds(texts_of([], [problem]), item) == ["check"]


def test_one_shared_assertion_is_a_hit() -> None:
    """It names the function, and so the problem."""
    problem = texts_of([], [mbpp("mbpp", 1, "One thing.", "assert top([3, 1]) == 3")])
    asked = mbpp("mbpp+", "Mbpp/2", "Quite another thing.", "assert top( [3,1] )==3")
    assert [hit.shared for hit in overlap(problem, "set", [asked]) if hit.kind == "check"] == [
        "assert top([3, 1]) == 3"
    ]


def test_the_refusal_names_hits_count_and_cure() -> None:
    """What, the value in quotes, the cure."""
    item = mbpp("mbpp", 7, LONG)
    hits = overlap(texts_of([], [item]), "mbpp-test", [item])
    with pytest.raises(StageError, match=r'1 evaluation items .*mbpp-test 7 by id in problem "7".*allow_contaminated'):
        refuse(hits)
    refuse([])


def test_what_a_question_gives_in_a_block_does_not_hide_its_prose() -> None:
    """Its own data between two sentences that were trained on; and data alone that many examples share is no hit."""
    block = "```python\ndf = table(a=[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])\n```"
    item = replace(mbpp("mbpp", 1, "x"), prompt=f"{LONG}\n\nGiven:\n{block}\n\nShow it.")
    asked = [chat_row([{"role": "user", "content": f"{LONG}\n```python\nother = 1\n```\n"}], "x = 1")]
    assert kinds(texts_of(asked, []), item) == ["13-gram"]
    given = [chat_row([{"role": "user", "content": f"What is this?\n{block}"}], "x = 1")]
    assert kinds(texts_of(given, []), item) == []
