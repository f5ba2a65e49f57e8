"""The contract of what answers during a run, and vLLM in this process as one that keeps it.

The other is TransformersSampler (transformers_sampler.py), which generates with the model that is being trained.
"""

import gc
import importlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from machine.environment import cpu_build, prepare
from training.evaluate.offline import for_groups, require_plugin
from training.generation import Sampled, Text, Wanted

if TYPE_CHECKING:
    from training.engine import Engine

GPU_SHARE = 0.3
CPU_CACHE_GIB = "2"  # a whole step's answers to prompts of 1,000 tokens, up to 7 billion parameters


class Sampler(Protocol):
    """What answers with the newest delivered adapter."""

    def deliver(self, folder: Path) -> None:
        """Answer with the adapter in this folder from now on."""

    def sample(self, wanted: Sequence[Wanted]) -> Iterator[Sampled]:
        """Every continuation as it is ready."""

    def score(self, texts: Sequence[Text]) -> list[list[float]]:
        """The log-probability in nats of each token of each text after its prompt, at temperature 1."""

    def close(self) -> None:
        """Give back what it holds."""


class VllmSampler:
    """vLLM in this process; the engine starts with the first adapter.

    Adapters are swapped, not merged: saving and adding one of 0.5B parameters takes a quarter of a second. Not covered:
    several devices.
    """

    def __init__(self, model: Path, rank: int, arguments: Mapping[str, Any]) -> None:
        require_plugin()
        self._model, self._rank, self._arguments = model, rank, arguments
        self._engine: Engine | None = None
        self._version = 0

    @property
    def _name(self) -> str:
        """A new one each time: under an old name vLLM finds what it cached of the old weights."""
        return f"policy-{self._version}"

    def deliver(self, folder: Path) -> None:
        """Swap the adapter."""
        self._version += 1
        if self._engine is not None:
            self._engine.swap_adapter(self._name, folder)
            return
        arguments = {
            **prepare({"VLLM_LOGGING_LEVEL": "ERROR", "VLLM_CPU_KVCACHE_SPACE": CPU_CACHE_GIB}), "seed": 0,
            # As the loss sees them: after division by the temperature.
            "logprobs_mode": "processed_logprobs",
            # The model that is trained lives on the same device.
            **({} if cpu_build() else {"gpu_memory_utilization": GPU_SHARE}), **for_groups(), **self._arguments,
        }  # fmt: skip
        # vllm reads the environment when it is imported, so its module waits for prepare().
        module = importlib.import_module("training.engine")
        self._engine = module.Engine(self._model, {self._name: (folder, self._rank)}, arguments)

    def sample(self, wanted: Sequence[Wanted]) -> Iterator[Sampled]:
        """As they are ready."""
        assert self._engine is not None
        return self._engine.sample(wanted, self._name)

    def score(self, texts: Sequence[Text]) -> list[list[float]]:
        """By prefill."""
        assert self._engine is not None
        return self._engine.score(texts, self._name)

    def close(self) -> None:
        """End the engine, and give its memory back."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None
            gc.collect()
