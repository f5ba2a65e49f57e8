"""What one run may use, and how closed the jail must be."""

from typing import Literal

from pydantic import Field

from index.config import Settings

Level = Literal["full", "reduced"]


class Limits(Settings):
    """Bounds on one run."""

    cpu_s: int = Field(default=5, ge=1, description="CPU time of the program, in seconds.")
    wall_s: float = Field(default=20.0, gt=0, description="Time by the clock, less what it waited for a free core.")
    memory_mib: int = Field(default=512, ge=32, description="Address space of the program.")
    output_kib: int = Field(default=256, ge=1, description="What it may print, both streams together.")
    file_mib: int = Field(default=16, ge=1, description="Size of any file it writes.")
    open_files: int = Field(default=32, ge=8, description="Descriptors open at once.")
    threads: int = Field(default=64, ge=1, description="Threads of its own; processes it may not start at all.")
    judge_cpu_s: int = Field(default=30, ge=1, description="CPU time of the check; past it the check is at fault.")
    judge_memory_mib: int = Field(default=2048, ge=64, description="Address space of the check.")


class SandboxConfig(Settings):
    """The `sandbox` part of a config."""

    level: Level = Field(
        default="reduced",
        description='Least isolation: "full" demands namespaces too; "reduced" does with landlock, seccomp and limits.',
    )
    workers: int | None = Field(default=None, ge=1, description="Warm processes; by default one a core.")
    scratch: bool = Field(default=True, description="Whether programs have a folder to write to, emptied after each.")
    scratch_mib: int = Field(default=64, ge=1, description="Size of that folder, where the level is full.")
    nice: int = Field(default=0, ge=0, le=19, description="Priority below the caller's, for a model that runs beside.")
    preload: list[str] = Field(default=[], description="Packages imported once a worker, which programs may import.")
    environment: dict[str, str] = Field(default={}, description="Environment of every program.")
    limits: Limits = Limits()
