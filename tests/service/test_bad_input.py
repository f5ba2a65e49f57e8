"""Bad input: each a clear error in OpenAI's shape, and the service answers the next request."""

import json
import socket
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from service.config import ServiceConfig
from service.engines.echo import EchoEngine
from service.errors import POINTSMAN_KEYS
from service.request import PointsmanOptions
from tests.service.small_service import ask, listening, ready_client, wait_until

CHAT = "/v1/chat/completions"

CASES: dict[str, tuple[Any, int, str | None, str]] = {
    "unknown model": (ask("hi", "gpt-9"), 404, "model", '"gpt-9" does not exist: use one of auto, base, polars, regex'),
    "no model": ({"messages": [{"role": "user", "content": "hi"}]}, 400, "model", "Field required"),
    "null model": (ask("hi") | {"model": None}, 400, "model", "valid string, not None"),
    "empty model": (ask("hi", ""), 400, "model", "at least 1 character"),
    "empty messages": ({"model": "auto", "messages": []}, 400, "messages", "at least 1 item"),
    "no messages": ({"model": "auto"}, 400, "messages", "Field required"),
    "messages not a list": ({"model": "auto", "messages": "hi"}, 400, "messages", "valid list, not 'hi'"),
    "message not an object": ({"model": "auto", "messages": ["hi"]}, 400, "messages.0", "dictionary"),
    "message without role": ({"model": "auto", "messages": [{"content": "x"}]}, 400, "messages.0.role", "required"),
    "user without content": ({"model": "auto", "messages": [{"role": "user"}]}, 400, "messages.0", "needs content"),
    "content a number": (
        {"model": "auto", "messages": [{"role": "user", "content": 3}]},
        400,
        "messages.0.content",
        "not 3",
    ),
    "over-long prompt": (ask("word " * 600), 400, "messages", "600 tokens and the context holds 512"),
    "ill-typed n": (ask("hi", n="two"), 400, "n", "valid integer"),
    "n too large": (ask("hi", n=999), 400, "n", "999 answers are more than 16"),
    "ill-typed stream": (ask("hi", stream="perhaps"), 400, "stream", "valid boolean"),
    "ill-typed stream_options": (ask("hi", stream_options=3), 400, "stream_options", "StreamOptions"),
    "zero max_tokens": (ask("hi", max_tokens=0), 400, "max_tokens", "greater than or equal to 1"),
    "pointsman not an object": (ask("hi", pointsman="on"), 400, "pointsman", "not 'on'"),
    "unknown key in pointsman": (
        ask("hi", pointsman={"rout": "base"}),
        400,
        "pointsman.rout",
        'unknown key "rout": the keys here are context, route, threshold',
    ),
    "two unknown keys": (ask("hi", pointsman={"str": 1, "b": 2}), 400, "pointsman.str", 'unknown key "str": the keys'),
    "unknown capital": (ask("hi", pointsman={"Route": "base"}), 400, "pointsman.Route", 'unknown key "Route"'),
    "threshold 0": (ask("hi", pointsman={"threshold": 0}), 400, "pointsman.threshold", "greater than 0, not 0"),
    "threshold 1": (ask("hi", pointsman={"threshold": 1}), 400, "pointsman.threshold", "less than 1, not 1"),
    "threshold text": (ask("hi", pointsman={"threshold": "0.5"}), 400, "pointsman.threshold", "valid number"),
    "unknown context": (ask("hi", pointsman={"context": "yes"}), 400, "pointsman.context", "'auto', 'on' or 'off'"),
    "unknown route": (ask("hi", pointsman={"route": "sql"}), 400, "pointsman.route", '"sql" does not exist'),
    "contradiction": (ask("hi", "regex", pointsman={"route": "polars"}), 400, "pointsman.route", "name two models"),
    "not JSON": (b'{"model": "auto",', 400, None, "not JSON at line 1 column 18"),
    "not UTF-8": (b'{"model": "\xff"}', 400, None, 'not UTF-8: byte "0xff" at position 11: send JSON encoded as UTF-8'),
    "UTF-16": (json.dumps(ask("hi", "base")).encode("utf-16"), 400, None, 'not UTF-8: byte "0xff" at position 0'),
    "UTF-16 without a mark": (json.dumps(ask("hi", "base")).encode("utf-16-le"), 400, None, "not JSON"),
    "NaN": (b'{"model": "auto", "temperature": NaN}', 400, None, "not JSON"),
    "empty body": (b"", 400, None, "not JSON"),
    "a list": (b"[]", 400, None, "not a JSON object"),
    "deep nesting": (b"[" * 60_000, 400, None, "nested too deeply"),
    "half a surrogate pair": (b'{"model": "auto", "user": "\\ud800", "messages": []}', 400, None, "half a surrogate"),
    "half a pair in capitals": (
        b'{"model": "base", "user": "\\uDC00 hi"}',
        400,
        None,
        'half a surrogate pair, "\\udc00"',
    ),
    "half a pair in UTF-16": (
        json.dumps(ask("\ud800 hi", "base"), ensure_ascii=False).encode("utf-16", "surrogatepass"),
        400,
        None,
        "not UTF-8",
    ),
    "half a pair in bytes": (
        b'{"model":"base","messages":[{"role":"user","content":"\xed\xa0\x80 hi"}]}',
        400,
        None,
        'not UTF-8: byte "0xed"',
    ),
    "oversized body": (b'{"model": "' + b"x" * 70_000, 413, None, "larger than 65536 bytes"),
}


