"""Settings of `pointsman gate calibrate` and `pointsman gate evaluate`, read from configs/gate/."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from index.calibration import Event
from index.config import Settings, Share


class QuerySet(Settings):
    """Queries of one source whose domain is known; exactly one of list, lines, package and tasks."""

    name: str = Field(
        pattern=r"^[^,]+$", description="Name of the source in reports, no comma; splits take from each source alike."
    )
    outcome: Literal["in", "near", "far"] = Field(
        description='"in": about the library; "near": about something close to it; "far": about something else.'
    )
    list: Path | None = Field(default=None, description="Text file, one query a line.")
    lines: Path | None = Field(default=None, description="JSON lines, plain or .gz.")
    text: str = Field(default="text", description="Key of the query in each of the JSON lines.")
    package: str = Field(default="", description="Installed package whose docs are asked about.")
    tasks: Path | None = Field(default=None, description="tasks.jsonl of a run: instructions, questions, unnamed ones.")
    draw: int | None = Field(default=None, ge=1, description="How many are drawn; all by default.")
    named: Share = Field(default=0.0, description="Share that names the library all the same.")
    stuffed: bool = Field(default=False, description="Whether the library's words are put around every query.")
    rival: bool = Field(default=False, description="Whether every query asks about a rival of the library instead.")

    @property
    def origin(self) -> str:
        """What the queries are read from; sets of one origin ask the same in other forms."""
        return str(self.list or self.lines or self.tasks or self.package)

    @model_validator(mode="after")
    def one_source(self) -> Self:
        """Two would be mixed in silence."""
        given = [key for key in ("list", "lines", "package", "tasks") if getattr(self, key)]
        if len(given) != 1:
            raise ValueError(f'set "{self.name}" has "{", ".join(given)}": give one of list, lines, package, tasks')
        return self


class Executed(Settings):
    """An evaluation whose answers of base and specialist were both executed."""

    name: str = Field(description="Name of the source in reports.")
    run: Path = Field(description="Output folder of `pointsman evaluate`, which holds outcomes.jsonl.")
    benchmark: str = Field(description="Which of its benchmarks.")
    base: str = Field(default="base", description="Label of the condition that base answered.")
    specialist: str = Field(default="specialist", description="Label of the one that the specialist answered.")


class LabelSettings(Settings):
    """Where labelled queries come from, and which risks the threshold bounds."""

    sets: list[QuerySet] = Field(min_length=2, description="Queries whose domain is known.")
    executed: list[Executed] = Field(default=[], description="Queries whose two answers were executed.")
    risks: dict[Event, Annotated[float, Field(gt=0, lt=1)]] = Field(
        default={"out_of_domain": 0.02, "near_miss": 0.05}, description="Bound on the rate of each bad event."
    )
    delta: float = Field(default=0.05, gt=0, lt=1, description="Chance that not all of these bounds hold.")


class GateConfig(LabelSettings):
    """configs/gate/*.yaml."""

    bundle: Path = Field(description="Bundle whose gate is calibrated or evaluated.")
    output: Path = Field(description="Folder of the report.")
    seed: int = Field(default=0, description="Seed of draws and splits.")
    resplits: int = Field(default=200, ge=1, description="Random splits on which the stated risks are tried.")
