"""The real engine, started once on the tiny model with two random specialists, driven over HTTP by the openai client.

Not covered: what the answers are worth (the adapters are random), and base, specialist A and B in one batch
(tests/service/lora_cpu).
"""

import concurrent.futures
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
import yaml

from index.embed import Encoder, load_encoder
from starter import resolve_encoder, resolve_model
from tests.service.small_bundle import write_bundle
from tests.service.small_service import REGEX, SORTS, wait_until

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]
PROGRAM = "import sys; from service.serve import serve; sys.exit(serve(sys.argv[1], port=0))"
START_S = 240
CONTEXT_TOKENS = 1024


def small_models() -> tuple[Path, Encoder]:
    """The folders of the smallest model and of the encoder."""
    assert resolve_encoder("starter")
    return resolve_model("tiny"), load_encoder("starter")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running service; at the end it must stop by itself with 0."""
    folder = tmp_path_factory.mktemp("service")
    model, encoder = small_models()
    bundles = [
        write_bundle(folder / name, texts, model=model, encoder=encoder, seed=seed)
        for seed, (name, texts) in enumerate((("polars", SORTS), ("regex", REGEX)), 1)
    ]
    settings = {"model": str(model), "bundles": [str(b) for b in bundles], "max_model_len": CONTEXT_TOKENS}
    settings["gate"] = {"timeout_ms": 20_000}
    (folder / "service.yaml").write_text(yaml.safe_dump(settings))
    with (folder / "log").open("w") as log:
        command = [sys.executable, "-c", PROGRAM, str(folder / "service.yaml")]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            lines = []
            for line in process.stdout:
                lines.append(line)
                if found := re.search(r"Pointsman is ready: (http://\S+)/v1", line):
                    break
            else:
                pytest.fail("".join(lines) + (folder / "log").read_text())
            yield found.group(1)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.stdout.close()


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=120) as client:
        yield client


def message(text: str) -> list:
    """One user message."""
    return [{"role": "user", "content": text}]


def running(url: str) -> float:
    """Answers the engine works on, by its own metrics."""
    text = httpx.get(f"{url}/metrics").text
    counts = re.findall(r"^vllm:num_requests_(?:running|waiting)\{[^}]*\} (\S+)$", text, re.MULTILINE)
    return sum(map(float, counts))


def test_auto_is_routed_by_the_real_encoder(client: openai.OpenAI) -> None:
    """A question in a specialist's words goes there, another to base; `model` says who served."""
    routed = client.chat.completions.create(model="auto", messages=message(SORTS[0]), max_tokens=4)
    other = client.chat.completions.create(model="auto", messages=message("Bake me a cake."), max_tokens=4)
    assert routed.model == "polars"
    assert routed.model_extra["pointsman"]["routing"]["reason"] == "above_threshold"
    assert other.model == "base"


def test_each_adapter_speaks_for_itself(client: openai.OpenAI) -> None:
    """The same greedy question has three different first-token probabilities."""
    probabilities = {
        client.chat.completions.create(
            model=model, messages=message("Say hello."), max_tokens=1, temperature=0, logprobs=True
        )
        .choices[0]
        .logprobs.content[0]
        .logprob
        for model in ("base", "polars", "regex")
    }
    assert len(probabilities) == 3


def test_a_stream_is_whole_and_ends_with_the_decision(client: openai.OpenAI) -> None:
    """The same greedy text as the whole answer, with usage where it was asked for."""
    ask = {"model": "base", "messages": message("Count to five."), "max_tokens": 12, "temperature": 0}
    whole = client.chat.completions.create(**ask)
    for options in ({}, {"stream_options": {"include_usage": True}}):
        chunks = list(client.chat.completions.create(**ask, stream=True, **options))
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        assert text == whole.choices[0].message.content
        assert chunks[-1].model_extra["pointsman"]["routing"]["reason"] == "forced"
        assert (chunks[-1].usage.completion_tokens if chunks[-1].usage else None) == (12 if options else None)


def test_n_and_stop(client: openai.OpenAI) -> None:
    """Two answers, and an end before the stop text."""
    ask = {"model": "base", "messages": message("Write: one two three four five"), "temperature": 1, "seed": 1}
    answer = client.chat.completions.create(**ask, n=2, max_tokens=16)
    assert len({choice.message.content for choice in answer.choices}) == 2
    text = answer.choices[0].message.content
    word = text.split()[2]
    stopped = client.chat.completions.create(**ask, n=2, max_tokens=16, stop=word).choices[0]
    assert stopped.finish_reason == "stop"
    assert stopped.message.content == text[: text.index(word)]


def test_a_seed_repeats_an_answer(client: openai.OpenAI) -> None:
    """Sampled with one seed twice it is the same text, with another seed another."""
    texts = [
        client.chat.completions.create(
            model="base", messages=message("Tell me a story."), max_tokens=16, temperature=1, seed=seed
        )
        .choices[0]
        .message.content
        for seed in (7, 7, 8)
    ]
    assert texts[0] == texts[1] != texts[2]


def test_seeds_with_more_prompts_than_one_step_takes(client: openai.OpenAI) -> None:
    """Together more than 2,048 tokens, vLLM's step on a CPU: split over two steps, a seeded one ends the engine."""

    def ask(number: int) -> bool:
        prompt = message(f"{number}. " + "word " * 800)
        answer = client.chat.completions.create(model="base", messages=prompt, max_tokens=4, temperature=1, seed=number)
        return answer.choices[0].finish_reason in ("stop", "length")

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert all(pool.map(ask, range(6)))


