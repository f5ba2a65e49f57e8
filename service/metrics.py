"""The service's own Prometheus series, `pointsman_*`; the engine's `vllm:*` are left to the engine.

Every label value comes from the configuration or from a fixed set, never from a request, so that no client
can make a series. Each app has its own registry: two can live in one process.
"""

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

GATE_BUCKETS_S = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
OVERHEAD_BUCKETS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)
ANSWER_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)


class Metrics:
    """One instance per app."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "pointsman_requests",
            "Requests by route (none: refused before a decision), specialist, reason and HTTP status.",
            ["endpoint", "route", "specialist", "reason", "status"],
            registry=self.registry,
        )
        self.gate_seconds = Histogram(
            "pointsman_gate_seconds",
            "Time the gate took to decide.",
            ["reason"],
            buckets=GATE_BUCKETS_S,
            registry=self.registry,
        )
        self.gate_failures = Counter(
            "pointsman_gate_failures",
            "What failed in the gate: decisions that are base for it, specialists left out (specialist_error).",
            ["reason"],
            registry=self.registry,
        )
        self.gate_cache = Counter(
            "pointsman_gate_cache",
            "Queries answered from the gate's memory (hit) or searched (miss).",
            ["result"],
            registry=self.registry,
        )
        self.overhead_seconds = Histogram(
            "pointsman_overhead_seconds",
            "Time from the request to the response headers, without the engine's share.",
            ["endpoint"],
            buckets=OVERHEAD_BUCKETS_S,
            registry=self.registry,
        )
        self.ttft_seconds = Histogram(
            "pointsman_ttft_seconds",
            "Time from the request to the first streamed token.",
            ["route", "specialist"],
            buckets=ANSWER_BUCKETS_S,
            registry=self.registry,
        )
        self.answer_seconds = Histogram(
            "pointsman_answer_seconds",
            "Time from the request to the end of the answer.",
            ["route", "specialist"],
            buckets=ANSWER_BUCKETS_S,
            registry=self.registry,
        )
        self.tokens = Counter(
            "pointsman_tokens",
            "Tokens read (prompt) and written (completion).",
            ["kind", "route", "specialist"],
            registry=self.registry,
        )
        self.second_stage = Counter(
            "pointsman_second_stage",
            "Doubted answers to which the other model was asked, by who wrote them and whose answer was given.",
            ["from", "kept"],
            registry=self.registry,
        )
        self.second_stage_failures = Counter(
            "pointsman_second_stage_failures",
            "Those of them that the other model did not answer, by the other model; the first answer was given.",
            ["other"],
            registry=self.registry,
        )
        self.ready = Gauge("pointsman_ready", "1 once the engine is warm.", registry=self.registry)

    def count_tokens(self, usage: Mapping[str, Any], route: str, specialist: str) -> None:
        """Count an answer's tokens, read and written."""
        for kind in ("prompt", "completion"):
            self.tokens.labels(kind, route, specialist).inc(usage.get(f"{kind}_tokens") or 0)

    def exposition(self) -> bytes:
        """All series in Prometheus's text format."""
        return generate_latest(self.registry)
