"""Results in, one self-contained HTML page out: figures as inline SVG, nothing loaded from anywhere."""

import io
from pathlib import Path
from typing import Any

import jinja2
import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

TEMPLATE = Path(__file__).with_name("page.html")
INK, MUTED = "#8a8f98", "#b9bec7"
COLOURS = {
    "passed": "#2f9e6e", "failed": "#d9803a", "error": "#c2504f", "timeout": "#7a67c4", "memory": "#5a83c9",
    "output_limit": "#a08650", "refused": "#9a5b8c", "infrastructure_error": "#9aa0a6",
}  # fmt: skip
STYLE = {
    "text.parse_math": False,  # names may hold dollar signs
    "font.family": "sans-serif", "font.size": 9, "axes.edgecolor": MUTED, "axes.labelcolor": INK, "text.color": INK,
    "xtick.color": INK, "ytick.color": INK, "svg.fonttype": "none",  "svg.hashsalt": "pointsman",
}  # fmt: skip
Row = dict[str, Any]


def write_page(path: Path, results: Row) -> None:
    """Write the page of a results.json."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters |= {"percent": percent, "signed": signed}
    whole = [row for row in results["scores"] if not row["category"]]
    with mpl.rc_context(STYLE):
        figures = [
            ("Pass rates", "Dot and line: rate with its 95 % interval. Diamond: the published figure.",
             rates(whole, results["config"])),
            ("Differences from the baseline", "An interval that touches 0 is within noise.", differences(whole)),
            ("Verdicts", "How answers ended, as shares of all samples.", verdicts(results["cells"])),
        ]  # fmt: skip
        categories = [row for row in results["scores"] if row["category"]]
        if categories:
            figures.insert(1, ("By category", "Rates with 95 % intervals.", rates(categories, {"benchmarks": []})))
    page = environment.from_string(TEMPLATE.read_text("utf-8"))
    html = page.render(results=results, figures=[figure for figure in figures if figure[2]], changed=changed(whole))
    partial = path.with_name(path.name + ".partial")
    partial.write_text(html, "utf-8")
    partial.replace(path)


def percent(value: float) -> str:
    """0.125 as 12.5 %."""
    return f"{100 * value:.1f} %"


def signed(value: float) -> str:
    """0.125 as +12.5."""
    return f"{100 * value:+.1f}"


def changed(scores: list[Row]) -> list[Row]:
    """Scores that differ from their baseline on some item."""
    return [row for row in scores if (c := row["comparison"]) and (c["gained"] or c["lost"])]


def name_of(row: Row) -> str:
    """A score's name on an axis."""
    rule = "" if row["rule"] == "passed" else f" {row['rule']}"
    place = f"{row['benchmark']} {row['category']}".strip()
    return f"{place}{rule} · {row['condition']} · {row['measure']}"


def canvas(lines: int) -> tuple[Figure, Axes]:
    """A figure with room for so many lines, named on the left."""
    figure = Figure(figsize=(9, 0.7 + 0.26 * lines), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_axisbelow(True)
    axes.grid(axis="x", color=MUTED, alpha=0.4, linewidth=0.6)
    figure.patch.set_alpha(0)
    axes.patch.set_alpha(0)
    return figure, axes


def named(axes: Axes, labels: list[str]) -> None:
    """Lines from the top down, with their names."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)


def svg(figure: Figure) -> str:
    """A figure as an element that stands in a page."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()[text.getvalue().index("<svg") :]


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
        axes.plot([100 * found["low"], 100 * found["high"]], [line, line], color="#3b6fd4", linewidth=2, alpha=0.5)
        axes.plot(100 * found["value"], line, "o", color="#3b6fd4", markersize=5)
        if row["benchmark"] in published:
            axes.plot(
                100 * published[row["benchmark"]], line, "D", color="none", markeredgecolor="#d9803a", markersize=6
            )
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
        colour = {"better": "#2f9e6e", "worse": "#c2504f"}.get(verdict, INK)
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
