"""Untrusted programs in, verdicts out: decided outside the process that ran them."""

from training.sandbox.errors import SandboxError
from training.sandbox.limits import Limits, SandboxConfig
from training.sandbox.pool import Sandbox
from training.sandbox.verdict import Program, Verdict

__all__ = ["Limits", "Program", "Sandbox", "SandboxConfig", "SandboxError", "Verdict"]
