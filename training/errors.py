"""Everything training/ can refuse.

TrainingFault
├── TaskError        a package from which no task can be made, or a split that cannot be honoured
├── EngineError      the engine in this process cannot be started or asked as the config says
├── BenchmarkError   a benchmark that cannot be read, or whose check does not tell right from wrong
├── LeakError        held-out code found in training rows or in the index
├── StageError       a training stage that cannot start, or had to stop, as its config asks
│   └── StageStopped     a check ended a run that had begun; the adapter of a good point is kept
└── ServiceError     the service under evaluation answered with an error
"""

from typing import Literal

Keep = Literal["best", "checkpoint", "current"]


class TrainingFault(Exception):
    """Root of this package's errors; its text says what, the value in quotes, and the cure."""


class TaskError(TrainingFault):
    """No tasks, or too few, can be made as the config asks."""


class EngineError(TrainingFault):
    """The engine cannot load what the config names, or a prompt does not fit it."""


class BenchmarkError(TrainingFault):
    """A benchmark cannot be read or trusted, or an evaluation cannot be made as the config asks."""


class LeakError(TrainingFault):
    """Held-out reference code stands where the model or the gate could copy it."""


class StageError(TrainingFault):
    """A stage refuses to start or stopped: its data, its start or its checks do not allow it."""


class StageStopped(StageError):
    """A check ended a run; `keep` says whose adapter becomes the result.

    "best" is the best that the canary measured, "checkpoint" the last one saved, "current" what there is.
    """

    def __init__(self, message: str, keep: Keep = "best") -> None:
        super().__init__(message)
        self.keep: Keep = keep


class ServiceError(TrainingFault):
    """The service under evaluation could not be reached or refused a request."""
