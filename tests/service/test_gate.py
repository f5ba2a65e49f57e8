"""The gate: who wins, and what happens when something goes wrong. Off the event loop, batched, remembered."""

import asyncio
import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import pytest

from service.config import GateConfig
from service.decision import Decision
from service.errors import AdapterUnavailable
from service.gate import Gate
from service.metrics import Metrics
from service.request import RoutingOptions
from service.retriever import Retriever
from tests.service.small_service import CALIBRATION, REGEX, SORTS, IndexedSpecialist, WordEncoder, specialist


@pytest.fixture
def make_gate(encoder: WordEncoder, specialists: list[IndexedSpecialist]) -> Callable[..., tuple[Gate, Metrics]]:
    """Builds a gate; the keywords are GateConfig's."""

    def make(
        adapters: Collection[str] = ("polars", "regex"),
        known: list[IndexedSpecialist] = specialists,
        encoder: WordEncoder = encoder,
        **settings: Any,
    ) -> tuple[Gate, Metrics]:
        config, metrics = GateConfig(**{"timeout_ms": 60_000, **settings}), Metrics()
        named = {one.name: one for one in known}
        retriever = Retriever(encoder, named, metrics, cache_size=config.cache_size, max_batch=config.max_batch)
        gate = Gate(
            config, base="base", specialists=named, retriever=retriever, adapters=lambda: adapters, metrics=metrics
        )
        return gate, metrics

    return make


def decide(gate: Gate, text: str, **options: Any) -> Decision:
    """One decision in a loop of its own."""
    return asyncio.run(gate.decide([{"role": "user", "content": text}], RoutingOptions(**options)))


def count(metrics: Metrics, name: str, **labels: str) -> float:
    """One sample of the metrics."""
    return metrics.registry.get_sample_value(name, labels) or 0.0


def test_the_highest_probability_above_its_own_threshold_wins(make_gate, encoder: WordEncoder) -> None:
    """A specialist below its threshold loses to a less probable one above."""
    strict = CALIBRATION.model_copy(update={"threshold": 0.999})
    known = [
        specialist("strict", [SORTS[0]], encoder, calibration=strict),
        specialist("near", [SORTS[0] + " quickly"], encoder),
        specialist("far", [SORTS[0] + " a b c d e f g"], encoder),
    ]
    gate, _ = make_gate(("strict", "near", "far"), known)
    decision = decide(gate, SORTS[0])
    assert [c.name for c in decision.candidates] == ["strict", "near", "far"]
    assert (decision.specialist, decision.reason) == ("near", "above_threshold")


def test_a_probability_equal_to_the_threshold_is_enough(make_gate) -> None:
    """The threshold is the smallest probability that is trusted."""
    gate, _ = make_gate()
    probability = decide(gate, "sort rows now please").candidate.probability
    assert decide(gate, "sort rows now please", threshold=probability).route == "specialist"


def test_near_the_threshold_nobody_is_trusted(make_gate) -> None:
    """Within the band, on either side, the answer is base for the reason "ambiguous"; by default there is no band."""
    gate, _ = make_gate(ambiguous_band=0.05)
    probability = decide(gate, "sort rows now please").candidate.probability
    for shift in (-0.04, 0.04):
        decision = decide(gate, "sort rows now please", threshold=probability + shift)
        assert (decision.route, decision.reason) == ("base", "ambiguous")
    assert decide(gate, "sort rows now please", threshold=probability - 0.06).route == "specialist"


def test_what_is_ambiguous_may_go_to_the_specialist(make_gate) -> None:
    """If the configuration says so, on either side, with the reason that it was; outside the band nothing changes."""
    gate, _ = make_gate(ambiguous_band=0.05, ambiguous="specialist")
    probability = decide(gate, "sort rows now please").candidate.probability
    for shift in (-0.04, 0.04):
        decision = decide(gate, "sort rows now please", threshold=probability + shift)
        assert (decision.route, decision.reason) == ("specialist", "ambiguous")
    assert decide(gate, "sort rows now please", threshold=probability + 0.06).reason == "below_threshold"


def test_the_configured_threshold_replaces_the_bundles(make_gate) -> None:
    """And a request's replaces both."""
    gate, _ = make_gate(threshold=0.99)
    assert decide(gate, "sort rows by").reason == "below_threshold"
    assert decide(gate, "sort rows by", threshold=0.3).reason == "above_threshold"


