"""POST /v1/chat/completions on EchoEngine: routing, explanation, streaming."""

from collections.abc import Callable

from fastapi import FastAPI
from starlette.testclient import TestClient

from service.engines.echo import EchoEngine
from tests.service.small_service import SORTS, ask, echo_config, events, ready_client

CHAT = "/v1/chat/completions"


def test_auto_goes_to_the_specialist_that_knows_the_question(client: TestClient) -> None:
    """The response's model is what really served, and the decision is told with its evidence."""
    response = client.post(CHAT, json=ask(SORTS[0]))
    routing = response.json()["pointsman"]["routing"]
    assert response.json()["model"] == "polars"
    assert (routing["route"], routing["specialist"], routing["reason"]) == ("specialist", "polars", "above_threshold")
    assert routing["probability"] >= routing["threshold"] == 0.5
    assert routing["labels"] == "domain"
    assert routing["evidence"][0] == {"id": "polars:0", "score": routing["score"], "source": "test==1"}


def test_auto_goes_to_base_when_no_specialist_knows_the_question(client: TestClient) -> None:
    """The best candidate is shown although it was not trusted."""
    body = client.post(CHAT, json=ask("bake bread")).json()
    routing = body["pointsman"]["routing"]
    assert body["model"] == "base"
    assert (routing["route"], routing["specialist"], routing["reason"]) == ("base", None, "below_threshold")
    assert routing["candidate"] in ("polars", "regex")


def test_headers_tell_the_decision_on_whole_and_streamed_answers(client: TestClient) -> None:
    """The same names in both, the same id in header and body."""
    for stream in (False, True):
        response = client.post(CHAT, json=ask(SORTS[0], stream=stream), headers={"x-request-id": "mine-1"})
        headers = response.headers
        assert headers["x-request-id"] == "mine-1"
        assert headers["x-pointsman-route"] == "specialist"
        assert headers["x-pointsman-reason"] == "above_threshold"
        assert headers["x-adapter-id"] == "polars"
        for name in ("score", "probability", "threshold", "gate-ms", "overhead-ms"):
            assert float(headers[f"x-pointsman-{name}"]) >= 0
        assert headers["server-timing"].startswith("gate;dur=")
        assert headers["x-pointsman-decision-id"] in response.text


def test_errors_after_the_decision_carry_its_headers(client: TestClient) -> None:
    """A caller can see where a refused request would have gone."""
    response = client.post(CHAT, json=ask("word " * 600))
    assert response.status_code == 400
    assert response.headers["x-pointsman-route"] == "base"


def test_a_plain_request_id_is_kept_and_a_strange_one_replaced(client: TestClient) -> None:
    """A header's content cannot reach logs or responses unless it is short and plain."""
    strange = client.get("/health", headers={"x-request-id": "a b;c"}).headers["x-request-id"]
    assert strange != "a b;c"
    assert len(strange) == 32


def test_names_bypass_the_gate(client: TestClient) -> None:
    """A base or specialist name is obeyed whatever the question says."""
    for model in ("base", "regex"):
        body = client.post(CHAT, json=ask(SORTS[0], model)).json()
        assert body["model"] == model
        assert body["pointsman"]["routing"]["reason"] == "forced"


def test_route_forces_like_a_model_name(client: TestClient) -> None:
    """`pointsman.route` is the way for clients that cannot change the model name."""
    body = client.post(CHAT, json=ask(SORTS[0], pointsman={"route": "base"})).json()
    assert (body["model"], body["pointsman"]["routing"]["reason"]) == ("base", "forced")


def test_a_request_may_bring_its_own_threshold(client: TestClient) -> None:
    """The override holds for this request only, and is shown."""
    half = "sort rows bake bread"
    assert client.post(CHAT, json=ask(half)).json()["model"] == "base"
    body = client.post(CHAT, json=ask(half, pointsman={"threshold": 0.2})).json()
    assert body["model"] == "polars"
    assert body["pointsman"]["routing"]["threshold"] == 0.2


