"""Decides specialist or base before generation, from the conversation's text alone.

Whatever goes wrong here is counted and never fails a request: a specialist that cannot be judged is left out, and when
nobody can be (a timeout, an exception) base answers.
The highest probability above its own threshold wins; within `ambiguous_band` of the threshold the configuration says
who answers, by default base.

Not covered: what the answer itself reveals, on which service/second_stage.py acts.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from index.prompt import gate_query
from service.config import GateConfig
from service.decision import Candidate, Decision, Reason
from service.errors import AdapterUnavailable
from service.metrics import Metrics
from service.request import RoutingOptions
from service.retriever import Findings, Retriever

# For the checker only: importing these loads the encoder library, which takes seconds.
if TYPE_CHECKING:
    from index.bundle import Specialist

logger = logging.getLogger(__name__)


class Gate:
    """One per service; `adapters` tells which specialists the engine can serve; without any there is no retriever."""

    def __init__(
        self,
        config: GateConfig,
        *,
        base: str,
        specialists: "Mapping[str, Specialist]",
        retriever: Retriever | None,
        adapters: Callable[[], Collection[str]],
        metrics: Metrics,
    ) -> None:
        self._config = config
        self._base = base
        self._specialists = specialists
        self._retriever = retriever
        self._adapters = adapters
        self._metrics = metrics

    async def decide(self, messages: list[dict[str, Any]], options: RoutingOptions) -> Decision:
        """Decide on one conversation; raises only when a specialist named by the caller is not loaded."""
        started = time.perf_counter()
        decision = await self._decide(messages, options)
        elapsed_s = time.perf_counter() - started
        self._metrics.gate_seconds.labels(decision.reason).observe(elapsed_s)
        return replace(decision, gate_ms=1000 * elapsed_s)

    def other(self, decision: Decision, options: RoutingOptions) -> Decision | None:
        """The decision for the model that was not chosen, None where it may not be asked.

        Base may always be. The specialist only where the decision was ambiguous: out-of-domain queries that reached it
        from below the threshold would break the bound that the bundle promises.
        """
        best = decision.candidate
        if decision.reason == "forced" or best is None:
            return None
        if decision.specialist:
            return replace(decision, model=self._base, specialist=None, context=False)
        if decision.reason != "ambiguous" or best.name not in self._adapters():
            return None
        context = bool(best.hits) and self._wants_context(best.name, options)
        return replace(decision, model=best.name, specialist=best.name, context=context)

    async def _decide(self, messages: list[dict[str, Any]], options: RoutingOptions) -> Decision:
        if options.target == self._base:
            return Decision(self._base, None, "forced")
        if options.target and options.target not in self._adapters():
            raise AdapterUnavailable(f'specialist "{options.target}" is not loaded: ask for "{self._base}" or "auto"')
        if options.target and not self._wants_context(options.target, options):
            return Decision(options.target, options.target, "forced")
        candidates, failure = await self._search(messages, options)
        if options.target:
            chosen = next((c for c in candidates if c.name == options.target), None)
            return self._to_specialist(options.target, "forced", chosen, candidates, options)
        return self._choose(candidates, failure, options)

    def _choose(self, candidates: tuple[Candidate, ...], failure: Reason | None, options: RoutingOptions) -> Decision:
        best = candidates[0] if candidates else None
        passing = [c for c in candidates if c.probability >= c.threshold]
        if failure or best is None:
            return Decision(self._base, None, failure or "below_threshold")
        best = passing[0] if passing else best
        reason: Reason = "above_threshold" if passing else "below_threshold"
        if abs(best.probability - best.threshold) < self._config.ambiguous_band:
            reason = "ambiguous"
        if reason == "below_threshold" or (reason == "ambiguous" and self._config.ambiguous == "base"):
            return Decision(self._base, None, reason, best, candidates)
        if best.name not in self._adapters():
            self._metrics.gate_failures.labels("adapter_unavailable").inc()
            return Decision(self._base, None, "adapter_unavailable", best, candidates)
        return self._to_specialist(best.name, reason, best, candidates, options)

    def _to_specialist(
        self,
        name: str,
        reason: Reason,
        candidate: Candidate | None,
        candidates: tuple[Candidate, ...],
        options: RoutingOptions,
    ) -> Decision:
        context = bool(candidate and candidate.hits) and self._wants_context(name, options)
        return Decision(name, name, reason, candidate, candidates, context)

    def _wants_context(self, name: str, options: RoutingOptions) -> bool:
        return options.context == "on" or (options.context == "auto" and self._specialists[name].context)

    async def _search(
        self, messages: list[dict[str, Any]], options: RoutingOptions
    ) -> tuple[tuple[Candidate, ...], Reason | None]:
        """Candidates, or none and the reason; failures are counted here and go no further."""
        if self._retriever is None:
            return (), None
        reason: Reason
        try:
            query = gate_query(messages)
            async with asyncio.timeout(self._config.timeout_ms / 1000):
                findings = await self._retriever.retrieve(query)
            candidates = self._candidates(findings, options)
            if lost := len(self._specialists) - len(candidates):
                self._metrics.gate_failures.labels("specialist_error").inc(lost)
            if candidates or not lost:
                return candidates, None
            reason = "gate_error"
        except TimeoutError:
            reason = "gate_timeout"
        except Exception:
            # The gate is advice: a broken index or encoder must cost the specialist, never the answer.
            logger.exception("the gate failed; base answers")
            reason = "gate_error"
        self._metrics.gate_failures.labels(reason).inc()
        return (), reason

    def _candidates(self, findings: Findings, options: RoutingOptions) -> tuple[Candidate, ...]:
        """Who was found, most probable first; a specialist with numbers no decision can rest on is left out."""
        candidates = []
        for name, found in findings.items():
            candidate = Candidate(
                name=name,
                score=float(found.score),
                probability=float(found.probability),
                threshold=self._threshold(name, options),
                labels=self._specialists[name].calibration.labels,
                features={key: float(value) for key, value in found.features.items()},
                hits=tuple(found.hits),
            )
            numbers = candidate.score, candidate.probability, *candidate.features.values()
            if all(math.isfinite(number) for number in numbers):
                candidates.append(candidate)
            else:
                logger.error('specialist "%s" gave a number that is not finite (%s); it is left out', name, numbers)
        return tuple(sorted(candidates, key=lambda candidate: -candidate.probability))

    def _threshold(self, name: str, options: RoutingOptions) -> float:
        for override in (options.threshold, self._config.threshold):
            if override is not None:
                return override
        return float(self._specialists[name].calibration.threshold)