def test_a_slow_search_means_base(make_gate, encoder: WordEncoder) -> None:
    """The caller waits no longer than the timeout, and the timeout is counted."""
    gate, metrics = make_gate(timeout_ms=30)
    encoder.delay_s = 1.0
    decision = decide(gate, SORTS[0])
    assert (decision.route, decision.reason) == ("base", "gate_timeout")
    assert 30 <= decision.gate_ms < 900
    assert count(metrics, "pointsman_gate_failures_total", reason="gate_timeout") == 1


def test_a_broken_search_means_base(make_gate, encoder: WordEncoder) -> None:
    """An exception costs the specialist, not the answer; the next question is decided again."""
    gate, metrics = make_gate()
    encoder.error = RuntimeError("no memory")
    assert decide(gate, SORTS[0]).reason == "gate_error"
    assert count(metrics, "pointsman_gate_failures_total", reason="gate_error") == 1
    encoder.error = None
    assert decide(gate, SORTS[0]).reason == "above_threshold"


def test_a_probability_that_is_no_number_means_base(make_gate, encoder: WordEncoder) -> None:
    """It could neither be compared nor written as JSON."""
    broken = specialist("broken", [SORTS[0]], encoder, scale=float("nan"))
    gate, metrics = make_gate(("broken",), [broken])
    assert decide(gate, SORTS[0]).reason == "gate_error"
    assert count(metrics, "pointsman_gate_failures_total", reason="gate_error") == 1


class BrokenSpecialist(IndexedSpecialist):
    """Its index cannot be searched."""

    def retrieve(self, query: str, vector: np.ndarray) -> Any:
        raise RuntimeError("no such vector")


def with_fault(fault: str, encoder: WordEncoder) -> IndexedSpecialist:
    """A specialist called "broken" that would win, were it not for its fault."""
    if fault == "no number":
        return specialist("broken", [SORTS[0]], encoder, scale=float("nan"))
    return BrokenSpecialist("broken", specialist("broken", [SORTS[0]], encoder).index)


