"""Settings of the grpo stage, read from configs/training/."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from index.config import Settings, Share
from training.stages.config import ProblemSettings, StageConfig

Rollouts = Literal["vllm", "transformers"]


class GrpoSettings(Settings):
    """Group-relative policy optimisation: what a step consists of, and the loss."""

    steps: int = Field(default=100, ge=1, description="Optimiser steps.")
    group: int = Field(default=8, ge=2, description="Answers to one prompt, which are compared with each other.")
    prompts_per_step: int = Field(default=4, ge=1, description="Prompts of an optimiser step.")
    micro_rows: int | None = Field(
        default=None, ge=1, description="Answers in one pass, which shares their prompts; by default all of a step."
    )
    max_new_tokens: int = Field(default=128, ge=1, description="Longest answer, in tokens.")
    temperature: float = Field(default=1.0, gt=0, description="Of sampling; the whole vocabulary is sampled from.")
    learning_rate: float = Field(default=1e-5, gt=0, description="After the warm-up it stays.")
    warmup_steps: int = Field(default=5, ge=0, description="Steps of linear warm-up.")
    loss: Literal["dapo", "dr_grpo"] = Field(default="dapo", description="How token losses are aggregated.")
    epsilon: float = Field(default=0.2, gt=0, lt=1, description="Clipping of the probability ratio below 1.")
    epsilon_high: float = Field(default=0.28, gt=0, description="Clipping above 1: clip-higher.")
    beta: float = Field(default=0.0, ge=0, description="Weight of the divergence from the start's adapter.")
    mask_truncated: bool = Field(default=True, description="Whether answers cut by their length give no gradient.")
    mismatch_threshold: float | None = Field(
        default=0.5,
        gt=0,
        description="Worse answers whose mean log-probability differs by more, in nats, are left out.",
    )
    share_prompts: bool = Field(
        default=True, description="Whether a prompt is computed once for all its answers; the gradients are the same."
    )
    gradient_checkpointing: bool = Field(
        default=False, description="Less memory for about a fifth more time; not with share_prompts."
    )
    save_steps: int = Field(default=10, ge=1, description="Steps between checkpoints.")
    skips: int = Field(default=3, ge=1, description="Steps in a row with a non-finite gradient that end the run.")

    @model_validator(mode="after")
    def whole_passes(self) -> Self:
        """A step is a whole number of forward passes."""
        if self.answers % self.pass_rows:
            raise ValueError(
                f'micro_rows "{self.micro_rows}" does not divide the {self.answers} answers of a step: give a divisor'
            )
        return self

    @model_validator(mode="after")
    def one_way(self) -> Self:
        """Checkpointed layers keep no cache, which prompts are shared by."""
        if self.gradient_checkpointing and self.share_prompts:
            raise ValueError("gradient_checkpointing keeps no cache, which share_prompts needs: set one of them false")
        return self

    @property
    def answers(self) -> int:
        """Answers of an optimiser step."""
        return self.group * self.prompts_per_step

    @property
    def pass_rows(self) -> int:
        """Answers in one forward pass."""
        return self.micro_rows or self.answers


class SchedulerSettings(Settings):
    """Which prompts are asked."""

    lowest: Share = Field(default=0.1, description="Prompts whose last pass rate was below come last.")
    highest: Share = Field(default=0.9, description="Prompts whose last pass rate was above come last.")
    explore: Share = Field(default=0.5, description="Share of draws that go to prompts never asked, while there are.")
    solved: int = Field(default=2, ge=1, description="Visits in a row with pass rate 1 after which a prompt retires.")
    visits: int = Field(default=4, ge=1, description="Most visits of a prompt.")
    max_rounds: int = Field(default=3, ge=1, description="Times a step draws prompts to replace groups without signal.")
    pass_rates: Path | None = Field(
        default=None, description="yield.json of a verified_sft run: pass rates known before the first step."
    )


class JudgeSettings(Settings):
    """A model behind an OpenAI-compatible endpoint that scores answers from 0 to 1."""

    url: str = Field(description="Base address, such as http://localhost:8000/v1.")
    model: str = Field(description="Name of the model there.")
    key_variable: str = Field(default="", description="Environment variable that holds the key; none is sent without.")
    instruction: str = Field(
        default="Judge the answer to the task. Reply with one number from 0 (useless) to 1 (perfect) and nothing else.",
        description="What the judge is told.",
    )
    timeout_s: float = Field(default=30.0, gt=0, description="Longest wait for one score.")
    weight: float = Field(default=0.2, gt=0, description="What a score of 1 adds.")


class RewardSettings(Settings):
    """What an answer is worth: its check, and small parts for the form of a coding answer."""

    correct: float = Field(default=1.0, ge=0, description="Weight of the check, or of the number.")
    format_exact: float = Field(default=0.05, ge=0, description="For one fenced Python block and nothing else.")
    format_block: float = Field(default=0.05, ge=0, description="For a fenced block somewhere.")
    judge: JudgeSettings | None = Field(default=None, description="A model's opinion besides.")


class DeliverySettings(Settings):
    """Whether the sampler has the policy's weights, tried on fixed texts after each synchronisation."""

    texts: int = Field(default=8, ge=1, description="Questions with their reference that are compared, the shortest.")
    warn: float = Field(default=0.02, gt=0, description="Mean difference of log-probabilities told as an event, nats.")
    stop: float = Field(default=0.1, gt=0, description="Mean difference that ends the run, in nats.")
    nearer_after: int = Field(default=5, ge=0, description="Step from which the sampler must be nearer to the policy.")


class CanarySettings(Settings):
    """Held-out tasks answered greedily during the run."""

    tasks: int = Field(default=40, ge=2, description="Held-out tasks, drawn once.")
    steps: list[int] = Field(default=[0, 50, 100], description="Steps at which they are asked.")
    every: int = Field(default=25, ge=1, description="After the last of these, again after so many steps.")
    standard_errors: float = Field(default=2.0, gt=0, description="A paired drop beyond so many ends the run.")

    def due(self, step: int) -> bool:
        """Whether they are asked after this many steps."""
        last = max(self.steps, default=0)
        return step in self.steps or (step > last and (step - last) % self.every == 0)


class GrpoConfig(StageConfig):
    """configs/training/*.yaml of the grpo stage."""

    problems: list[ProblemSettings] = Field(min_length=1, description="What is practised on.")
    rollouts: Rollouts = Field(
        default="vllm", description='"vllm" in this process, or "transformers", which is slower.'
    )
    vllm_args: dict[str, str | int | float | bool] = Field(
        default={}, description="Further arguments of vLLM's engine, by its own names."
    )
    max_prompt_tokens: int = Field(default=1024, ge=16, description="Longer prompts are left out.")
    grpo: GrpoSettings = GrpoSettings()
    rewards: RewardSettings = RewardSettings()
    scheduler: SchedulerSettings = SchedulerSettings()
    delivery: DeliverySettings = DeliverySettings()
    canary: CanarySettings | None = Field(default=CanarySettings(), description="None asks nothing held out.")
    seed: int = Field(default=0, description="Seed of draws, of evidence and of sampling.")
