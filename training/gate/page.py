"""Results of `pointsman gate evaluate` in, one self-contained HTML page out."""

from pathlib import Path
from typing import Any

import numpy as np

from training.pages import BLUE, GREEN, INK, ORANGE, RED, Axes, canvas, named, panels, styled, svg, write_html

COLOURS = (BLUE, ORANGE, GREEN, RED)
FOR, AGAINST = ("in", "rescue"), ("near", "far", "loss")
BINS = 10
# In the order in which they are shown; those without a value anywhere are not.
COLUMNS = (
    "auroc_domain", "auroc_near", "auroc_execution", "aurc", "ece", "brier", "coverage", "false_accept",
    "false_accept_near", "rescued", "lost",
)  # fmt: skip
Row = dict[str, Any]


def write_page(path: Path, results: Row) -> None:
    """Write the page of a results.json."""
    with styled():
        figures = [
            ("Risk and coverage", "Left: of the queries taken in the order of the score, the share against the "
             "specialist. Right: stated probability against observed share, ten bins of equally many queries.",
             curves(results)),
            ("Stated probability by outcome", "Each query of the held third; the line is the threshold.",
             strips(results)),
            ("Rewordings and rivals", "Share with its 95 % interval.", shares(results["changes"])),
            ("Sources the gate never saw", "Accepted by a gate fitted and bounded without the source "
             "and without others of its origin.",
             shares(results["new_sources"])),
        ]  # fmt: skip
    shown = [figure for figure in figures if figure[2]]
    columns = [name for name in COLUMNS if any(name in found for found in results["policies"].values())]
    write_html(path, "gate/page.html", results=results, figures=shown, columns=columns)


def curves(results: Row) -> str:
    """Risk-coverage curves of the gate and the simple rules, and the gate's reliability."""
    figure, (left, right) = panels(2)
    for (name, curve), colour in zip(results["curves"].items(), COLOURS, strict=False):
        left.plot(curve["coverage"], curve["risk"], color=colour, linewidth=1.6, label=name)
    left.set_xlabel("coverage")
    left.set_ylabel("share against the specialist")
    left.legend(frameon=False)
    reliability(right, results["scores"])
    return svg(figure)


def reliability(axes: Axes, scores: list[Any]) -> None:
    """Stated against observed."""
    rows = [(score, outcome in FOR) for outcome, _, score in scores if outcome in FOR + AGAINST]
    stated, truth = np.array([score for score, _ in rows]), np.array([ours for _, ours in rows])
    bins = [part for part in np.array_split(np.argsort(stated), BINS) if len(part)]
    axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=":")
    axes.plot([stated[b].mean() for b in bins], [truth[b].mean() for b in bins], "o-", color=BLUE, linewidth=1.2)
    axes.set_xlabel("stated probability")
    axes.set_ylabel("share for the specialist")


def strips(results: Row) -> str:
    """Every query's probability, one line an outcome."""
    outcomes = list(dict.fromkeys(outcome for outcome, _, _ in results["scores"]))
    figure, axes = canvas(2 * len(outcomes))
    draw = np.random.default_rng(0)
    for line, outcome in enumerate(outcomes):
        values = np.array([score for kind, _, score in results["scores"] if kind == outcome])
        colour = GREEN if outcome in FOR else RED if outcome in AGAINST else INK
        axes.plot(values, line + draw.uniform(-0.3, 0.3, len(values)), ".", color=colour, markersize=3, alpha=0.6)
    axes.axvline(results["calibration"]["threshold"], color=INK, linewidth=1)
    named(axes, outcomes)
    axes.set_xlim(-0.01, 1.01)
    axes.set_xlabel("stated probability")
    return svg(figure)


def shares(found: Row) -> str:
    """Named shares with their intervals."""
    if not found:
        return ""
    figure, axes = canvas(len(found))
    for line, one in enumerate(found.values()):
        axes.plot([100 * one["low"], 100 * one["high"]], [line, line], color=BLUE, linewidth=2, alpha=0.5)
        axes.plot(100 * one["value"], line, "o", color=BLUE, markersize=5)
    named(axes, [f"{name} ({one['rows']})" for name, one in found.items()])
    axes.set_xlabel("%")
    return svg(figure)
