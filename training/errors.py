"""Everything training/ can refuse.

TrainingFault
├── TaskError        a package from which no task can be made, or a split that cannot be honoured
├── ExecutionError   the runner itself failed: never counted as a wrong answer
├── LeakError        held-out code found in training rows or in the index
└── ServiceError     the service under evaluation answered with an error
"""


class TrainingFault(Exception):
    """Root of this package's errors; its text says what, the value in quotes, and the cure."""


class TaskError(TrainingFault):
    """No tasks, or too few, can be made as the config asks."""


class ExecutionError(TrainingFault):
    """The machinery that executes programs failed, as opposed to a program that failed."""


class LeakError(TrainingFault):
    """Held-out reference code stands where the model or the gate could copy it."""


class ServiceError(TrainingFault):
    """The service under evaluation could not be reached or refused a request."""
