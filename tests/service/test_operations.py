"""Models, dry run, health, readiness, metrics: the endpoints beside chat."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from service.engines.echo import EchoEngine
from service.errors import EngineDead, StartError
from tests.service.small_service import SORTS, ask, echo_config, ready_client, wait_until

CHAT = "/v1/chat/completions"


def sample(client: TestClient, name: str, **labels: str) -> float:
    """One sample from /metrics whose labels include these."""
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for found in family.samples:
            if found.name == name and labels.items() <= found.labels.items():
                return found.value
    return 0.0


def test_models_lists_auto_base_and_specialists(client: TestClient) -> None:
    """With vLLM's root and parent: a specialist's parent is the base."""
    cards = {card["id"]: card for card in client.get("/v1/models").json()["data"]}
    assert list(cards) == ["auto", "base", "polars", "regex"]
    assert cards["polars"]["parent"] == "base"
    assert cards["base"]["parent"] is None
    assert cards["base"]["root"] == "starter"
    assert cards["polars"]["fingerprint"] == "0" * 64 and cards["base"]["fingerprint"] == "1" * 64
    assert client.get("/v1/models/polars").json() == cards["polars"]


def test_the_dry_run_explains_and_generates_nothing(client: TestClient) -> None:
    """Every candidate with its features, threshold and evidence texts; the same body as a chat's."""
    body = client.post("/v1/route", json=ask(SORTS[0], stream=True, max_tokens=5)).json()
    assert (body["route"], body["specialist"]) == ("specialist", "polars")
    assert body["features"] == {"cosine": body["score"]}
    assert body["evidence"][0]["text"] == SORTS[0]
    assert body["evidence"][0]["licence"] == "MIT"
    assert [c["specialist"] for c in body["candidates"]] == ["polars", "regex"]
    assert sample(client, "pointsman_tokens_total") == 0


def test_metrics_count_by_route_specialist_reason_and_status(client: TestClient) -> None:
    """Tokens, time to first token and the service's own share as well."""
    client.post(CHAT, json=ask(SORTS[0]))
    client.post(CHAT, json=ask(SORTS[0], stream=True))
    client.post(CHAT, json=ask("hi", "nobody"))
    served = {"endpoint": CHAT, "route": "specialist", "specialist": "polars", "reason": "above_threshold"}
    assert sample(client, "pointsman_requests_total", **served, status="200") == 2
    assert sample(client, "pointsman_requests_total", endpoint=CHAT, route="none", status="404") == 1
    assert sample(client, "pointsman_tokens_total", kind="completion", specialist="polars") > 0
    assert sample(client, "pointsman_ttft_seconds_count", specialist="polars") == 1
    assert sample(client, "pointsman_overhead_seconds_count", endpoint=CHAT) == 3
    assert sample(client, "pointsman_gate_seconds_count", reason="above_threshold") == 2
    assert sample(client, "pointsman_ready") == 1


def test_no_request_can_make_a_metric_label(client: TestClient) -> None:
    """Unknown models and paths are counted under fixed names."""
    client.post(CHAT, json=ask("hi", "evil-model"))
    client.get("/evil-path")
    assert "evil" not in client.get("/metrics").text
    assert sample(client, "pointsman_requests_total", endpoint="other", status="404") == 1


class SlowEngine(EchoEngine):
    """Loads until it is told to be ready, and can fail then or later."""

    def __init__(self) -> None:
        super().__init__(echo_config())
        self.loaded = asyncio.Event()
        self.error: StartError | None = None
        self.dead = False
        self.stopped = False

    async def start(self, adapters: Mapping[str, Path]) -> None:
        while not self.loaded.is_set():
            await asyncio.sleep(0.01)
        if self.error:
            raise self.error
        await super().start(adapters)

    async def stop(self) -> None:
        self.stopped = True

    async def check_health(self) -> None:
        if self.dead:
            raise EngineDead("the engine has ended")


def test_while_loading_it_is_alive_and_not_ready(make_app: Callable[..., FastAPI]) -> None:
    """Requests are refused with 503 and Retry-After until the engine is warm, then answered."""
    engine = SlowEngine()
    with TestClient(make_app(engine)) as client:
        assert client.get("/health").status_code == 200
        for response in (client.get("/ready"), client.post(CHAT, json=ask("hi")), client.post("/v1/route", json={})):
            assert response.status_code == 503
            assert response.json()["error"]["code"] == "not_ready"
            assert response.headers["retry-after"]
        assert sample(client, "pointsman_ready") == 0
        engine.loaded.set()
        wait_until(lambda: client.get("/ready").status_code == 200)
        assert client.post(CHAT, json=ask("hi")).status_code == 200
    assert engine.stopped


def test_a_failed_start_is_kept_for_the_operator_and_hidden_from_callers(make_app: Callable[..., FastAPI]) -> None:
    """/health turns 503 without saying why; the reason is in the runtime, for whoever ends the process."""
    engine = SlowEngine()
    engine.error = StartError("secret reason")
    engine.loaded.set()
    app = make_app(engine)
    with TestClient(app) as client:
        wait_until(lambda: client.get("/health").status_code == 503)
        assert "secret" not in client.get("/health").text + client.get("/ready").text
        assert client.post(CHAT, json=ask("hi")).json()["error"]["code"] == "engine_dead"
    assert str(app.state.runtime.failure) == "secret reason"


def test_a_dead_engine_is_noticed_without_a_request(make_app: Callable[..., FastAPI]) -> None:
    """Liveness fails, so a supervisor restarts the process."""
    engine = SlowEngine()
    engine.loaded.set()
    with ready_client(make_app(engine)) as client:
        engine.dead = True
        wait_until(lambda: client.get("/health").status_code == 503)
        assert sample(client, "pointsman_ready") == 0


def test_two_apps_live_in_one_process(make_app: Callable[..., FastAPI]) -> None:
    """Neither sees the other's counts."""
    with ready_client(make_app()) as one, ready_client(make_app(served_name="other")) as two:
        one.post(CHAT, json=ask("hi"))
        assert two.post(CHAT, json=ask("hi", "other")).json()["model"] == "other"
        assert sample(one, "pointsman_requests_total", endpoint=CHAT, reason="below_threshold") == 1
        assert sample(two, "pointsman_requests_total", endpoint=CHAT, reason="below_threshold") == 0


@pytest.mark.parametrize("name", ["auto", "base", "polars"])
def test_a_specialists_name_must_be_free(make_app, specialists: list, encoder, name: str) -> None:
    """Reserved and repeated names are refused at the start, naming the bundle."""
    specialists.append(type(specialists[0])(name, specialists[0].index))
    app = make_app()
    with TestClient(app) as client:
        wait_until(lambda: client.get("/health").status_code == 503)
    assert f'"{name}"' in str(app.state.runtime.failure)
