"""Training rows in, what no training should meet out: broken lines, wrong roles, no answer, too many too long."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from training.errors import StageError
from training.extract import blocks
from training.rows import Row

ROLES = ("system", "user", "assistant")
# The trainer leaves longer rows out. A few are no harm; many mean that the limit or the evidence is not as meant.
TOO_LONG_SHARE = 0.1


def read_rows(path: Path) -> list[Row]:
    """Rows of a JSON-lines file; raises StageError naming file and line."""
    rows = []
    for number, line in enumerate(path.read_text().rstrip("\n").split("\n"), 1):
        try:
            row = json.loads(line)
            rows.append(Row(prompt=row["prompt"], completion=row["completion"]))
        except (ValueError, KeyError, TypeError) as error:
            raise StageError(
                f'"{path}" line {number} is no row ({type(error).__name__}: {error}): "{line[:60]}"; delete the file, '
                "and the stage makes it again"
            ) from error
    return rows


def check_rows(rows: Sequence[Row]) -> dict[str, Any]:
    """How many rows there are; raises StageError on none, and on the first that is no question with an answer."""
    if not rows:
        raise StageError('there are "0" training rows: correct the problems, or sample more answers')
    for number, row in enumerate(rows, 1):
        if mistake := mistake_in(row):
            raise StageError(f"training row {number} {mistake}: leave it out, or make the rows again")
    return {"rows": len(rows)}


def mistake_in(row: Row) -> str:
    """What is wrong with a row, in words; empty when nothing is."""
    for part in ("prompt", "completion"):
        messages = row.get(part)
        if not isinstance(messages, list) or not messages:
            return f'has no {part}, "{str(messages)[:40]}"'
        for message in messages:
            role, content = (message.get(key) for key in ("role", "content")) if isinstance(message, dict) else ("", "")
            if role not in ROLES or not isinstance(content, str):
                return f'has a message "{str(message)[:60]}" without one of the roles {", ".join(ROLES)} and a text'
    last, first = row["prompt"][-1]["role"], row["completion"][0]["role"]
    if last != "user" or first != "assistant":
        return f'goes from role "{last}" to "{first}", not from user to assistant'
    answer = row["completion"][0]["content"]
    fenced = answer.count("```") >= 2
    if not answer.strip() or (fenced and not any(block.strip() for block in blocks(answer))):
        return f'has no answer, "{answer.strip()[:40]}"'
    return ""


def check_lengths(rows: Sequence[Row], length: Callable[[Row], int], limit: int) -> dict[str, Any]:
    """How many rows are longer than the limit, in tokens; raises StageError where many are, or all."""
    lengths = [length(row) for row in rows]
    long = sum(tokens > limit for tokens in lengths)
    figures = {"rows": len(rows), "too_long": long, "longest_tokens": max(lengths), "limit_tokens": limit}
    if long > TOO_LONG_SHARE * len(rows):
        raise StageError(
            f'{long} of {len(rows)} rows are longer than max_length_tokens "{limit}", the longest {max(lengths)}, and '
            "would be left out: raise it, or make the rows shorter (less evidence, a smaller max_characters)"
        )
    return figures
