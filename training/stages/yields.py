"""What sampling gave: how many problems were solved at all, by how many different programs, and by whom."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.table import Table

from index.scores import proportion
from training.stages.selection import Selection

# Under this share of distinct programs among those that pass, more samples say the same again.
FEW_DISTINCT = 0.5


def report(selections: Mapping[str, Selection]) -> dict[str, Any]:
    """Figures of each source of problems, with the tally of every problem."""
    return {name: figures(one) for name, one in selections.items()}


def figures(selection: Selection) -> dict[str, Any]:
    """Of one source."""
    tallies = selection.tallies
    solved = np.array([tally.passed > 0 for tally in tallies.values()])
    passed = sum(tally.passed for tally in tallies.values())
    distinct = sum(tally.distinct for tally in tallies.values())
    return {
        "problems": len(tallies), "solved": proportion(solved).model_dump() if len(solved) else None,
        "samples": sum(tally.samples for tally in tallies.values()), "passed": passed, "distinct": distinct,
        "distinct_share": round(distinct / passed, 4) if passed else None,
        "rows": sum(tally.kept for tally in tallies.values()),
        "solved_never": sum(tally.passed == 0 for tally in tallies.values()),
        "solved_always": sum(tally.passed == tally.samples for tally in tallies.values()),
        "by_source": {
            name: {"samples": samples, "passed": passes, "rate": round(passes / samples, 4)}
            for name, (samples, passes) in selection.sources.items()
        },
        "problem": {
            item: {"samples": tally.samples, "passed": tally.passed, "distinct": tally.distinct, "rows": tally.kept}
            for item, tally in tallies.items()
        },
    }  # fmt: skip


def table(found: Mapping[str, Any]) -> Table:
    """The report on the terminal."""
    shown = Table("problems", "count", "solved, % (95 %)", "samples", "passed", "distinct programs", "rows")
    for name, one in found.items():
        solved = one["solved"]
        share = (
            ""
            if solved is None
            else f"{100 * solved['value']:.1f} ({100 * solved['low']:.1f} to {100 * solved['high']:.1f})"
        )
        few = one["distinct_share"] is not None and one["distinct_share"] < FEW_DISTINCT
        distinct = f"{one['distinct']}{' (few)' if few else ''}"
        shown.add_row(
            name, str(one["problems"]), share, str(one["samples"]), str(one["passed"]), distinct, str(one["rows"])
        )
        for source, made in one["by_source"].items():
            shown.add_row(f"  {source}", "", "", str(made["samples"]), str(made["passed"]), "", "")
    return shown
