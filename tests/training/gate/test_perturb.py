import random

from training.gate.perturb import SAME_MEANING, other_api, paraphrase, rename, typo

TASK = (
    "Using Polars: Sort the frame by a column. Nulls come last.\n\nGiven this code:\n```python\nframe = pl.DataFrame("
    '{"frame": [1, 2]})\nother = frame.head()\n```\n\nWrite Python code that assigns the answer to `result`.'
)


def test_a_typo_exchanges_letters_of_prose_and_leaves_code_alone() -> None:
    """The same letters, another order; inside code marks nothing changes."""
    text = typo(TASK, random.Random(0))
    assert text != TASK and sorted(text) == sorted(TASK)
    assert text.split("```")[1] == TASK.split("```")[1] and "`result`" in text


def test_a_paraphrase_keeps_the_content_and_the_place() -> None:
    """For each form of query."""
    for seed in range(8):
        said = paraphrase("How do I do this in polars: sort by two columns? Show a short example.", random.Random(seed))
        assert "sort by two columns" in said and "polars" in said and not said.startswith("How do I do this")
        task = paraphrase(TASK, random.Random(seed))
        assert (
            "Sort the frame by a column" in task and "Polars" in task and task.split("```")[1] == TASK.split("```")[1]
        )
        assert "recursive function" in paraphrase("Write a recursive function.", random.Random(seed))
        assert "pl.len()" in paraphrase("pl.len() as a share", random.Random(seed))


def test_variables_are_renamed_in_code_and_nowhere_else() -> None:
    """Neither attributes and strings' neighbours outside code, nor the name that a task asks for."""
    text = rename(TASK, random.Random(0))
    assert "frame = pl" not in text and "other = " not in text and "Sort the frame by" in text
    assert "`result`" in text and "pl.DataFrame" in text
    assert rename("No code here.", random.Random(0)) == "No code here."


def test_another_library_is_asked_about_by_its_names() -> None:
    """Where the query names none, the rival is named."""
    exchange = other_api(["polars", "pl"], ["pandas", "pd"])
    assert exchange("Polars: use pl.col", random.Random(0)) == "pandas: use pd.col"
    assert exchange("Explode a list column.", random.Random(0)) == "Explode a list column. (in pandas)"


def test_a_seed_says_it_the_same_way_again() -> None:
    for perturb in SAME_MEANING.values():
        assert perturb(TASK, random.Random(3)) == perturb(TASK, random.Random(3))
