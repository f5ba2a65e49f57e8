"""Settings of the training stages, read from configs/training/."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, field_validator

from index.config import Settings, Share
from index.encoders.config import STARTER_QUICK, EncoderConfig
from index.sources.config import CodeSource, PackageSource, kind_of
from training.evaluate.config import BenchmarkSettings
from training.task_settings import TaskSettings

# What an adapter is put on: every linear layer of a block.
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
Packing = Literal["none", "bfd"]
Quantisation = Literal["none", "nf4"]


class RowSettings(Settings):
    """How tasks become rows."""

    evidence_share: Share = Field(default=0.4, description="Share of task rows rendered with evidence.")
    how_to_share: Share = Field(default=0.2, description="Share of tasks that also give a plain-question row.")
    max_characters: int = Field(default=4000, ge=100, description="Tasks whose instruction is longer give no row.")
    adversarial_share: Share = Field(
        default=0.0, exclude_if=lambda value: value == 0,
        description="Share of tasks that also give a row with a misleading question or wrong evidence.",
    )  # fmt: skip


class SftSettings(Settings):
    """The optimiser's settings."""

    rank: int = Field(default=16, ge=1, description="LoRA rank.")
    alpha: float = Field(default=32, gt=0, description="LoRA scale numerator: updates are scaled by alpha / rank.")
    epochs: float = Field(default=2, gt=0, description="Passes over the rows.")
    max_steps: int = Field(default=-1, description="Optimiser steps; -1 leaves it to epochs.")
    batch_rows: int = Field(default=4, ge=1, description="Rows, or packs of rows, computed at once.")
    accumulate: int = Field(
        default=1, ge=1, exclude_if=lambda value: value == 1, description="Batches to one optimiser step."
    )
    learning_rate: float = Field(default=2e-4, gt=0, description="Peak of the cosine schedule.")
    warmup_steps: int = Field(default=10, ge=0, description="Steps of linear warm-up.")
    max_length_tokens: int = Field(default=1024, ge=16, description="Rows that are longer, in tokens, are left out.")
    packing: Packing = Field(
        default="none", exclude_if=lambda value: value == "none",
        description='"bfd": short rows are put together, whole, into packs of at most max_length_tokens.',
    )  # fmt: skip
    quantise: Quantisation = Field(
        default="none", exclude_if=lambda value: value == "none",
        description='"nf4": the base is held in four bits while the adapter is trained; needs bitsandbytes.',
    )  # fmt: skip
    save_steps: int = Field(default=50, ge=1, description="Steps between checkpoints; the last two are kept.")
    seed: int = Field(default=0, description="Seed of split, rows, initialisation and order.")

    @field_validator("packing", mode="before")
    @classmethod
    def whole_rows(cls, value: object) -> object:
        """TRL's other strategies cut rows in two: an answer would begin or stop in the middle."""
        if value in ("wrapped", "bfd_split"):
            raise ValueError('it cuts rows in two, and "wrapped" lets them read each other: give "bfd" or "none"')
        return value


class Guarded(Settings):
    """What a stage may not be trained on."""

    evaluations: list[BenchmarkSettings] = Field(
        default=[], exclude_if=lambda value: not value, description="What will be asked: none of it may be trained on."
    )
    allow_contaminated: bool = Field(
        default=False, exclude_if=lambda value: not value,
        description="Whether to train on what is asked all the same; every score says so.",
    )  # fmt: skip


class SftConfig(Guarded):
    """configs/training/*.yaml of the sft stage."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$", description="Name of the specialist and of its bundle.")
    model: str = Field(default="starter", description='Base: "starter", a local folder, or a Hugging Face id.')
    encoder: EncoderConfig = Field(default=STARTER_QUICK, description="What embeds the index and the questions.")
    run: Path = Field(description="Folder of the run: tasks, rows, steps, checkpoints.")
    bundle: Path = Field(description="Folder the finished bundle is written to.")
    start: Path | None = Field(
        default=None, exclude_if=lambda value: value is None,
        description="Config of a stage, such as raw_sft, whose adapter goes on; by default a new one is made.",
    )  # fmt: skip
    context: bool = Field(default=True, description="Whether the service puts evidence into the prompt by default.")
    tasks: TaskSettings
    rows: RowSettings = RowSettings()
    sft: SftSettings = SftSettings()
    names: list[str] = Field(min_length=1, description="What users call the library in a question.")
    rivals: list[str] = Field(default=[], description="What users name when they mean another library or language.")
    gate: Path = Field(description="File of configs/gate/ whose query sets calibrate the bundle when it is packed.")


RawSource = Annotated[
    Annotated[PackageSource, Tag("package")] | Annotated[CodeSource, Tag("code")],
    Discriminator(
        kind_of, custom_error_type="source_kind",
        custom_error_message="an entry holds exactly one of the keys package, code",
    ),
]  # fmt: skip


class RawFilters(Settings):
    """Which source files are learnt from; measures and limits after Codex (Chen et al., 2021, arXiv 2107.03374, 3.1).

    Of its limits those of the longest line and of generated files are kept; the others suit answers of a chat.
    """

    min_characters: int = Field(default=200, ge=1, description="Shorter files are left out.")
    max_characters: int = Field(default=8000, ge=1, description="Longer files are left out.")
    min_lines: int = Field(default=8, ge=1, description="Files of fewer lines are left out.")
    max_lines: int = Field(default=300, ge=1, description="Files of more lines are left out.")
    longest_line: int = Field(default=1000, ge=1, description="Files with a longer line, in characters, are left out.")
    alphanumeric_share: Share = Field(default=0.25, description="Least share of letters and digits in the characters.")
    code_density: Share = Field(default=0.3, description="Least share of lines that hold code, not prose or nothing.")


class RawSftConfig(Settings):
    """configs/training/*.yaml of the raw_sft stage."""

    model: str = Field(default="starter", description='Base: "starter", a local folder, or a Hugging Face id.')
    run: Path = Field(description="Folder of the run: rows, counts of the filters, steps, adapter, result.")
    accept_risk: bool = Field(default=False, description="Whether you know what this does to an instruction model.")
    sources: list[RawSource] = Field(min_length=1, description="Packages and source trees whose files are learnt.")
    held_out: Path | None = Field(
        default=None, description="Config of a stage sft; files that hold code of its held-out tasks are left out."
    )
    filters: RawFilters = RawFilters()
    sft: SftSettings = SftSettings()
