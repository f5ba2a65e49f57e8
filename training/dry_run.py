"""`pointsman train STAGE CONFIG --dry-run`: what the stage would do, told before anything is trained or sampled."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from rich.console import Console
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from machine.cpu import free_gib
from training.config import RawSftConfig
from training.estimate import (
    CORES,
    MIB,
    NF4_PACE,
    SAMPLES_PER_S,
    TOKENS_PER_S,
    Base,
    Lengths,
    Work,
    base_of,
    disk_of,
    duration_s,
    lengths_of,
    memory_of,
    work_of,
)
from training.raw import RISK
from training.stages.prepared import Prepared, prepare

GIB = 1024 * MIB


@dataclass(frozen=True)
class Outlook:
    """What the checks look at."""

    prepared: Prepared
    tokenizer: PreTrainedTokenizerBase
    base: Base
    lengths: Lengths
    work: Work

    @property
    def memory(self) -> dict[str, int]:
        """Bytes at the longest batch."""
        return memory_of(self.base, self.prepared.sft, self.work.batch_tokens)


def main(stage: str, path: Path) -> None:
    """Tell what a stage would do."""
    console = Console(soft_wrap=True, highlight=False)
    prepared = prepare(stage, path)
    console.print(resolved(prepared), markup=False)
    base = base_of(prepared.model)
    if prepared.rows is None:
        console.print(sampling(prepared, base))
        return
    tokenizer = AutoTokenizer.from_pretrained(prepared.model)
    lengths = lengths_of(tokenizer, prepared.rows)
    outlook = Outlook(prepared, tokenizer, base, lengths, work_of(lengths, prepared.sft))
    for line in (*counted(outlook), *needed(outlook), *(check(outlook) for check in CHECKS)):
        console.print(line, markup=False)
    if isinstance(prepared.config, RawSftConfig):
        console.print(RISK, markup=False)
    console.print("nothing was trained; without --dry-run the same command goes on from here")


def resolved(prepared: Prepared) -> str:
    """The whole config, defaults included."""
    values = prepared.config.model_dump(mode="json")
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120)


def counted(outlook: Outlook) -> Iterator[str]:
    """Rows and tokens."""
    limit, lengths = outlook.prepared.sft.max_length_tokens, outlook.lengths
    fitting = lengths.within(limit)
    out = len(lengths.total_N) - len(fitting.total_N)
    middle, most = np.percentile(lengths.total_N, [50, 95]) if len(lengths.total_N) else (0, 0)
    yield (
        f"rows: {len(fitting.total_N)}, and {out} left out as longer than {limit} tokens; a row has {middle:.0f} "
        f"tokens at the middle, {most:.0f} at the 95th percentile, {lengths.total_N.max(initial=0)} at most"
    )
    yield (
        f"tokens: {fitting.prompt_N.sum()} of prompts, {fitting.completion_N.sum()} of completions, which are "
        f"{100 * fitting.loss_share:.0f} % and alone count in the loss"
    )


def needed(outlook: Outlook) -> Iterator[str]:
    """Steps, time, memory, disk, each with where its figure is from."""
    settings, work = outlook.prepared.sft, outlook.work
    pace = NF4_PACE if settings.quantise == "nf4" else 1.0
    seconds = duration_s(outlook.prepared.model, work.tokens) / pace
    cores = len(os.sched_getaffinity(0))
    yield f"steps: {work.steps} of {settings.batch_rows * settings.accumulate} rows or packs, {work.tokens} tokens"
    yield (
        f"time: about {minutes(seconds)} on this CPU: {TOKENS_PER_S} tokens/s were measured with the starter on "
        f"{CORES} cores, here are {cores} and {outlook.base.parameters / 1e6:.0f} M parameters; of a GPU none were"
    )
    parts = ", ".join(f"{name} {size / GIB:.1f}" for name, size in outlook.memory.items())
    yield (
        f"memory: about {sum(outlook.memory.values()) / GIB:.1f} GiB ({parts}) for a batch of {work.batch_tokens} "
        "tokens, by the formula of training/estimate.py"
    )
    yield f"disk: {disk_of(outlook.base, settings) / GIB:.2f} GiB for three checkpoints and the adapter"


def minutes(seconds: float) -> str:
    """A duration as people say it."""
    return f"{max(1, round(seconds / 60))} min" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} h"


def sampling(prepared: Prepared, base: Base) -> str:
    """What comes before there are rows."""
    pace = SAMPLES_PER_S * 494e6 / base.parameters * len(os.sched_getaffinity(0)) / CORES
    return (
        f"rows: none yet, they are chosen from {prepared.samples} samples; sampling takes about "
        f"{minutes(prepared.samples / pace)}: {SAMPLES_PER_S} samples/s of at most 200 tokens were measured with the "
        "starter on two cores, scaled by parameters and cores\n"
        "nothing was sampled; ask again once the run has rows.jsonl, and training is estimated too"
    )


def ends(outlook: Outlook) -> str:
    """Whether every completion ends with the token that ends an answer, without which the model learns not to stop."""
    rows = outlook.prepared.rows or []
    stop = outlook.tokenizer.eos_token
    rendered = (
        outlook.tokenizer.apply_chat_template(row["prompt"] + row["completion"], tokenize=False).rstrip()
        for row in rows
    )
    ended = sum(text.endswith(stop) for text in rendered)
    return verdict(ended == len(rows), f'{ended} of {len(rows)} rows end with "{stop}"')


def fits_memory(outlook: Outlook) -> str:
    """Whether the longest batch fits into the memory that is free now."""
    wanted, free = sum(outlook.memory.values()) / GIB, free_gib()
    cure = "lower batch_rows and raise accumulate" if outlook.prepared.sft.batch_rows > 1 else "lower max_length_tokens"
    return verdict(wanted <= free, f"{free:.1f} GiB of memory are free, {wanted:.1f} wanted", cure)


def fits_disk(outlook: Outlook) -> str:
    """Whether the checkpoints fit on the disk."""
    folder = next(one for one in (outlook.prepared.config.run, *outlook.prepared.config.run.parents) if one.is_dir())
    free, wanted = shutil.disk_usage(folder).free, disk_of(outlook.base, outlook.prepared.sft)
    return verdict(free >= wanted, f"{free / GIB:.1f} GiB of disk are free, {wanted / GIB:.2f} wanted", "make room")


def trains(outlook: Outlook) -> str:
    """Whether there is anything to train on."""
    return verdict(outlook.work.steps > 0, f"{outlook.work.steps} steps", "raise max_length_tokens")


def verdict(good: bool, told: str, cure: str = "correct the rows") -> str:
    """One line of a check."""
    return f"check: {told}: {'good' if good else f'not good, {cure}'}"


# The checks of a stage that need neither training nor a model; another one is another line.
CHECKS: tuple[Callable[[Outlook], str], ...] = (trains, ends, fits_memory, fits_disk)
