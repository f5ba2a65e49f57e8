"""Settings that every stage after the first has, read from configs/training/."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from index.config import Settings, Share
from training.config import Guarded, SftSettings
from training.evaluate.config import BenchmarkSettings, Decoding, Name


class StageConfig(Guarded):
    """Where a stage goes on from, and where it writes."""

    start: Path = Field(description="Config of the stage that this one goes on from.")
    run: Path = Field(description="Folder of the run: config, rows, samples, steps, adapter, result.")
    bundle: Path | None = Field(default=None, description="Folder the finished bundle is written to; none by default.")


class ProblemSettings(Settings):
    """Questions that execution can judge: the specialist's own training tasks, or a benchmark's training part."""

    tasks: bool = Field(default=False, description="Whether these are the training tasks of the specialist.")
    evidence_share: Share = Field(default=0.0, description="Share of the tasks that are asked with evidence.")
    max_characters: int = Field(default=4000, ge=100, description="Tasks whose instruction is longer are left out.")
    benchmark: BenchmarkSettings | None = Field(
        default=None, description="A benchmark, of which no score will be given."
    )
    draw: int | None = Field(default=None, ge=1, description="How many are drawn; all by default.")
    telling: bool = Field(
        default=False, exclude_if=lambda value: not value,
        description="Whether tasks are left out whose second input displays nothing else: typing that in would pass.",
    )  # fmt: skip

    @model_validator(mode="after")
    def one_source(self) -> Self:
        """Two would be mixed in silence."""
        if self.tasks == (self.benchmark is not None):
            raise ValueError("problems are either the specialist's `tasks` or a `benchmark`: give one of them")
        return self


class SelectionSettings(Settings):
    """Which of the programs that pass are learnt from."""

    per_problem: int = Field(default=4, ge=1, description="Most programs of a problem; fewer the oftener it is solved.")


class VerifiedConfig(StageConfig):
    """configs/training/*.yaml of the verified_sft stage."""

    problems: list[ProblemSettings] = Field(min_length=1, description="What is answered.")
    checkpoints: dict[Name, Path] = Field(
        min_length=1, description="Who answers: configs of finished stages, by a name for reports."
    )
    base: bool = Field(default=False, description="Whether the base model answers too.")
    decodings: list[Decoding] = Field(
        default=[Decoding(temperature=0.6, samples=4), Decoding(temperature=1.0, samples=4)], min_length=1,
        description="At which temperatures, and how often.",
    )  # fmt: skip
    max_tokens: int = Field(default=256, ge=16, description="Longest answer, in tokens.")
    max_model_len: int = Field(default=2048, ge=64, description="Longest question and answer together, in tokens.")
    selection: SelectionSettings = SelectionSettings()
    references: Literal["none", "unsolved", "all"] = Field(
        default="unsolved", description="Of which training tasks the documented answer is learnt beside."
    )
    adversarial_share: Share = Field(
        default=0.0, exclude_if=lambda value: value == 0,
        description="Share of the specialist's training tasks that also give a row with a misleading question.",
    )  # fmt: skip
    go_on: bool = Field(default=True, description="Whether the start's adapter goes on; else a new one is made.")
    sft: SftSettings = SftSettings()
    seed: int = Field(default=0, description="Seed of draws and of evidence.")


class PipelineStage(Settings):
    """One stage of a pipeline."""

    stage: str = Field(pattern=r"^[a-z][a-z_]*$", description="Recipe, as `pointsman train` names it.")
    config: Path = Field(description="Its config.")


class PipelineConfig(Settings):
    """configs/training/*.yaml of the pipeline."""

    stages: list[PipelineStage] = Field(min_length=1, description="What is run, in this order.")
