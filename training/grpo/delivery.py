"""The policy's adapter to the sampler, and proof that it arrived.

A sampler that goes on with old weights or with the base model raises no error and gives plausible rewards. So fixed
texts are scored by sampler and trainer after each synchronisation.
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from training.errors import StageError
from training.generation import Text
from training.grpo.config import DeliverySettings
from training.grpo.journal import Journal
from training.grpo.logprobs import completion_logprobs
from training.grpo.sampler import Sampler

Scores = list[list[float]]


class Delivery:
    """Saves the adapter under a new name for each step, hands it over, and compares.

    `save` writes the policy's adapter into a folder; `texts` are prompts with what follows them.
    """

    def __init__(
        self, model: Any, pad: int, sampler: Sampler, texts: Sequence[Text], save: Callable[[Path], None], folder: Path,
        journal: Journal, settings: DeliverySettings,
    ) -> None:  # fmt: skip
        self._model, self._pad, self._sampler, self._texts = model, pad, sampler, list(texts)
        self._save, self._folder, self._journal, self._settings = save, folder, journal, settings
        self._version, self._step = 0, -1
        self._base: Scores | None = None
        shutil.rmtree(folder, ignore_errors=True)
        self.figures: dict[str, float] = {}

    @property
    def adapter(self) -> Path:
        """The folder of the adapter that the sampler has."""
        return self._folder / f"version-{self._version}"

    def deliver(self, step: int) -> None:
        """Hand the weights after so many steps over; raises StageError when they did not arrive."""
        if step == self._step:
            return
        earlier = self.adapter
        self._version += 1
        self._save(self.adapter)
        self._sampler.deliver(self.adapter)
        shutil.rmtree(earlier, ignore_errors=True)
        self._check(step)
        self._step = step

    def _check(self, step: int) -> None:
        policy = completion_logprobs(self._model, self._texts, self._pad)
        if self._base is None:
            with self._model.disable_adapter():
                self._base = completion_logprobs(self._model, self._texts, self._pad)
        sampled, settings = self._sampler.score(self._texts), self._settings
        missed, to_base, learnt = apart(sampled, policy), apart(sampled, self._base), apart(policy, self._base)
        self.figures = {"delivery/to_policy": missed, "delivery/to_base": to_base, "delivery/policy_to_base": learnt}
        if not missed <= settings.stop:  # NaN too
            raise StageError(
                f'sampler and policy differ by "{missed:.3f}" nats a token at step {step}, more than {settings.stop}: '
                "the adapter did not reach the sampler, or it computes otherwise; compare `rollouts: transformers`"
            )
        # Nearer than rounding nothing can be told apart: a policy that has hardly left the base is not judged.
        if step >= settings.nearer_after and learnt > settings.warn and to_base < missed:
            raise StageError(
                f'the sampler is "{to_base:.3f}" nats a token from the base at step {step} and {missed:.3f} from the '
                "policy: the adapter did not reach it; compare `rollouts: transformers`"
            )
        if missed > settings.warn:
            self._journal.event(step, "mismatch", nats=missed)


def apart(some: Scores, others: Scores) -> float:
    """Mean absolute difference over all tokens."""
    pairs = [zip(one, other, strict=True) for one, other in zip(some, others, strict=True)]
    return fmean(abs(a - b) for pair in pairs for a, b in pair)
