"""Who passed what: one line a question, for whoever learns from pairs of answers (the gate's labels).

    {"benchmark", "decoding", "rule", "id", "cluster", "question", "passed": {condition: [true, false or null, ...]},
     "logprobs": {condition: [[one a token of the answer, ...] or null, ...]}}

`question` is the user's message as asked, `passed` one entry a sample, null where nothing could be said of it;
`logprobs`, one entry a sample too, is null where they were not asked for.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from training.evaluate.answers import Question
from training.evaluate.grade import Graded
from training.evaluate.measure import Cell, questions_of

FILE = "outcomes.jsonl"


def write_outcomes(folder: Path, cells: Iterable[Cell]) -> None:
    """Write the file for all cells of a run, whole."""
    lines: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    for cell in cells:
        benchmark, decoding = cell.bench.settings.label, cell.way.decoding.label
        asked: dict[str, list[Question]] = {}
        for item, question in questions_of(cell.bench, cell.way):
            asked.setdefault(item.id, []).append(question)
        for item in cell.bench.items:
            rule, user = item.check.rules[0], asked[item.id][0].prompt.user
            line = lines.setdefault(
                (benchmark, decoding, item.id, user),
                {
                    "benchmark": benchmark, "decoding": decoding, "rule": rule, "id": item.id,
                    "cluster": item.cluster, "question": user, "passed": {}, "logprobs": {},
                },
            )  # fmt: skip
            label = cell.way.condition.label
            line["passed"][label] = [passed(one, rule) for one in cell.samples[item.id]]
            line["logprobs"][label] = [cell.answers[question.key].logprobs for question in asked[item.id]]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines.values())
    partial = folder / f"{FILE}.partial"
    partial.write_text(text, encoding="utf-8", errors="backslashreplace")
    partial.rename(folder / FILE)


def passed(one: Graded, rule: str) -> bool | None:
    """What is known of one sample by one rule."""
    return one.grade.scores.get(rule, False) if one.grade.counts else None
