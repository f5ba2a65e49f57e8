"""`pointsman train STAGE CONFIG --suggest`: settings for these rows on this base, as lines for its config.

Each with its reason and where that is from. What is only a habit says "rule of thumb": nothing here was swept, and a
short run of two values beside each other is worth more than any of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, log2
from pathlib import Path
from textwrap import fill

import numpy as np
from rich.console import Console
from transformers import AutoTokenizer

from machine.cpu import free_gib
from training.config import SftSettings
from training.estimate import Base, Lengths, base_of, lengths_of, memory_of, work_of
from training.stages.prepared import Prepared, prepare

GIB = 1024**3
UPDATES = 250
ROWS_LEAST, ROWS_MOST = 4, 32
RANKS = (16, 32, 64, 128, 256)
MEMORY_SHARE = 0.8


@dataclass(frozen=True)
class Suggestion:
    """One line of a config and what speaks for it."""

    key: str
    value: float | int
    reason: str


def main(stage: str, path: Path) -> None:
    """Print the suggestions."""
    prepared = prepare(stage, path)
    base = base_of(prepared.model)
    lengths = None
    if prepared.rows:
        lengths = lengths_of(AutoTokenizer.from_pretrained(prepared.model), prepared.rows)
    text = as_yaml(path, list(suggestions(prepared, base, lengths)))
    Console(soft_wrap=True, highlight=False).print(text, markup=False)


def as_yaml(path: Path, found: list[Suggestion]) -> str:
    """Lines that may stand in a config, the reason above each."""
    lines = [f"# for {path}", "sft:"]
    for one in found:
        lines += [fill(one.reason, 112, initial_indent="  # ", subsequent_indent="  # "), f"  {one.key}: {one.value}"]
    return "\n".join(lines)


def suggestions(prepared: Prepared, base: Base, lengths: Lengths | None) -> Iterator[Suggestion]:
    """All of them; without rows those alone that need none."""
    yield learning_rate(prepared, base)
    if lengths is None:
        why = "rule of thumb: there are no rows yet to count; ask again once the run has rows.jsonl."
        yield Suggestion("rank", prepared.sft.rank, f"as it is; {why}")
        return
    limit = length(lengths)
    yield limit
    settings = prepared.sft.model_copy(update={"max_length_tokens": limit.value})
    rank = prepared.sft.rank if prepared.goes_on else rank_for(base, lengths.within(int(limit.value)))
    settings = settings.model_copy(update={"rank": rank})
    yield Suggestion("rank", rank, rank_reason(prepared, base, lengths))
    if not prepared.goes_on:
        yield Suggestion("alpha", 2 * rank, "rule of thumb: twice the rank, as the shipped configs have it.")
    batch, accumulate, reason = rows_an_update(base, lengths, settings)
    yield Suggestion("batch_rows", batch, reason)
    yield Suggestion("accumulate", accumulate, f"so that {batch} rows at once make {batch * accumulate} an update.")
    settings = settings.model_copy(update={"batch_rows": batch, "accumulate": accumulate})
    yield warmup(work_of(lengths, settings).steps)


def learning_rate(prepared: Prepared, base: Base) -> Suggestion:
    """By the size of the base, and by what the stage is for."""
    if prepared.stage == "raw_sft":
        why = (
            "rule of thumb: low, because what an instruction model loses by raw files grows with it; no sweep was made."
        )
        return Suggestion("learning_rate", 5e-5, why)
    size = base.parameters
    value = 4e-4 if size < 1.5e9 else 2e-4 if size < 20e9 else 1e-4
    source = (
        "rule of thumb: small bases bear more; configs/training/polars-sft.yaml trained the starter at 4e-4, once"
        if size < 1.5e9
        else "QLoRA (arXiv 2305.14314, appendix B) found 2e-4 at 7 and 13 billion parameters and 1e-4 at 33 and 65"
    )
    if prepared.goes_on:
        value, source = value / 4, f"{source}; a quarter of it, since an adapter goes on (rule of thumb)"
    return Suggestion("learning_rate", value, f"{source}. This base has {size / 1e9:.2f} billion parameters.")


def length(lengths: Lengths) -> Suggestion:
    """The 95th percentile, rounded up."""
    total_N = lengths.total_N
    value = 16 * ceil(np.percentile(total_N, 95) / 16)
    out = int((total_N > value).sum())
    reason = (
        f"evidence, these rows: 95 % have at most {np.percentile(total_N, 95):.0f} tokens, the longest "
        f"{total_N.max()}; {out} of {len(total_N)} are left out. The longest batch decides memory; raise it where long "
        "rows matter."
    )
    return Suggestion("max_length_tokens", value, reason)


def rank_for(base: Base, lengths: Lengths) -> int:
    """The least rank whose parameters hold the answers, two bits a parameter and one bit a token."""
    bits = float(lengths.completion_N.sum())
    return next((rank for rank in RANKS if 2 * base.adapter_parameters(rank) >= bits), RANKS[-1])


def rank_reason(prepared: Prepared, base: Base, lengths: Lengths) -> str:
    """Why this rank."""
    if prepared.goes_on:
        return "the adapter that goes on has it; another cannot be given."
    bits = lengths.completion_N.sum()
    return (
        f"evidence: at rank 16 an adapter has {base.adapter_parameters(16) / 1e6:.1f} M parameters, two bits each, for "
        f"{bits / 1e6:.2f} M tokens of answers, about one bit each (LoRA Without Regret, Schulman et al., 2025); QLoRA "
        "found no difference between ranks with adapters on all layers. Rule of thumb: not under 16."
    )


def rows_an_update(base: Base, lengths: Lengths, settings: SftSettings) -> tuple[int, int, str]:
    """Rows computed at once, batches to an update, and why."""
    rows = len(lengths.within(settings.max_length_tokens).total_N) * settings.epochs
    wanted = 2 ** round(log2(max(1.0, rows / UPDATES)))
    update = min(ROWS_MOST, max(ROWS_LEAST, wanted))
    free = free_gib() * GIB * MEMORY_SHARE
    fitting = [n for n in (4, 2, 1) if need(base, lengths, settings, n) <= free]
    batch = min(fitting[0] if fitting else 1, update)
    memory = need(base, lengths, settings, batch) / GIB
    reason = (
        f"rule of thumb: about {UPDATES} updates, of {ROWS_LEAST} to {ROWS_MOST} rows, are {update} rows an update of "
        f"{rows:.0f}; larger ones cost LoRA more than full training (LoRA Without Regret). {batch} at once need about "
        f"{memory:.1f} GiB of the {free_gib():.1f} that are free."
    )
    return batch, update // batch, reason


def need(base: Base, lengths: Lengths, settings: SftSettings, batch: int) -> int:
    """Bytes for so many rows at once."""
    settings = settings.model_copy(update={"batch_rows": batch})
    return sum(memory_of(base, settings, work_of(lengths, settings).batch_tokens).values())


def warmup(steps: int) -> Suggestion:
    """A twentieth of the steps."""
    value = min(100, max(2, round(0.05 * steps)))
    return Suggestion("warmup_steps", value, f"rule of thumb: a twentieth of {steps} steps, and 2 to 100.")
