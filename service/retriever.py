"""Query text in, what every specialist's index says about it out: embedded in batches, off the event loop, remembered.

Queries that arrive while the worker thread is busy form the next batch, so batching adds no waiting of its own.
A query that cannot be embedded costs no other query, an index that fails costs no other specialist: it is missing from
the findings, which are then not remembered.

Not covered: an index that hangs, which all wait for until the gate's time-out; a memory shared by several processes.
"""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeAlias

from service.metrics import Metrics

# For the checker only: importing these loads the encoder library, which takes seconds.
if TYPE_CHECKING:
    import numpy as np

    from index.bundle import Retrieval, Specialist
    from index.embed import Encoder

logger = logging.getLogger(__name__)

Findings: TypeAlias = "Mapping[str, Retrieval]"


class Retriever:
    """Asks all specialists' indexes at once; `retrieve` may be awaited by any number of requests."""

    def __init__(
        self,
        encoder: "Encoder",
        specialists: "Mapping[str, Specialist]",
        metrics: Metrics,
        *,
        cache_size: int,
        max_batch: int,
    ) -> None:
        self._encoder = encoder
        self._specialists = specialists
        self._metrics = metrics
        self._cache: OrderedDict[bytes, Findings] = OrderedDict()
        self._cache_size = cache_size
        self._max_batch = max_batch
        self._waiting: dict[bytes, tuple[str, list[asyncio.Future[Findings]]]] = {}
        self._worker: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pointsman-gate")

    async def retrieve(self, query: str) -> Findings:
        """Findings by specialist, without those whose index failed; raises whatever the encoder raised."""
        key = hashlib.blake2b(query.encode(), digest_size=16).digest()
        if key in self._cache:
            self._cache.move_to_end(key)
            self._metrics.gate_cache.labels("hit").inc()
            return self._cache[key]
        self._metrics.gate_cache.labels("miss").inc()
        found: asyncio.Future[Findings] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, (query, []))[1].append(found)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await found

    def close(self) -> None:
        """End the worker thread; a search under way is left to finish by itself."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while batch := self._next_batch():
            texts = [query for _, query, _ in batch]
            try:
                outcomes = await loop.run_in_executor(self._thread, self._search, texts)
            except Exception as error:
                outcomes = [error] * len(batch)
            for (key, _, futures), outcome in zip(batch, outcomes, strict=True):
                self._hand_out(key, [found for found in futures if not found.done()], outcome)

    def _hand_out(self, key: bytes, futures: "list[asyncio.Future[Findings]]", outcome: "Findings | Exception") -> None:
        """Give one query's outcome to everybody who waits for it."""
        if isinstance(outcome, Exception):
            for found in futures:
                found.set_exception(outcome)
            return
        if len(outcome) == len(self._specialists):
            self._remember(key, outcome)
        for found in futures:
            found.set_result(outcome)

    def _next_batch(self) -> list[tuple[bytes, str, list[asyncio.Future[Findings]]]]:
        """The oldest queries somebody still waits for: a caller that timed out has cancelled its future."""
        batch: list[tuple[bytes, str, list[asyncio.Future[Findings]]]] = []
        while self._waiting and len(batch) < self._max_batch:
            key = next(iter(self._waiting))
            query, futures = self._waiting.pop(key)
            if any(not found.done() for found in futures):
                batch.append((key, query, futures))
        return batch

    def _search(self, queries: list[str]) -> "list[Findings | Exception]":
        """Findings or an exception for each query; a batch that fails is embedded again, each query alone."""
        try:
            vectors_QD = self._encoder.encode(queries)
        except Exception as error:
            if len(queries) == 1:
                return [error]
            logger.warning("%d questions could not be embedded together; each is tried alone", len(queries))
            return [outcome for query in queries for outcome in self._search([query])]
        return [self._ask(query, vector) for query, vector in zip(queries, vectors_QD, strict=True)]

    def _ask(self, query: str, vector: "np.ndarray") -> Findings:
        """What the indexes say; one that fails is logged and left out."""
        findings: dict[str, Retrieval] = {}
        for name, specialist in self._specialists.items():
            try:
                findings[name] = specialist.retrieve(query, vector)
            except Exception:
                logger.exception('the index of specialist "%s" failed; the others are asked', name)
        return findings

    def _remember(self, key: bytes, findings: Findings) -> None:
        self._cache[key] = findings
        while len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)
