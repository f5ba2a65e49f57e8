"""What a running service consists of: engine, specialists, gate. Loaded in the background, so that /health answers.

`failure` is set when loading failed or the engine died: then nothing will be answered, and whoever runs the
process (service/serve.py) ends it with that message.
"""

import asyncio
import importlib
import logging
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from index.errors import IndexFault
from service.config import RESERVED_NAMES, ServiceConfig
from service.engines import environment
from service.engines.protocol import Engine
from service.errors import EngineDead, NotReady, ServiceError, StartError
from service.gate import Gate
from service.metrics import Metrics
from service.retriever import Retriever
from service.second_stage import SecondStage
from starter import StarterError

# For the checker only: importing these loads the encoder library, which takes seconds.
if TYPE_CHECKING:
    from index.bundle import Specialist
    from index.embed import Encoder

logger = logging.getLogger(__name__)

HEALTH_INTERVAL_S = 1.0


class Runtime:
    """One per app."""

    def __init__(
        self,
        config: ServiceConfig,
        engine: Engine | None = None,
        specialists: "Sequence[Specialist] | None" = None,
        encoder: "Encoder | None" = None,
    ) -> None:
        self.config = config
        self.metrics = Metrics()
        self.created = int(time.time())
        self.specialists: Mapping[str, Specialist] = {}
        self.failure: ServiceError | None = None
        self._engine = engine
        self._given = specialists
        self._encoder = encoder
        self._gate: Gate | None = None
        self._second_stage: SecondStage | None = None
        self._retriever: Retriever | None = None
        self._ready = False

    @property
    def ready(self) -> bool:
        """True while requests can be answered."""
        return self._ready and self.failure is None

    @property
    def engine(self) -> Engine:
        """The engine; raises while or when nothing can be answered."""
        if self.failure:
            raise EngineDead("the service has failed and is about to end: the log has the reason")
        if self._engine is None or not self._ready:
            raise NotReady("the model is still loading: wait until GET /ready answers 200")
        return self._engine

    @property
    def gate(self) -> Gate:
        """The gate; raises as `engine` does."""
        assert self.engine and self._gate
        return self._gate

    @property
    def second_stage(self) -> SecondStage:
        """What doubts answers; raises as `engine` does."""
        assert self.engine and self._second_stage
        return self._second_stage

    def exposition(self) -> bytes:
        """The service's series and the engine's."""
        return self.metrics.exposition() + (self._engine.metrics() if self._engine and self._ready else b"")

    async def run(self) -> None:
        """Load everything, then watch the engine; returns when it failed, with the reason in `failure`."""
        try:
            await self._load()
            self._ready = True
            self.metrics.ready.set(1)
            while True:
                await asyncio.sleep(HEALTH_INTERVAL_S)
                await self.engine.check_health()
        except ServiceError as error:
            self.failure = error
        except (IndexFault, StarterError) as error:
            self.failure = StartError(str(error))
        except Exception as error:
            logger.exception("the service cannot go on")
            self.failure = StartError(f"{type(error).__name__}: {error}")
        finally:
            self.metrics.ready.set(0)

    async def stop(self) -> None:
        """Release the engine and the gate's thread."""
        self._ready = False
        if self._retriever:
            self._retriever.close()
        if self._engine:
            await self._engine.stop()

    async def _load(self) -> None:
        # Model files, hashes and imports block for seconds: a thread keeps /health answering.
        encoder = self._encoder
        if self._given is None:
            encoder, specialists = await asyncio.to_thread(read_bundles, self.config)
        else:
            specialists = list(self._given)
        self.specialists = by_name(specialists, self.config)
        if self._engine is None:
            self._engine = await asyncio.to_thread(make_engine, self.config)
        await self._engine.start({name: s.adapter for name, s in self.specialists.items()})
        if encoder:
            self._retriever = Retriever(
                encoder,
                self.specialists,
                self.metrics,
                cache_size=self.config.gate.cache_size,
                max_batch=self.config.gate.max_batch,
            )
        self._gate = self._make_gate(self._engine)
        self._second_stage = self._make_second_stage(self._gate)

    def _make_gate(self, engine: Engine) -> Gate:
        return Gate(
            self.config.gate,
            base=self.config.served_name,
            specialists=self.specialists,
            retriever=self._retriever,
            adapters=engine.adapters,
            metrics=self.metrics,
        )

    def _make_second_stage(self, gate: Gate) -> SecondStage:
        return SecondStage(self.config.gate.second_stage, gate=gate, specialists=self.specialists, metrics=self.metrics)


def read_bundles(config: ServiceConfig) -> "tuple[Encoder | None, list[Specialist]]":
    """The configured specialists and their encoder; without bundles neither is loaded."""
    if not config.bundles:
        return None, []
    loader = importlib.import_module("service.loader")
    return loader.load_specialists(config.bundles, model=config.model, encoder=config.encoder)


def by_name(specialists: "Sequence[Specialist]", config: ServiceConfig) -> "dict[str, Specialist]":
    """Specialists by name; raises StartError when a name is taken."""
    named: dict[str, Specialist] = {}
    for specialist in specialists:
        if specialist.name in (*RESERVED_NAMES, config.served_name):
            raise StartError(f'bundle {specialist.folder}: the name "{specialist.name}" is reserved: rename the bundle')
        if specialist.name in named:
            other = named[specialist.name].folder
            raise StartError(f'bundles {other} and {specialist.folder} are both named "{specialist.name}": rename one')
        named[specialist.name] = specialist
    return named


def make_engine(config: ServiceConfig) -> Engine:
    """The engine the configuration names, imported only now: importing vLLM takes ten seconds."""
    if config.engine == "echo":
        return importlib.import_module("service.engines.echo").EchoEngine(config)
    flags = environment.prepare_engine(config.limits)
    return importlib.import_module("service.engines.vllm").VLLMEngine(config, flags)