@pytest.fixture
def client(make_app) -> Any:
    with ready_client(make_app(limits={"body_bytes": 65536})) as client:
        yield client


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("path", [CHAT, "/v1/route"])
def test_each_mistake_is_named_and_the_next_request_answered(client: TestClient, name: str, path: str) -> None:
    """Status, param and text say what is wrong; what only an engine checks passes the dry run."""
    body, status, param, text = CASES[name]
    if path == "/v1/route" and name in ("over-long prompt", "zero max_tokens"):
        return
    response = client.post(path, **({"content": body} if isinstance(body, bytes) else {"json": body}))
    error = response.json()["error"]
    assert response.status_code == status, error
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert text in error["message"]
    assert client.post(CHAT, json=ask("next")).status_code == 200


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("escaped", [True, False])
def test_a_character_outside_the_basic_plane_is_whole(client: TestClient, escaped: bool, encoding: str) -> None:
    """Written as a pair of escapes or as itself, with a byte order mark or without."""
    body = json.dumps(ask("\U0001f600", "base"), ensure_ascii=escaped).encode(encoding)
    answer = client.post(CHAT, content=body).json()
    assert answer["choices"][0]["message"]["content"] == "\U0001f600"


def test_a_client_that_leaves_during_the_upload_is_no_failure(make_app, caplog: pytest.LogCaptureFixture) -> None:
    """Counted as 499 alone, and nothing is logged for the operator to look into."""
    with listening(make_app()) as url:
        wait_until(lambda: httpx.get(f"{url}/ready").status_code == 200)
        host, _, port = url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(f"POST {CHAT} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 99\r\n\r\n{{".encode())
        counted = f'pointsman_requests_total{{endpoint="{CHAT}"'
        wait_until(lambda: counted in httpx.get(f"{url}/metrics").text)
        lines = [line for line in httpx.get(f"{url}/metrics").text.splitlines() if line.startswith(counted)]
    assert [('status="499"' in line, line.endswith(" 1.0")) for line in lines] == [(True, True)]
    assert "failed" not in caplog.text


def test_a_body_without_length_is_cut_off_at_the_limit(client: TestClient) -> None:
    """Chunked uploads cannot get round the limit."""
    response = client.post(CHAT, content=(b"x" * 10_000 for _ in range(10)))
    assert response.status_code == 413


@pytest.mark.parametrize("path", [CHAT, "/v1/route"])
def test_a_body_that_does_not_arrive_is_refused_and_the_connection_closed(make_app, path: str) -> None:
    """A client that sends one byte and waits cannot hold a connection for longer than limits.request_s."""
    with listening(make_app(limits={"request_s": 0.5})) as url:
        wait_until(lambda: httpx.get(f"{url}/ready").status_code == 200)
        host, _, port = url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 99\r\n\r\n{{".encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 408 ")
    assert "\r\nx-request-id: " in head
    assert json.loads(body)["error"] == {
        "message": 'the body did not arrive within "0.5 s": send it faster, or raise limits.request_s',
        "type": "invalid_request_error",
        "param": None,
        "code": "body_too_slow",
    }


def test_the_keys_told_are_the_keys_read() -> None:
    """The refusal of an unknown key cannot name others than the request has."""
    assert set(POINTSMAN_KEYS) == set(PointsmanOptions.model_fields)


def test_unknown_paths_and_methods_have_openai_errors(client: TestClient) -> None:
    """Starlette's own shape never reaches a client."""
    assert client.get("/v1/nothing").json()["error"]["code"] == "not_found"
    assert client.get(CHAT).json()["error"]["code"] == "method_not_allowed"
    assert client.get("/v1/models/nothing").json()["error"]["code"] == "model_not_found"


class BrokenEngine(EchoEngine):
    """Fails with a text that must not be seen outside."""

    async def chat(self, body: dict[str, Any], headers: Any, request_id: str) -> Any:
        raise RuntimeError("secret /etc/path")


def test_an_unexpected_failure_tells_a_caller_only_the_request_id(make_app, caplog: pytest.LogCaptureFixture) -> None:
    """The text goes to the log, under the id that the caller was given, and the decision's headers are there."""
    app: FastAPI = make_app(BrokenEngine(ServiceConfig(engine="echo")))
    with ready_client(app) as client:
        response = client.post(CHAT, json=ask("hi"), headers={"x-request-id": "find-me"})
        assert client.get("/health").status_code == 200
    assert response.status_code == 500
    assert response.json()["error"]["message"] == "internal error: the log names request find-me"
    assert response.headers["x-pointsman-route"] == "base"
    assert "secret" not in response.text
    assert "find-me" in caplog.text
