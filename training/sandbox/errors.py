"""Refusals of the sandbox itself; what a program does is a verdict, never an exception.

SandboxError            this machine cannot isolate as demanded
└── WorkerLost          a worker died, did not start, or lost its way; the run is repeated on another
"""

from training.errors import TrainingFault


class SandboxError(TrainingFault):
    """The machine lacks a layer of isolation that is demanded."""


class WorkerLost(SandboxError):
    """A worker can do no more runs."""
