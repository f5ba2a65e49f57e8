"""A training step's gradient in; a step that would spoil the adapter is left out, and the third in a row stops the run.

No checkpoint is written while steps are being left out, so the last one is from before them.
"""

from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from training.errors import StageError
from training.trainer.checkpoints import last_whole

STEPS_IN_A_ROW = 3  # one may be a bad row; OLMo-core and rl-doctor stop at as many


class Guard(TrainerCallback):
    """Leaves out the steps whose loss, and so whose gradient, is not a number."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self.skipped_in_a_row = 0

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Drop a gradient that is not finite: the optimiser passes over what has none."""
        if finite(model):
            self.skipped_in_a_row = 0
            return
        model.zero_grad(set_to_none=True)
        self.skipped_in_a_row += 1
        if self.skipped_in_a_row == STEPS_IN_A_ROW:
            kept = last_whole(self._run)
            raise StageError(
                f'the loss is no finite number in step "{state.global_step + 1}" and the two before it; '
                f"{f'the checkpoint {kept} before them is kept' if kept else 'there was no checkpoint before them'}: "
                f"look at the rows, or name another run folder and lower learning_rate from {args.learning_rate:g}"
            )

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Keep the last checkpoint while steps are left out."""
        if self.skipped_in_a_row:
            control.should_save = False


def finite(model: torch.nn.Module) -> bool:
    """Whether every gradient is a finite number."""
    gradients = (parameter.grad for parameter in model.parameters() if parameter.grad is not None)
    return all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
