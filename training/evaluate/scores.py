"""Grades in, scores out: one record for each rule and measure, with everything that decided it beside it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

from pydantic import Field

from index.config import Settings
from training.evaluate.compare import Paired, Rate, holm, mean, paired, rate
from training.evaluate.config import Decoding
from training.evaluate.estimate import best_of, pass_at_k_of_items
from training.evaluate.grade import Graded
from training.evaluate.item import Item


class Change(Settings):
    """An item on which a run and its baseline differ, with the verdicts of both."""

    id: str
    baseline: str
    run: str


class Comparison(Settings):
    """A run against the baseline on the items that both could be graded on."""

    baseline: str
    result: Paired
    verdict: str
    p_holm: float = Field(description="p adjusted for the comparisons of the same group.")
    items: int
    gained: list[Change] = Field(default=[], description="Items that only the run passes, or passes more often.")
    lost: list[Change] = Field(default=[], description="Items that only the baseline passes, or passes more often.")


class Score(Settings):
    """One number: a benchmark under a condition and a decoding, by a rule, with its 95 % interval."""

    benchmark: str
    condition: str
    decoding: str
    rule: str
    measure: str = Field(description="Such as pass@1[greedy], or best-of-10, oracle[T=0.8,n=10].")
    category: str = Field(default="", description="Empty for the whole benchmark.")
    rate: Rate | None = Field(description="None where no item has enough samples: not a number.")
    unknown: int = Field(description="Items left out because too few of their samples could be graded.")
    comparison: Comparison | None = None
    contaminated: bool = Field(
        default=False, exclude_if=lambda value: not value,
        description="Whether the model was trained on evaluation items, as the stamp beside its adapter says.",
    )  # fmt: skip


def group(graded: Sequence[Graded]) -> dict[str, list[Graded]]:
    """Samples by item."""
    found: dict[str, list[Graded]] = {}
    for one in graded:
        found.setdefault(one.item, []).append(one)
    return found


def counts(samples: Mapping[str, list[Graded]], rule: str) -> dict[str, tuple[int, int]]:
    """(n, passed) of every item; samples that say nothing are not counted."""
    said = {item: [one.grade for one in many if one.grade.counts] for item, many in samples.items()}
    return {item: (len(grades), sum(grade.scores[rule] for grade in grades)) for item, grades in said.items()}


def score(
    names: Mapping[str, str], items: Sequence[Item], samples: Mapping[str, list[Graded]], rule: str, k: int
) -> Score:
    """pass@k over items; `names` are the score's benchmark, condition, decoding, measure and category."""
    found = counts(samples, rule)
    oracle = names["measure"].startswith("best-of")
    pairs = [found.get(item.id, (0, 0)) for item in items]
    values = best_of(pairs, k) if oracle else pass_at_k_of_items(pairs, k)
    known = {item.id: value for item, value, (n, _) in zip(items, values, pairs, strict=True) if not isnan(value) and n}
    clusters = {item.id: item.cluster for item in items}
    whole = all(value in (0, 1) for value in known.values())
    estimate = None
    if known:
        estimate = rate({i: bool(v) for i, v in known.items()}, clusters) if whole else mean(known, clusters)
    return Score.model_validate({**names, "rule": rule, "rate": estimate, "unknown": len(items) - len(known)})


def measures(decoding: Decoding) -> list[tuple[str, int]]:
    """(name, k) of every measure of a decoding; pass@1, which runs are compared by, comes first."""
    found = [(f"pass@{k}[{decoding.label}]", k) for k in sorted({1, *decoding.k})]
    if decoding.samples > 1:
        found.append((f"best-of-{decoding.samples}, oracle[{decoding.label}]", decoding.samples))
    return found


def compare(
    items: Sequence[Item], run: Mapping[str, list[Graded]], base: Mapping[str, list[Graded]], rule: str, baseline: str
) -> Comparison | None:
    """The run against the baseline by the share of samples that pass; None where no item was graded in both."""
    ours, theirs = counts(run, rule), counts(base, rule)
    common = [item for item in items if ours.get(item.id, (0, 0))[0] and theirs.get(item.id, (0, 0))[0]]
    if not common:
        return None
    mine, other = ({i.id: found[i.id][1] / found[i.id][0] for i in common} for found in (ours, theirs))
    result = paired(mine, other, {item.id: item.cluster for item in common})
    changes = [
        (mine[i.id] > other[i.id], Change(id=i.id, baseline=worded(base[i.id]), run=worded(run[i.id])))
        for i in common
        if mine[i.id] != other[i.id]
    ]
    return Comparison(
        baseline=baseline, result=result, verdict=result.verdict(), p_holm=result.p_value, items=len(common),
        gained=[change for up, change in changes if up], lost=[change for up, change in changes if not up],
    )  # fmt: skip


def worded(samples: Sequence[Graded]) -> str:
    """The verdicts on an item's samples: of one its detail too, of several how often each came."""
    if len(samples) == 1:
        grade, finish = samples[0].grade, samples[0].finish
        cut = ", cut at max_tokens" if finish == "length" else ""
        return f"{grade.status}{': ' + grade.detail if grade.detail else ''}{cut}"[:200]
    return ", ".join(f"{status} {count}" for status, count in Counter(s.grade.status for s in samples).most_common())


def adjusted(scores: list[Score]) -> list[Score]:
    """The scores with Holm's p over those of them that were compared."""
    compared = [s.comparison for s in scores if s.comparison is not None]
    new = iter(holm([comparison.result.p_value for comparison in compared]))
    return [
        s.model_copy(update={"comparison": corrected(s.comparison, next(new))}) if s.comparison is not None else s
        for s in scores
    ]


def corrected(comparison: Comparison, p_holm: float) -> Comparison:
    """The comparison with its p corrected, and the verdict that follows from it."""
    return comparison.model_copy(update={"p_holm": p_holm, "verdict": comparison.result.verdict(p_holm)})


def outcome_counts(samples: Mapping[str, list[Graded]]) -> dict[str, Any]:
    """How often each verdict came, how many answers were cut, and who answered."""
    every = [one for many in samples.values() for one in many]
    return {
        "verdicts": dict(Counter(one.grade.status for one in every).most_common()),
        "cut_at_max_tokens": sum(one.finish == "length" for one in every),
        "served": dict(Counter(one.model for one in every).most_common()),
    }  # fmt: skip