def test_log_probabilities_whole_and_streamed(client: openai.OpenAI) -> None:
    """Every token with its alternatives; greedy, the chosen one is the best."""
    ask = {"model": "polars", "messages": message("Say hello."), "max_tokens": 6, "temperature": 0}
    ask |= {"logprobs": True, "top_logprobs": 3}
    whole = client.chat.completions.create(**ask).choices[0].logprobs.content
    streamed = [
        token
        for chunk in client.chat.completions.create(**ask, stream=True)
        if chunk.choices[0].logprobs
        for token in chunk.choices[0].logprobs.content
    ]
    assert [token.token for token in whole] == [token.token for token in streamed]
    for one, other in zip(whole, streamed, strict=True):
        assert one.logprob == pytest.approx(other.logprob, abs=0.05)
        assert len(one.top_logprobs) >= 3
        assert one.logprob == pytest.approx(max(top.logprob for top in one.top_logprobs), abs=1e-6)


def test_fields_that_only_vllm_knows_come_through(client: openai.OpenAI) -> None:
    """A JSON schema constrains the answer; token ids are returned."""
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    schema["additionalProperties"] = False
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    answer = client.chat.completions.create(
        model="base",
        messages=message("Is water wet? Answer in JSON."),
        max_tokens=40,
        temperature=0,
        response_format=wanted,
        extra_body={"return_token_ids": True},
    )
    assert json.loads(answer.choices[0].message.content)["ok"] in (True, False)
    assert len(answer.choices[0].model_extra["token_ids"]) == answer.usage.completion_tokens


def test_leaving_in_mid_stream_aborts_the_generation(client: openai.OpenAI, url: str) -> None:
    """The engine works on nothing a moment later."""
    endless = {"max_tokens": 900, "extra_body": {"ignore_eos": True}}
    stream = client.chat.completions.create(model="base", messages=message("Write a novel."), stream=True, **endless)
    next(iter(stream))
    assert running(url) == 1
    stream.close()
    wait_until(lambda: running(url) == 0, 5)


def test_giving_up_on_a_whole_answer_aborts_it(client: openai.OpenAI, url: str) -> None:
    """As when a client's timeout strikes."""
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=2).chat.completions.create(
            model="polars", messages=message("Write."), max_tokens=900, extra_body={"ignore_eos": True}
        )
    wait_until(lambda: running(url) == 0, 5)


def test_the_event_loop_stays_free_while_the_model_works(client: openai.OpenAI, url: str) -> None:
    """/health answers at once beside four generations: the model runs in a process of its own."""
    ask = {"model": "base", "messages": message("Write."), "max_tokens": 40, "extra_body": {"ignore_eos": True}}
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(client.chat.completions.create, **ask) for _ in range(4)]
        delays = []
        while not all(answer.done() for answer in answers):
            started = time.perf_counter()
            assert httpx.get(f"{url}/health").status_code == 200
            delays.append(time.perf_counter() - started)
    assert sorted(delays)[len(delays) // 2] < 0.25
    assert all(answer.result().usage.completion_tokens == 40 for answer in answers)


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}

BAD = {
    "over-long prompt": ({"messages": message("word " * 2000)}, "context_length_exceeded", "messages"),
    "over-long answer": ({"max_tokens": 100_000}, "invalid_value", "max_tokens"),
    "unknown model": ({"model": "nobody"}, "model_not_found", "model"),
    "ill-typed temperature": ({"temperature": "hot"}, "invalid_value", "temperature"),
    "negative temperature": ({"temperature": -1}, "invalid_value", "temperature"),
    "ill-typed tools": ({"tools": [3]}, "invalid_value", "tools.0"),
    "too many choices": ({"n": 1000}, "invalid_value", "n"),
    "too many alternatives": ({"logprobs": True, "top_logprobs": 99}, "invalid_value", "logprobs"),
    "image for a text model": ({"messages": [{"role": "user", "content": [IMAGE]}]}, "invalid_value", None),
    "a grammar that is none": ({"structured_outputs": {"regex": "(("}}, "invalid_value", None),
    "token outside the vocabulary": ({"logit_bias": {"99999999": 1}}, "invalid_value", None),
    "unknown key": ({"pointsman": {"rout": "x"}}, "invalid_value", "pointsman.rout"),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", BAD)
def test_bad_requests_are_refused_before_a_stream_begins(url: str, name: str, stream: bool) -> None:
    """In OpenAI's shape with status 4xx, also when a stream was asked for."""
    changes, code, param = BAD[name]
    body = {"model": "base", "messages": message("hi"), "max_tokens": 2, "stream": stream} | changes
    response = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60)
    error = response.json()["error"]
    assert response.status_code == (404 if code == "model_not_found" else 400), error
    assert (error["type"], error["code"]) == ("invalid_request_error", code), error
    assert param in (None, error["param"]), error
    assert not any(str(folder) in error["message"] for folder in (ROOT, Path.home()))


def test_after_all_that_it_still_answers(client: openai.OpenAI, url: str) -> None:
    """And both kinds of metrics are there."""
    answer = client.chat.completions.create(model="regex", messages=message("hi"), max_tokens=2)
    assert answer.usage.completion_tokens == 2
    metrics = httpx.get(f"{url}/metrics").text
    assert "vllm:num_requests_running" in metrics
    assert 'pointsman_requests_total{endpoint="/v1/chat/completions"' in metrics
