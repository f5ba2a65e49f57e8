"""All gates between a stage's rows and its first step."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from index.adapter import BaseFacts, base_facts
from index.bundle import read_manifest
from training.checks.adapter import check_rank, check_start
from training.checks.checkpoints import check_checkpoints, check_space, parameters
from training.checks.contamination import hits_of, write_stamp
from training.checks.overlap import Hit, overlap, refuse, texts_of
from training.checks.rows import check_lengths, check_rows
from training.checks.template import endings, hash_of, rendered, same_template
from training.checks.verdicts import Gate, pass_gates
from training.config import SftSettings
from training.evaluate.config import BenchmarkSettings
from training.evaluate.item import Item
from training.evaluate.load import fingerprint, load_items
from training.rows import Row


@dataclass(frozen=True)
class Training:
    """What a stage is about to do: rows and the problems they come from, on a model, in a run folder.

    `start` is the run folder of the stage whose adapter goes on, `bundle` the folder of the specialist's bundle, which
    need not be there yet.
    """

    run: Path
    model: Path
    rows: Sequence[Row]
    problems: Sequence[Item]
    sft: SftSettings
    evaluations: Sequence[BenchmarkSettings] = ()
    allow_contaminated: bool = False
    start: Path | None = None
    bundle: Path | None = None

    @cached_property
    def base(self) -> BaseFacts:
        """Facts of the model folder."""
        return base_facts(self.model)

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """What renders the rows."""
        return AutoTokenizer.from_pretrained(self.model)

    @cached_property
    def rows_hash(self) -> str:
        """Hash of the rows."""
        return hashlib.sha256(json.dumps(list(self.rows)).encode()).hexdigest()

    def length(self, row: Row) -> int:
        """Tokens of a rendered row."""
        return len(rendered(self.tokenizer, [*row["prompt"], *row["completion"]]))


def check_training(training: Training) -> None:
    """Pass every gate; raises StageError naming all that refuse."""
    pass_gates(training.run, list(gates(training)))


def gates(training: Training) -> Iterator[Gate]:
    """The gates in order, the cheapest first; those of the disk only while something is left to train."""
    sft, rows = training.sft, training.rows
    yield Gate("rows", training.rows_hash, lambda: check_rows(rows))
    yield Gate("rank", sft.rank, lambda: check_rank(sft.rank))
    if training.start is not None:
        adapter = training.start / "adapter"
        yield Gate("start", None, lambda: check_start(adapter, training.base, sft.rank))
    if not (training.run / "result.json").is_file():
        count = parameters(training.base.shapes, sft.rank)
        yield Gate("checkpoints", None, lambda: check_checkpoints(training.run))
        yield Gate("space", None, lambda: check_space(training.run, count))
    rendering = [training.rows_hash, training.base.fingerprint, training.base.template_hash]
    yield Gate("template", None, lambda: same_template(templates(training)))
    yield Gate(
        "lengths", [*rendering, sft.max_length_tokens],
        lambda: check_lengths(rows, training.length, sft.max_length_tokens),
    )  # fmt: skip
    yield Gate("endings", rendering, lambda: endings(rows, training.tokenizer))
    yield from overlap_gate(training)


def templates(training: Training) -> dict[str, str]:
    """The hash of the template that renders rows, of the one that evaluation loads, and of the served one."""
    found = {"training": hash_of(training.tokenizer), "evaluation": training.base.template_hash}
    if training.bundle is not None and (training.bundle / "manifest.json").is_file():
        found["serving"] = read_manifest(training.bundle).template_hash
    return found


def overlap_gate(training: Training) -> Iterator[Gate]:
    """The gate of what evaluation will ask; none where nothing is named and the start is clean."""
    sets = [(settings.label, load_items(settings)) for settings in training.evaluations]
    earlier = hits_of(training.start) if training.start is not None else []
    if not sets and not earlier:
        write_stamp(training.run, [])
        return
    inputs = [
        training.rows_hash, fingerprint(list(training.problems)), [(name, fingerprint(items)) for name, items in sets],
        [str(hit) for hit in earlier], training.allow_contaminated,
    ]  # fmt: skip
    yield Gate("overlap", inputs, lambda: check_overlap(training, sets, earlier))


def check_overlap(
    training: Training, sets: Sequence[tuple[str, list[Item]]], earlier: Sequence[Hit]
) -> Mapping[str, Any]:
    """Figures of the overlap with every set, kept in overlap.json; refused, or stamped where that is allowed.

    What the start has been trained on counts as seen.
    """
    texts = texts_of(training.rows, training.problems)
    hits = [*earlier, *(hit for name, items in sets for hit in overlap(texts, name, items))]
    lines = [{"kind": hit.kind, "item": hit.item, "training": hit.training, "shared": hit.shared} for hit in hits]
    (training.run / "overlap.json").write_text(json.dumps(lines, indent=1) + "\n")
    write_stamp(training.run, hits if training.allow_contaminated else [])
    if not training.allow_contaminated:
        refuse(hits)
    asked = {name: len(items) for name, items in sets}
    return {"evaluation_items": asked, "texts": len(texts), "seen": len({hit.item for hit in hits})}