def test_evidence_is_put_before_the_question_when_context_is_on(client: TestClient) -> None:
    """`auto` follows the bundle (on for polars, off for regex), `on` and `off` overrule it."""
    said = {}
    for model, context in (("polars", "auto"), ("polars", "off"), ("regex", "auto"), ("regex", "on")):
        body = client.post(CHAT, json=ask("find sort", model, pointsman={"context": context})).json()
        said[model, context] = body["choices"][0]["message"]["content"]
        assert body["pointsman"]["routing"]["context"] == (said[model, context] != "find sort")
    assert "sort rows by a column" in said["polars", "auto"]
    assert "matches of a pattern" in said["regex", "on"]
    assert said["polars", "off"] == said["regex", "auto"] == "find sort"


def test_evidence_that_does_not_fit_is_left_out(make_app: Callable[..., FastAPI]) -> None:
    """The caller's prompt fits, so the caller gets an answer; the decision says that no evidence was used."""
    with ready_client(make_app(max_model_len=16)) as client:
        body = client.post(CHAT, json=ask(SORTS[0])).json()
    assert body["choices"][0]["message"]["content"] == SORTS[0]
    assert body["pointsman"]["routing"]["context"] is False


def test_the_last_event_of_a_stream_carries_the_decision(client: TestClient) -> None:
    """It rides on the event with finish_reason, so a client that reads choices[0] of every event keeps working."""
    chunks = events(client.post(CHAT, json=ask(SORTS[1], stream=True)).text)
    assert all(len(chunk["choices"]) == 1 for chunk in chunks)
    assert ["pointsman" in chunk for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["pointsman"]["routing"]["specialist"] == "polars"


def test_with_usage_the_decision_rides_on_the_usage_event(client: TestClient) -> None:
    """OpenAI's order stays: finish_reason, then usage without choices, then [DONE]."""
    body = ask("bake bread", stream=True, stream_options={"include_usage": True})
    chunks = events(client.post(CHAT, json=body).text)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == 2
    assert "pointsman" in chunks[-1]
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"


def test_several_choices_stream_completely(client: TestClient) -> None:
    """Every choice ends with its reason, and only the very last event carries the decision."""
    chunks = events(client.post(CHAT, json=ask("one two three", n=3, stream=True)).text)
    finished = [c["choices"][0]["index"] for c in chunks if c["choices"][0]["finish_reason"]]
    assert finished == [0, 1, 2]
    assert [i for i, chunk in enumerate(chunks) if "pointsman" in chunk] == [len(chunks) - 1]


def test_text_that_looks_like_an_event_stays_text(client: TestClient) -> None:
    """The search for the last event cannot be fooled by what a model writes."""
    text = '"finish_reason":"stop" "choices":[] data:_[DONE]'
    chunks = events(client.post(CHAT, json=ask(text, stream=True)).text)
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks) == text


def test_content_may_be_a_list_of_parts(client: TestClient) -> None:
    """The gate reads the text parts."""
    parts = [{"type": "text", "text": SORTS[0]}]
    body = {"model": "auto", "messages": [{"role": "user", "content": parts}]}
    assert client.post(CHAT, json=body).json()["model"] == "polars"


def test_a_time_limit_ends_the_generation(make_app: Callable[..., FastAPI]) -> None:
    """Whole: 504. Streamed: an error event, because the headers have been sent. Either way the engine is free again."""
    engine = EchoEngine(echo_config(), token_s=0.05)
    with ready_client(make_app(engine, limits={"request_s": 0.5})) as client:
        response = client.post(CHAT, json=ask("word " * 400, "base"))
        assert (response.status_code, response.json()["error"]["code"]) == (504, "timeout")
        assert response.json()["error"]["message"].endswith('"0.5 s": ask for fewer tokens, or raise limits.request_s')
        assert engine.running == 0
        chunks = events(client.post(CHAT, json=ask("word " * 400, "base", stream=True)).text)
        assert chunks[-1]["error"]["code"] == "timeout"
        assert engine.running == 0
