"""A training step's gradient in; a step that would spoil the adapter is left out, and several in a row stop the run.

No checkpoint is written while steps are being left out, so the last one is from before them.
"""

from collections.abc import Callable
from typing import Any

import torch
from transformers import TrainerCallback

STEPS_IN_A_ROW = 3  # one may be a bad row; OLMo-core and rl-doctor stop at as many


class Guard(TrainerCallback):
    """Leaves out the steps whose loss, and so whose gradient, is not a number.

    `stopping` makes the error that ends the run, of a step and the learning rate; `told` hears of each step left out
    and of how many that makes in a row.
    """

    def __init__(
        self, stopping: Callable[[int, float], Exception], limit: int = STEPS_IN_A_ROW,
        told: Callable[[int, int], None] | None = None,
    ) -> None:  # fmt: skip
        self._stopping, self._limit, self._told = stopping, limit, told
        self.skipped_in_a_row = 0

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Drop a gradient that is not finite: the optimiser passes over what has none."""
        if finite(model):
            self.skipped_in_a_row = 0
            return
        model.zero_grad(set_to_none=True)
        self.skipped_in_a_row += 1
        step = state.global_step + 1
        if self._told:
            self._told(step, self.skipped_in_a_row)
        if self.skipped_in_a_row == self._limit:
            raise self._stopping(step, args.learning_rate)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Keep the last checkpoint while steps are left out."""
        if self.skipped_in_a_row:
            control.should_save = False


def finite(model: torch.nn.Module) -> bool:
    """Whether every gradient is a finite number."""
    gradients = (parameter.grad for parameter in model.parameters() if parameter.grad is not None)
    return all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
