"""The official openai client against a true server on the loopback: what it sends is understood, and it accepts all."""

from collections.abc import Callable, Iterator

import openai
import pytest
from fastapi import FastAPI

from service.engines.echo import EchoEngine
from tests.service.small_service import SORTS, echo_config, listening, wait_until


@pytest.fixture
def engine() -> EchoEngine:
    return EchoEngine(echo_config(), token_s=0.01)


@pytest.fixture
def client(make_app: Callable[..., FastAPI], engine: EchoEngine) -> Iterator[openai.OpenAI]:
    with (
        listening(make_app(engine)) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=3) as client,
    ):
        yield client


def test_a_whole_answer_with_the_decision(client: openai.OpenAI) -> None:
    """The client keeps the unknown `pointsman` object, and the raw response has the headers."""
    raw = client.chat.completions.with_raw_response.create(model="auto", messages=message(SORTS[0]))
    answer = raw.parse()
    assert raw.headers["x-pointsman-route"] == "specialist"
    assert answer.model == "polars"
    assert answer.model_extra["pointsman"]["routing"]["evidence"][0]["id"] == "polars:0"
    assert answer.usage.completion_tokens > 0


def test_options_go_into_extra_body(client: openai.OpenAI) -> None:
    """The way OpenAI's clients send fields they do not know."""
    body = {"pointsman": {"route": "base"}}
    answer = client.chat.completions.create(model="auto", messages=message(SORTS[0]), extra_body=body)
    assert answer.model == "base"


def test_a_stream_ends_with_the_decision(client: openai.OpenAI) -> None:
    """With and without usage."""
    for options in ({}, {"stream_options": {"include_usage": True}}):
        stream = client.chat.completions.create(model="auto", messages=message("a b c"), stream=True, **options)
        chunks = list(stream)
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "a b c"
        assert chunks[-1].model_extra["pointsman"]["routing"]["route"] == "base"
        assert bool(chunks[-1].usage) == bool(options)


def test_choices_stop_seed_and_limit(client: openai.OpenAI) -> None:
    """Each is honoured, whole."""
    text = "one two three four five six"
    ask = {"model": "base", "messages": message(text), "n": 2, "temperature": 0}
    answer = client.chat.completions.create(**ask, max_tokens=3)
    assert [(c.message.content, c.finish_reason) for c in answer.choices] == [("one two three", "length")] * 2
    answer = client.chat.completions.create(**ask, stop="three")
    assert [(c.message.content, c.finish_reason) for c in answer.choices] == [("one two", "stop")] * 2
    seeded = [
        client.chat.completions.create(model="base", messages=message(text), seed=seed).choices[0].message.content
        for seed in (7, 7, 8)
    ]
    assert seeded[0] == seeded[1] != seeded[2]


def test_log_probabilities_come_in_openais_shape(client: openai.OpenAI) -> None:
    """For every token its own and the alternatives', whole and streamed alike."""
    ask = {"model": "base", "messages": message("a b"), "logprobs": True, "top_logprobs": 3}
    whole = client.chat.completions.create(**ask).choices[0].logprobs.content
    streamed = [
        token
        for chunk in client.chat.completions.create(**ask, stream=True)
        if chunk.choices[0].logprobs
        for token in chunk.choices[0].logprobs.content
    ]
    assert whole == streamed
    assert [len(token.top_logprobs) for token in whole] == [3, 3]
    assert whole[0].logprob == whole[0].top_logprobs[0].logprob


def test_errors_become_the_clients_exceptions(client: openai.OpenAI) -> None:
    """By status, with our message and param."""
    with pytest.raises(openai.NotFoundError, match='"nobody" does not exist') as caught:
        client.chat.completions.create(model="nobody", messages=message("hi"))
    assert caught.value.param == "model"
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError, match="at least 1 item"):
        client.chat.completions.create(model="auto", messages=[])


def test_models_can_be_listed_and_retrieved(client: openai.OpenAI) -> None:
    """As the client's own methods do."""
    assert [model.id for model in client.models.list()] == ["auto", "base", "polars", "regex"]
    assert client.models.retrieve("polars").model_extra["parent"] == "base"


def test_leaving_in_mid_stream_ends_the_generation(client: openai.OpenAI, engine: EchoEngine) -> None:
    """And the request is counted as left by the client."""
    stream = client.chat.completions.create(model="base", messages=message("word " * 400), stream=True)
    next(iter(stream))
    assert engine.running == 1
    stream.close()
    wait_until(lambda: engine.running == 0, 2)
    metrics = client.with_options(base_url=str(client.base_url).replace("/v1", "")).get("/metrics", cast_to=str)
    assert 'status="499"' in metrics


def test_giving_up_on_a_whole_answer_ends_the_generation(client: openai.OpenAI, engine: EchoEngine) -> None:
    """As when a client's timeout strikes."""
    impatient = client.with_options(timeout=0.3, max_retries=0)
    with pytest.raises(openai.APITimeoutError):
        impatient.chat.completions.create(model="base", messages=message("word " * 400))
    wait_until(lambda: engine.running == 0, 2)


def message(text: str) -> list:
    """One user message."""
    return [{"role": "user", "content": text}]
