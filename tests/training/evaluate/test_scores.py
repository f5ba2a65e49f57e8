from training.evaluate.benchmarks.gsm8k import NumberCheck
from training.evaluate.config import Decoding
from training.evaluate.grade import Graded
from training.evaluate.item import Grade, Item
from training.evaluate.scores import Score, adjusted, compare, group, measures, outcome_counts, score

NAMES = {"benchmark": "b", "condition": "c", "decoding": "greedy", "measure": "pass@1[greedy]", "category": ""}


def items(count: int) -> list[Item]:
    """Items named by number, each its own cluster."""
    return [Item(str(n), "?", NumberCheck("1"), "MIT", "test", cluster=str(n)) for n in range(count)]


def samples(*verdicts: str) -> list[Graded]:
    """A text an item, a letter a sample: x passed, . failed, ? nothing could be said."""
    return [
        Graded(str(item), n, Grade({"passed": letter == "x"}, letter, "", letter != "?"), "stop", "base", 1)
        for item, text in enumerate(verdicts)
        for n, letter in enumerate(text)
    ]


def test_what_could_not_be_graded_is_unknown_and_never_wrong() -> None:
    """Two of three known items pass."""
    one = score(NAMES, items(4), group(samples("x", "x", ".", "?")), "passed", 1)
    assert one.rate is not None
    assert (one.rate.passed, one.rate.total, one.unknown) == (2, 3, 1)


def test_a_benchmark_of_which_nothing_is_known_has_no_rate() -> None:
    """Not zero."""
    one = score(NAMES, items(2), group(samples("?", "?")), "passed", 1)
    assert (one.rate, one.unknown) == (None, 2)


def test_pass_at_k_leaves_out_items_with_fewer_samples_than_k() -> None:
    """Their estimate is not a number; the others' is."""
    one = score(NAMES | {"measure": "pass@3"}, items(2), group(samples("x..", "x.?")), "passed", 3)
    assert one.rate is not None
    assert (one.rate.value, one.rate.total, one.unknown) == (1, 1, 1)


def test_sampled_passes_are_estimated_by_item() -> None:
    """pass@1 is the share of samples, pass@2 by the formula, best-of-4 what any sample reaches."""
    graded = group(samples("xx..", "....", "x..."))
    values = {}
    for name, k in measures(Decoding(temperature=1, samples=4, k=[2])):
        found = score(NAMES | {"measure": name}, items(3), graded, "passed", k).rate
        assert found is not None
        values[name.split("[")[0]] = round(found.value, 4)
    assert values == {"pass@1": 0.25, "pass@2": round((5 / 6 + 0 + 1 / 2) / 3, 4), "best-of-4, oracle": 0.6667}


def test_runs_are_compared_on_what_both_know_item_by_item() -> None:
    """Item 3 is unknown in one run, so it counts in neither; changes carry both verdicts."""
    run, base = group(samples("x", ".", "x", "x")), group(samples(".", "x", "x", "?"))
    found = compare(items(4), run, base, "passed", "base")
    assert found is not None
    assert (found.items, found.result.gained, found.result.lost, found.verdict) == (3, 1, 1, "within noise")
    assert [(change.id, change.baseline, change.run) for change in found.gained] == [("0", ".", "x")]
    assert [change.id for change in found.lost] == ["1"]
    assert compare(items(1), group(samples("?")), group(samples("x")), "passed", "base") is None


def test_p_values_are_corrected_over_what_was_compared() -> None:
    """Scores without a comparison are no test."""
    base = group(samples(*"." * 12))
    run = group(samples(*"x" * 12))
    found = compare(items(12), run, base, "passed", "base")
    plain = score(NAMES, items(12), run, "passed", 1)
    compared = plain.model_copy(update={"comparison": found})
    first, second, third = adjusted([plain, compared, compared])
    assert isinstance(first, Score) and first.comparison is None
    assert second.comparison is not None and third.comparison is not None and found is not None
    assert second.comparison.p_holm == third.comparison.p_holm == 2 * found.result.p_value


def test_verdicts_models_and_cut_answers_are_counted() -> None:
    """Over all samples."""
    counted = outcome_counts(group(samples("x.", "??")))
    assert counted == {"verdicts": {"?": 2, "x": 1, ".": 1}, "cut_at_max_tokens": 0, "served": {"base": 4}}


def test_an_oracle_says_nothing_of_an_item_half_unknown() -> None:
    """A sample that could not be graded may have passed."""
    one = score(NAMES | {"measure": "best-of-3, oracle"}, items(3), group(samples("..?", "x.?", "...")), "passed", 3)
    assert one.rate is not None
    assert (one.rate.passed, one.rate.total, one.unknown) == (1, 2, 1)
