"""Settings of the service: one YAML file in configs/service/ is one ServiceConfig."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from index.config import Settings
from index.encoders.config import EncoderConfig

RESERVED_NAMES = ("auto", "base")


class SecondStageConfig(Settings):
    """When the other model is asked too, after an answer; off by default."""

    below: float | None = Field(
        default=None, gt=0, lt=1, description="Calibrated confidence under which an answer is doubted (probability)."
    )


class GateConfig(Settings):
    """How the gate decides; thresholds belong to the bundles, these settings only bound and override."""

    timeout_ms: float = Field(default=1000.0, gt=0, description="Time after which a decision is base, in ms.")
    cache_size: int = Field(default=4096, ge=0, description="Queries whose retrieval is remembered (count, LRU).")
    max_batch: int = Field(
        default=1, ge=1, description="Queries embedded in one call of the encoder (count); more pays with torch alone."
    )
    threshold: float | None = Field(
        default=None, gt=0, lt=1, description="Replaces every bundle's calibrated threshold (probability)."
    )
    ambiguous_band: float = Field(
        default=0.0, ge=0, lt=0.5, description="Nearer to the threshold than this is ambiguous (probability)."
    )
    ambiguous: Literal["base", "specialist"] = Field(
        default="base", description="Who answers what is ambiguous; below the threshold no risk is stated any more."
    )
    second_stage: SecondStageConfig = Field(
        default=SecondStageConfig(), description="When an answer is doubted and the other model asked once."
    )


class LimitsConfig(Settings):
    """What one request, and all of them together, may ask for."""

    body_bytes: int = Field(default=4 * 1024 * 1024, ge=1024, description="Largest request body (bytes).")
    choices: int = Field(default=16, ge=1, description="Largest `n` (answers per request).")
    queued_requests: int = Field(default=256, ge=1, description="Running plus waiting answers before a 503 (count).")
    request_s: float = Field(default=600.0, gt=0, description="Longest time for one answer (seconds).")
    shutdown_s: float = Field(default=30.0, ge=0, description="Time for open answers to end after SIGTERM (seconds).")


class ServiceConfig(Settings):
    """Everything `pointsman serve` needs to know."""

    model: str = Field(default="starter", description="Base model: starter, tiny, a folder, or a Hugging Face id.")
    served_name: str = Field(default="base", min_length=1, description="Name clients use for the base model.")
    bundles: tuple[Path, ...] = Field(default=(), description="Bundle folders, relative to the current directory.")
    encoder: EncoderConfig | None = Field(
        default=None,
        description="Sentence encoder of the gate, which must be the bundles' own; by default as stated there.",
    )
    engine: Literal["vllm", "echo"] = Field(default="vllm", description="echo answers without weights, for tests.")
    host: str = Field(
        default="127.0.0.1", min_length=1, pattern=r"^[!-~]*$", description="Address to listen on; 0.0.0.0 means all."
    )
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    max_model_len: int = Field(default=4096, ge=16, description="Longest prompt plus answer (tokens).")
    max_loras: int | None = Field(
        default=None, ge=1, description="Specialists in one batch (count); by default all, at most 8."
    )
    gate: GateConfig = GateConfig()
    limits: LimitsConfig = LimitsConfig()
    vllm_args: dict[str, str | int | float | bool] = Field(
        default={}, description="Further vLLM flags without the dashes, for example {tool-call-parser: hermes}."
    )

    @model_validator(mode="after")
    def served_name_is_free(self) -> Self:
        """`auto` always means routed, so no model can be called so."""
        if self.served_name == "auto":
            raise ValueError('served_name cannot be "auto", which asks for routing: choose another name')
        return self
