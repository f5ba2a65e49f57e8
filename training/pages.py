"""Figures and pages of every report: SVG inline, nothing loaded from anywhere. The one file that imports matplotlib."""

import io
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import jinja2
import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["Axes", "Figure", "canvas", "named", "panels", "styled", "svg", "write_html"]

FOLDER = Path(__file__).parent
INK, MUTED = "#8a8f98", "#b9bec7"
BLUE, GREEN, RED, ORANGE = "#3b6fd4", "#2f9e6e", "#c2504f", "#d9803a"
STYLE = {
    "text.parse_math": False,  # names may hold dollar signs
    "font.family": "sans-serif", "font.size": 9, "axes.edgecolor": MUTED, "axes.labelcolor": INK, "text.color": INK,
    "xtick.color": INK, "ytick.color": INK, "svg.fonttype": "none",  "svg.hashsalt": "pointsman",
}  # fmt: skip


def styled() -> AbstractContextManager[None]:
    """Within it figures are drawn in the reports' style."""
    return mpl.rc_context(STYLE)


def canvas(lines: int) -> tuple[Figure, Axes]:
    """A figure with room for so many lines, named on the left."""
    figure = Figure(figsize=(9, 0.7 + 0.26 * lines), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    finish(figure, axes)
    axes.grid(axis="x", color=MUTED, alpha=0.4, linewidth=0.6)
    return figure, axes


def panels(count: int) -> tuple[Figure, list[Axes]]:
    """A figure of so many square plots side by side."""
    figure = Figure(figsize=(9, 9 / count + 0.3), layout="constrained")
    found = list(figure.subplots(1, count, squeeze=False)[0])
    for axes in found:
        axes.spines[["top", "right"]].set_visible(False)
        finish(figure, axes)
        axes.grid(color=MUTED, alpha=0.4, linewidth=0.6)
    return figure, found


def finish(figure: Figure, axes: Axes) -> None:
    """The page's own ground, the grid behind what is drawn."""
    axes.set_axisbelow(True)
    figure.patch.set_alpha(0)
    axes.patch.set_alpha(0)


def named(axes: Axes, labels: list[str]) -> None:
    """Lines from the top down, with their names."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)


def svg(figure: Figure) -> str:
    """A figure as an element that stands in a page."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()[text.getvalue().index("<svg") :]


def write_html(path: Path, template: str, **values: Any) -> None:
    """Write a page, whole; `template` is relative to training/ and extends page.html."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"percent": percent, "signed": signed}
    partial = path.with_name(path.name + ".partial")
    partial.write_text(environment.get_template(template).render(**values), "utf-8")
    partial.replace(path)


def percent(value: float) -> str:
    """0.125 as 12.5 %."""
    return f"{100 * value:.1f} %"


def signed(value: float) -> str:
    """0.125 as +12.5."""
    return f"{100 * value:+.1f}"
