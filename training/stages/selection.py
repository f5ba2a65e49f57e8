"""Graded samples in, the programs to learn from out: each once by its syntax tree, few a problem, more of hard ones."""

import ast
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from training.extract import first_block
from training.stages.config import SelectionSettings
from training.tasks import normalised


@dataclass(frozen=True)
class Sample:
    """One answer and its verdict; `counts` is False where nothing could be said of it."""

    item: str
    text: str
    passed: bool
    counts: bool
    model: str
    decoding: str


@dataclass(frozen=True)
class Tally:
    """What the samples of one problem came to."""

    samples: int
    passed: int
    distinct: int
    kept: int

    @property
    def rate(self) -> float:
        """The share of samples that passed."""
        return self.passed / self.samples if self.samples else 0.0


@dataclass(frozen=True)
class Selection:
    """The programs chosen and the tally, by problem; and (samples, passed) by who answered and how."""

    programs: Mapping[str, list[str]]
    tallies: Mapping[str, Tally]
    sources: Mapping[str, tuple[int, int]]


def chosen(samples: Iterable[Sample], settings: SelectionSettings, held_out: Set[str] = frozenset()) -> Selection:
    """Of each problem the programs that passed, those written most often first, as many as its difficulty allows.

    Samples of which nothing is known count nowhere. A program with one of the statements `held_out` is not chosen: the
    model found it by itself, but learning it would make a held-out task one of training.
    """
    by_item: dict[str, list[Sample]] = {}
    sources: Counter[str] = Counter()
    passes: Counter[str] = Counter()
    for sample in samples:
        if sample.counts:
            by_item.setdefault(sample.item, []).append(sample)
            sources[f"{sample.model}, {sample.decoding}"] += 1
            passes[f"{sample.model}, {sample.decoding}"] += sample.passed
    programs, tallies = {}, {}
    for item, mine in by_item.items():
        passed = [sample for sample in mine if sample.passed]
        distinct = programs_of(passed)
        usable = [code for code in distinct if held_out.isdisjoint(normalised(code))]
        kept = usable[: allowed(len(passed) / len(mine), settings)]
        tallies[item] = Tally(len(mine), len(passed), len(distinct), len(kept))
        if kept:
            programs[item] = kept
    return Selection(programs, tallies, {name: (count, passes[name]) for name, count in sources.items()})


def programs_of(samples: Iterable[Sample]) -> list[str]:
    """The distinct programs of some answers, the most frequent first; of equal ones the shortest text.

    Comments, layout and quotes make no difference; what does not parse is left out.
    """
    written: dict[str, list[str]] = {}
    for sample in samples:
        code = first_block(sample.text).strip()
        try:
            written.setdefault(ast.dump(ast.parse(code)), []).append(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    ordered = sorted(written.values(), key=lambda codes: -len(codes))
    return [min(codes, key=lambda code: (len(code), code)) for codes in ordered]


def allowed(rate: float, settings: SelectionSettings) -> int:
    """How many programs a problem may give: `per_problem` where it is hardly ever solved, one where it always is."""
    return max(1, round(settings.per_problem * (1 - rate)))