@pytest.mark.parametrize("fault", ["no search", "no number"])
def test_a_specialist_that_cannot_be_judged_costs_no_other(
    make_gate, encoder: WordEncoder, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    """The others are asked, and each decision it is missing from is counted, also when the question comes again."""
    known = [with_fault(fault, encoder), specialist("polars", SORTS, encoder)]
    gate, metrics = make_gate(("broken", "polars"), known)
    for asked in (1, 2):
        decision = decide(gate, SORTS[0])
        assert (decision.specialist, decision.reason) == ("polars", "above_threshold")
        assert [c.name for c in decision.candidates] == ["polars"]
        assert count(metrics, "pointsman_gate_failures_total", reason="specialist_error") == asked
    assert count(metrics, "pointsman_gate_failures_total", reason="gate_error") == 0
    assert 'specialist "broken"' in caplog.text


def test_when_no_specialist_can_be_judged_base_answers(make_gate, encoder: WordEncoder) -> None:
    """The gate failed, which is another thing than that nobody knew the question."""
    gate, metrics = make_gate(("broken",), [with_fault("no search", encoder)])
    decision = decide(gate, SORTS[0])
    assert (decision.route, decision.reason) == ("base", "gate_error")
    assert count(metrics, "pointsman_gate_failures_total", reason="gate_error") == 1


class PickyEncoder(WordEncoder):
    """Fails on every batch that holds one certain question."""

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        if "unreadable" in texts:
            raise ValueError("unreadable")
        return super().encode(texts)


def test_a_question_that_cannot_be_embedded_costs_no_other(make_gate) -> None:
    """Also when it shares a batch with others."""
    picky = PickyEncoder()
    gate, metrics = make_gate(encoder=picky)
    picky.delay_s = 0.02

    async def scenario() -> list[Decision]:
        texts = ["first", SORTS[0], "unreadable", REGEX[0]]
        tasks = [gate.decide([{"role": "user", "content": text}], RoutingOptions()) for text in texts]
        return await asyncio.gather(*tasks)

    _, sort, unreadable, regex = asyncio.run(scenario())
    assert (sort.specialist, unreadable.reason, regex.specialist) == ("polars", "gate_error", "regex")
    assert count(metrics, "pointsman_gate_failures_total", reason="gate_error") == 1


def test_a_specialist_the_engine_does_not_hold_means_base(make_gate) -> None:
    """Routed: base, counted. Asked for by name: an error, because the caller wanted nobody else."""
    gate, metrics = make_gate(adapters=("regex",))
    decision = decide(gate, SORTS[0])
    assert (decision.route, decision.reason) == ("base", "adapter_unavailable")
    assert count(metrics, "pointsman_gate_failures_total", reason="adapter_unavailable") == 1
    with pytest.raises(AdapterUnavailable, match='"polars" is not loaded'):
        decide(gate, SORTS[0], target="polars")


def test_forced_to_base_nothing_is_searched(make_gate, encoder: WordEncoder) -> None:
    """Nor for a specialist by name when no evidence is wanted."""
    gate, _ = make_gate()
    encoder.batches.clear()
    assert decide(gate, SORTS[0], target="base").reason == "forced"
    assert decide(gate, SORTS[0], target="regex").reason == "forced"
    assert encoder.batches == []


def test_a_forced_specialist_without_search_still_serves(make_gate, encoder: WordEncoder) -> None:
    """Evidence is an addition: when it cannot be found the caller still gets the model named."""
    gate, _ = make_gate()
    encoder.error = RuntimeError("no memory")
    decision = decide(gate, SORTS[0], target="polars", context="on")
    assert (decision.specialist, decision.reason, decision.context) == ("polars", "forced", False)


def test_without_specialists_base_serves(make_gate) -> None:
    """A service without bundles is a plain endpoint."""
    gate, _ = make_gate((), [])
    assert decide(gate, "anything").reason == "below_threshold"


def test_the_encoder_never_runs_on_the_event_loop(make_gate, encoder: WordEncoder) -> None:
    """While it works, the loop goes on."""
    gate, _ = make_gate()
    encoder.threads.clear()
    encoder.delay_s = 0.5

    async def scenario() -> int:
        ticks = 0
        task = asyncio.create_task(gate.decide([{"role": "user", "content": "x"}], RoutingOptions()))
        while not task.done():
            await asyncio.sleep(0.005)
            ticks += 1
        return ticks

    assert asyncio.run(scenario()) >= 10
    assert threading.get_ident() not in encoder.threads


def test_concurrent_questions_are_embedded_together(make_gate, encoder: WordEncoder) -> None:
    """What arrives while the encoder works is its next batch, equal questions once, at most max_batch at a time."""
    gate, _ = make_gate(max_batch=8)
    encoder.batches.clear()
    encoder.delay_s = 0.02

    async def scenario() -> list[Decision]:
        texts = ["first", *[f"question {i}" for i in range(10)], "question 3"]
        tasks = [gate.decide([{"role": "user", "content": text}], RoutingOptions()) for text in texts]
        return await asyncio.gather(*tasks)

    decisions = asyncio.run(scenario())
    assert sorted(len(batch) for batch in encoder.batches) == [3, 8]
    assert decisions[4].candidates == decisions[-1].candidates


def test_a_question_asked_before_is_not_embedded_again(make_gate, encoder: WordEncoder) -> None:
    """The oldest is forgotten first."""
    gate, metrics = make_gate(cache_size=2)
    encoder.batches.clear()
    for text in (SORTS[0], REGEX[0], SORTS[0], "third", SORTS[0], REGEX[0]):
        decide(gate, text)
    assert [batch[0] for batch in encoder.batches] == [SORTS[0], REGEX[0], "third", REGEX[0]]
    assert count(metrics, "pointsman_gate_cache_total", result="hit") == 2


def test_nobody_waits_for_a_question_that_was_given_up(make_gate, encoder: WordEncoder) -> None:
    """Questions whose callers have timed out are dropped, so that a slow encoder does not fall further behind."""
    gate, _ = make_gate(timeout_ms=60, max_batch=1)
    encoder.batches.clear()
    encoder.delay_s = 0.1

    async def scenario() -> list[Decision]:
        asks = (gate.decide([{"role": "user", "content": f"question {i}"}], RoutingOptions()) for i in range(10))
        return await asyncio.gather(*asks)

    assert {decision.reason for decision in asyncio.run(scenario())} == {"gate_timeout"}
    assert len(encoder.batches) <= 2
