"""Settings of the training stages, read from configs/training/."""

from pathlib import Path

from pydantic import Field

from index.config import Settings, Share
from index.encoders.config import STARTER_QUICK, EncoderConfig
from training.evaluate.config import BenchmarkSettings
from training.task_settings import TaskSettings

# What an adapter is put on: every linear layer of a block.
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


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
    batch_rows: int = Field(default=4, ge=1, description="Rows an optimiser step.")
    learning_rate: float = Field(default=2e-4, gt=0, description="Peak of the cosine schedule.")
    warmup_steps: int = Field(default=10, ge=0, description="Steps of linear warm-up.")
    max_length_tokens: int = Field(default=1024, ge=16, description="Rows that are longer, in tokens, are left out.")
    save_steps: int = Field(default=50, ge=1, description="Steps between checkpoints.")
    seed: int = Field(default=0, description="Seed of split, rows, initialisation and order.")


class SftConfig(Settings):
    """configs/training/*.yaml of the sft stage."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$", description="Name of the specialist and of its bundle.")
    model: str = Field(default="starter", description='Base: "starter", a local folder, or a Hugging Face id.')
    encoder: EncoderConfig = Field(default=STARTER_QUICK, description="What embeds the index and the questions.")
    run: Path = Field(description="Folder of the run: tasks, rows, steps, checkpoints.")
    bundle: Path = Field(description="Folder the finished bundle is written to.")
    context: bool = Field(default=True, description="Whether the service puts evidence into the prompt by default.")
    tasks: TaskSettings
    rows: RowSettings = RowSettings()
    sft: SftSettings = SftSettings()
    names: list[str] = Field(min_length=1, description="What users call the library in a question.")
    rivals: list[str] = Field(default=[], description="What users name when they mean another library or language.")
    gate: Path = Field(description="File of configs/gate/ whose query sets calibrate the bundle when it is packed.")
    evaluations: list[BenchmarkSettings] = Field(
        default=[], exclude_if=lambda value: not value, description="What will be asked: none of it may be trained on."
    )
    allow_contaminated: bool = Field(
        default=False, exclude_if=lambda value: not value,
        description="Whether to train on what is asked all the same; every score says so.",
    )  # fmt: skip
