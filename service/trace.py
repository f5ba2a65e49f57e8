"""What is known about one request while it lives: written along its way, read once for headers and metrics."""

import time
from dataclasses import dataclass, field
from typing import Any

from service.decision import Decision
from service.errors import ClientGone
from service.metrics import Metrics


@dataclass
class Trace:
    """One HTTP request; times are seconds of the performance counter."""

    request_id: str
    endpoint: str
    started: float = field(default_factory=time.perf_counter)
    decision: Decision | None = None
    engine_s: float = 0.0
    overhead_s: float | None = None
    first_token_s: float | None = None
    usage: dict[str, Any] | None = None
    status: int = 0
    complete: bool = False

    def elapsed_s(self) -> float:
        """Time since the request came in."""
        return time.perf_counter() - self.started

    def first_token(self) -> None:
        """Note the first event of a stream; later calls do nothing."""
        if self.first_token_s is None:
            self.first_token_s = self.elapsed_s()

    def failed_in_stream(self, status: int) -> None:
        """A failure after the headers, which said 200."""
        self.status = status

    def headers(self) -> dict[str, str]:
        """Request id, decision and timings; called when the response starts."""
        self.overhead_s = self.elapsed_s() - self.engine_s
        gate_ms = self.decision.gate_ms if self.decision else 0.0
        timing = f"gate;dur={gate_ms:.2f}, engine;dur={1000 * self.engine_s:.2f}"
        return {
            "x-request-id": self.request_id,
            **(self.decision.headers() if self.decision else {}),
            "x-pointsman-overhead-ms": f"{1000 * self.overhead_s:.2f}",
            "server-timing": f"{timing}, overhead;dur={1000 * self.overhead_s:.2f}",
        }

    def record(self, metrics: Metrics) -> None:
        """Count the request once it is over."""
        decision = self.decision
        status = self.status if self.complete else ClientGone.status
        route = decision.route if decision else "none"
        specialist = (decision.specialist if decision else None) or "none"
        reason = decision.reason if decision else "none"
        metrics.requests.labels(self.endpoint, route, specialist, reason, str(status)).inc()
        if self.overhead_s is not None:
            metrics.overhead_seconds.labels(self.endpoint).observe(self.overhead_s)
        if decision and self.usage:
            metrics.answer_seconds.labels(route, specialist).observe(self.elapsed_s())
            metrics.count_tokens(self.usage, route, specialist)
        if self.first_token_s is not None:
            metrics.ttft_seconds.labels(route, specialist).observe(self.first_token_s)
