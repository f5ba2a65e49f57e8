"""Results of an evaluation in, one self-contained HTML page out."""

from pathlib import Path
from typing import Any

from training.pages import BLUE, GREEN, INK, ORANGE, RED, canvas, named, styled, svg, write_html

COLOURS = {
    "passed": GREEN, "failed": ORANGE, "error": RED, "timeout": "#7a67c4", "memory": "#5a83c9",
    "output_limit": "#a08650", "refused": "#9a5b8c", "infrastructure_error": "#9aa0a6",
}  # fmt: skip
Row = dict[str, Any]


def write_page(path: Path, results: Row) -> None:
    """Write the page of a results.json."""
    whole = [row for row in results["scores"] if not row["category"]]
    with styled():
        figures = [
            ("Pass rates", "Dot and line: rate with its 95 % interval. Diamond: the published figure.",
             rates(whole, results["config"])),
            ("Differences from the baseline", "An interval that touches 0 is within noise.", differences(whole)),
            ("Verdicts", "How answers ended, as shares of all samples.", verdicts(results["cells"])),
        ]  # fmt: skip
        categories = [row for row in results["scores"] if row["category"]]
        if categories:
            figures.insert(1, ("By category", "Rates with 95 % intervals.", rates(categories, {"benchmarks": []})))
    shown = [figure for figure in figures if figure[2]]
    write_html(path, "evaluate/page.html", results=results, figures=shown, changed=changed(whole))


def changed(scores: list[Row]) -> list[Row]:
    """Scores that differ from their baseline on some item."""
    return [row for row in scores if (c := row["comparison"]) and (c["gained"] or c["lost"])]


def name_of(row: Row) -> str:
    """A score's name on an axis."""
    rule = "" if row["rule"] == "passed" else f" {row['rule']}"
    place = f"{row['benchmark']} {row['category']}".strip()
    return f"{place}{rule} · {row['condition']} · {row['measure']}"


def rates(scores: list[Row], config: Row) -> str:
    """Every rate with its interval, and the published figure where there is one."""
    scores = [row for row in scores if row["rate"]]
    if not scores:
        return ""
    published = {
        b.get("name") or b["benchmark"]: b["published"]["value"] for b in config["benchmarks"] if b.get("published")
    }
    figure, axes = canvas(len(scores))
    for line, row in enumerate(scores):
        found = row["rate"]
        axes.plot([100 * found["low"], 100 * found["high"]], [line, line], color=BLUE, linewidth=2, alpha=0.5)
        axes.plot(100 * found["value"], line, "o", color=BLUE, markersize=5)
        if row["benchmark"] in published:
            axes.plot(100 * published[row["benchmark"]], line, "D", color="none", markeredgecolor=ORANGE, markersize=6)
    named(axes, [name_of(row) for row in scores])
    axes.set_xlim(0, 100)
    axes.set_xlabel("passed, %")
    return svg(figure)


def differences(scores: list[Row]) -> str:
    """Every difference from the baseline with its interval."""
    scores = [row for row in scores if row["comparison"]]
    if not scores:
        return ""
    figure, axes = canvas(len(scores))
    axes.axvline(0, color=INK, linewidth=1)
    for line, row in enumerate(scores):
        found, verdict = row["comparison"]["result"], row["comparison"]["verdict"]
        colour = {"better": GREEN, "worse": RED}.get(verdict, INK)
        axes.plot([100 * found["low"], 100 * found["high"]], [line, line], color=colour, linewidth=2, alpha=0.6)
        axes.plot(100 * found["difference"], line, "o", color=colour, markersize=5)
    named(axes, [name_of(row) for row in scores])
    axes.set_xlabel("difference from the baseline, points")
    return svg(figure)


def verdicts(cells: list[Row]) -> str:
    """How the samples of each cell ended."""
    figure, axes = canvas(len(cells) + 1)
    shown = [status for status in COLOURS if any(status in cell["verdicts"] for cell in cells)]
    for status in shown:
        shares = [share(cell, status) for cell in cells]
        before = [sum(share(cell, s) for s in shown[: shown.index(status)]) for cell in cells]
        axes.barh(range(len(cells)), shares, left=before, color=COLOURS[status], height=0.6, label=status)
    named(axes, [f"{cell['benchmark']} · {cell['condition']} · {cell['decoding_label']}" for cell in cells])
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of samples")
    figure.legend(loc="outside upper center", ncols=len(shown), frameon=False)
    return svg(figure)


def share(cell: Row, status: str) -> float:
    """A verdict's share of a cell's samples, in per cent."""
    return 100 * cell["verdicts"].get(status, 0) / sum(cell["verdicts"].values())
