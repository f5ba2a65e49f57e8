"""The second stage on EchoEngine, whose log-probabilities fall with the length of the words it is asked to say back."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import Response
from starlette.testclient import TestClient

from index.calibration import AnswerCalibration, Calibration
from service.app import create_app
from service.engines.echo import EchoEngine
from service.engines.protocol import Answer, Stream
from service.errors import ClientGone, EngineFailed, PromptTooLong
from tests.service.small_service import (
    CALIBRATION,
    SORTS,
    IndexedSpecialist,
    WordEncoder,
    ask,
    echo_config,
    events,
    ready_client,
    specialist,
)
from tests.service.test_operations import sample

CHAT = "/v1/chat/completions"
STAGE = {"below": 0.5}
UNSURE, SURE, SUREST = -1.0, 1.0, 2.0


def constant(log_odds: float) -> AnswerCalibration:
    """The same confidence in every answer."""
    return by_words(log_odds, 0.0)


def by_words(log_odds: float, weight: float) -> AnswerCalibration:
    """A confidence that falls with the mean length of words, at `weight` for each hundred characters."""
    return AnswerCalibration(
        features=("mean",), mean=(0.0,), scale=(1.0,), coefficients=(weight,), intercept=log_odds, right=0, wrong=0,
        metrics={},
    )  # fmt: skip


def stated(base: AnswerCalibration, own: AnswerCalibration) -> Calibration:
    """A bundle's calibration with confidences in base's answers and in its own."""
    return CALIBRATION.model_copy(update={"answers": {"base": base, "specialist": own}})


class Recorder(EchoEngine):
    """Keeps the bodies it is asked; a model named in `faults` raises, `tools` calls a tool, `held` are its adapters."""

    def __init__(
        self,
        faults: Mapping[str, Exception] | None = None,
        tools: str = "",
        delay_s: float = 0.0,
        held: Collection[str] = ("polars",),
    ) -> None:
        super().__init__(echo_config())
        self.held = held
        self.bodies: list[dict[str, Any]] = []
        self.faults = faults or {}
        self.tools = tools
        self.delay_s = delay_s

    def adapters(self) -> Collection[str]:
        return self.held

    async def chat(self, body: dict[str, Any], headers: Mapping[str, str], request_id: str) -> Answer | Stream:
        self.bodies.append(body)
        await asyncio.sleep(self.delay_s)
        if body["model"] in self.faults:
            raise self.faults[body["model"]]
        answer = await super().chat(body, headers, request_id)
        if body["model"] == self.tools and isinstance(answer, Answer):
            answer.body["choices"][0]["message"]["tool_calls"] = [{"type": "function"}]
        return answer

    @property
    def asked(self) -> list[str]:
        """Who was asked, in order."""
        return [body["model"] for body in self.bodies]


Start = Callable[..., Any]


@pytest.fixture
def start(encoder: WordEncoder) -> Start:
    """Starts a service with one specialist; the confidences in its and in base's answers can be given."""

    @contextmanager
    def started(
        base: AnswerCalibration, own: AnswerCalibration, engine: EchoEngine, **changes: Any
    ) -> Iterator[TestClient]:
        known = specialist("polars", SORTS, encoder, context=True, calibration=stated(base, own))
        with ready_client(app(known, encoder, engine, **changes)) as client:
            yield client

    return started


def app(known: IndexedSpecialist, encoder: WordEncoder, engine: EchoEngine, **changes: Any) -> FastAPI:
    """A service with the second stage on; what is given of the gate is added."""
    gate = {"timeout_ms": 60_000, "second_stage": STAGE, **changes.pop("gate", {})}
    return create_app(echo_config(gate=gate, **changes), engine, specialists=[known], encoder=encoder)


def stage_of(body: dict[str, Any]) -> dict[str, Any]:
    """The answer's `second_stage` object."""
    return body["pointsman"]["routing"]["second_stage"]


def is_silent(response: Response) -> bool:
    """Whether an answer says nothing of a second stage."""
    return "second_stage" not in response.text and "x-pointsman-confidence" not in response.headers


def test_a_doubted_answer_of_the_specialist_gives_way_to_bases(start: Start) -> None:
    """Model, adapter, route, headers and usage are base's; the specialist's tokens and both confidences are told."""
    engine = Recorder()
    with start(constant(SURE), constant(UNSURE), engine) as client:
        response = client.post(CHAT, json=ask(SORTS[0]))
        body, headers = response.json(), response.headers
        routing, stage = body["pointsman"]["routing"], stage_of(body)
        assert engine.asked == ["polars", "base"]
        assert (body["model"], routing["model"], routing["route"], routing["specialist"]) == (
            "base",
            "base",
            "base",
            None,
        )
        assert (routing["candidate"], routing["reason"], routing["context"]) == ("polars", "above_threshold", False)
        assert stage["asked"] is True
        assert (stage["other"], stage["kept"]) == ("base", "base")
        assert stage["confidence"] == pytest.approx(0.2689, abs=1e-4)
        assert stage["other_confidence"] == pytest.approx(0.7311, abs=1e-4)
        assert headers["x-pointsman-confidence"] == "0.7311"
        assert headers["x-pointsman-route"] == "base"
        assert "x-adapter-id" not in headers
        # Base saw the question alone, the specialist the evidence too.
        assert body["choices"][0]["message"]["content"] == SORTS[0]
        assert body["usage"]["prompt_tokens"] == len(SORTS[0].split()) < stage["discarded_usage"]["prompt_tokens"]
        assert sample(client, "pointsman_second_stage_total", **{"from": "polars", "kept": "base"}) == 1
        assert sample(client, "pointsman_requests_total", endpoint=CHAT, route="base", specialist="none") == 1
        for route, usage in (("base", body["usage"]), ("specialist", stage["discarded_usage"])):
            assert sample(client, "pointsman_tokens_total", kind="prompt", route=route) == usage["prompt_tokens"]


@pytest.mark.parametrize(("base", "kept"), [(-2.0, "polars"), (UNSURE, "polars"), (-0.5, "base")])
def test_the_surer_of_two_doubted_answers_is_given_and_the_first_of_equals(
    start: Start, base: float, kept: str
) -> None:
    """Whoever is kept, nobody is asked a third time."""
    engine = Recorder()
    with start(constant(base), constant(UNSURE), engine) as client:
        response = client.post(CHAT, json=ask(SORTS[0]))
        body, stage = response.json(), stage_of(response.json())
        assert engine.asked == ["polars", "base"]
        assert (body["model"], stage["kept"], stage["other"]) == (kept, kept, "base")
        assert response.headers.get("x-adapter-id") == (kept if kept == "polars" else None)
        assert body["pointsman"]["routing"]["context"] is (kept == "polars")
        given = stage["confidence" if kept == "polars" else "other_confidence"]
        assert response.headers["x-pointsman-confidence"] == f"{given:.4f}"
        assert sample(client, "pointsman_second_stage_total", **{"from": "polars", "kept": kept}) == 1


def test_only_an_answer_below_the_limit_is_doubted(start: Start) -> None:
    """The confidence follows the answer's own log-probabilities: long words are unsure words here."""
    engine = Recorder()
    with start(constant(SUREST), by_words(1.0, 10.0), engine) as client:
        for text, asked in (("sort rows by a column", False), ("sort rows by a column " + "x" * 300, True)):
            body = ask(text, pointsman={"threshold": 0.01, "context": "off"})
            stage = stage_of(client.post(CHAT, json=body).json())
            assert stage["asked"] is asked
            assert (stage["confidence"] < 0.5) is asked
        assert engine.asked == ["polars", "polars", "base"]


def test_an_answer_exactly_at_the_limit_is_kept(start: Start) -> None:
    """Below is below."""
    engine = Recorder()
    with start(constant(SURE), constant(0.0), engine) as client:
        stage = stage_of(client.post(CHAT, json=ask(SORTS[0])).json())
        assert (stage["confidence"], stage["asked"], stage["kept"]) == (0.5, False, None)
        assert engine.asked == ["polars"]
        assert sample(client, "pointsman_second_stage_total") == 0


def test_base_is_doubted_only_where_the_gate_was_in_doubt(start: Start) -> None:
    """Otherwise out-of-domain queries would reach the specialist more often than the bundle promises."""
    engine = Recorder()
    with start(constant(UNSURE), constant(SURE), engine, gate={"second_stage": STAGE, "ambiguous_band": 0.1}) as client:
        far = client.post(CHAT, json=ask("bake bread")).json()
        assert far["pointsman"]["routing"]["reason"] == "below_threshold"
        assert stage_of(far)["asked"] is False
        assert stage_of(far)["confidence"] == pytest.approx(0.2689, abs=1e-4)
        half = "sort rows now please"
        probability = client.post("/v1/route", json=ask(half)).json()["probability"]
        near = client.post(CHAT, json=ask(half, pointsman={"threshold": probability + 0.05}))
        routing = near.json()["pointsman"]["routing"]
        assert engine.asked == ["base", "base", "polars"]
        assert (routing["model"], routing["route"], routing["reason"]) == ("polars", "specialist", "ambiguous")
        assert near.headers["x-adapter-id"] == near.json()["model"] == "polars"
        # As the bundle says, the specialist gets its evidence.
        assert routing["context"] is True
        assert SORTS[0] in near.json()["choices"][0]["message"]["content"]
        assert half == engine.bodies[1]["messages"][0]["content"]


def test_a_specialist_the_engine_does_not_hold_gives_no_second_answer(start: Start) -> None:
    """Base's answer is judged and stays."""
    engine = Recorder(held=())
    gate = {"second_stage": STAGE, "ambiguous_band": 0.4, "threshold": 0.6}
    with start(constant(UNSURE), constant(SURE), engine, gate=gate) as client:
        body = client.post(CHAT, json=ask("sort rows now please")).json()
        assert body["pointsman"]["routing"]["reason"] == "ambiguous"
        assert (body["model"], stage_of(body)["asked"], engine.asked) == ("base", False, ["base"])
        assert stage_of(body)["confidence"] < 0.5


def test_evidence_that_does_not_fit_is_left_out_of_the_second_answer_too(start: Start) -> None:
    """The specialist is asked again without it, and that is told."""
    config = echo_config(max_model_len=16)
    engine = EchoEngine(config)
    gate = {"second_stage": STAGE, "ambiguous_band": 0.4, "threshold": 0.6}
    with start(constant(UNSURE), constant(SURE), engine, gate=gate, max_model_len=16) as client:
        body = client.post(CHAT, json=ask("sort rows now please")).json()
        assert (body["model"], body["pointsman"]["routing"]["context"]) == ("polars", False)
        assert body["choices"][0]["message"]["content"] == "sort rows now please"


def test_what_was_not_routed_is_not_doubted(start: Start) -> None:
    """A caller who names a model gets that one, without any word of a second stage."""
    engine = Recorder()
    with start(constant(SURE), constant(UNSURE), engine) as client:
        named = (ask(SORTS[0], "polars"), ask(SORTS[0], pointsman={"route": "polars"}))
        for body in named:
            assert is_silent(client.post(CHAT, json=body))
        assert engine.asked == ["polars", "polars"]
        assert not any("logprobs" in body for body in engine.bodies)


def test_a_stream_was_shown_already_and_several_answers_have_no_one_confidence(start: Start) -> None:
    """The decision says that nothing was asked; the engine is asked what the caller asked."""
    engine = Recorder()
    with start(constant(SURE), constant(UNSURE), engine) as client:
        streamed = events(client.post(CHAT, json=ask(SORTS[0], stream=True)).text)[-1]
        several = client.post(CHAT, json=ask(SORTS[0], n=2)).json()
        for answer in (streamed, several):
            assert stage_of(answer) == {
                "asked": False, "confidence": None, "other": None, "other_confidence": None, "kept": None,
                "discarded_usage": None,
            }  # fmt: skip
        assert engine.asked == ["polars", "polars"]
        assert not any("logprobs" in body for body in engine.bodies)


def test_tool_calls_are_never_doubted_and_never_preferred(start: Start) -> None:
    """Confidence was calibrated on text alone."""
    for tools, asked in (("polars", ["polars"]), ("base", ["polars", "base"])):
        engine = Recorder(tools=tools)
        with start(constant(SURE), constant(UNSURE), engine) as client:
            body = client.post(CHAT, json=ask(SORTS[0])).json()
            assert engine.asked == asked
            assert (body["model"], stage_of(body)["other_confidence"]) == ("polars", None)
            assert ("tool_calls" in body["choices"][0]["message"]) is (tools == "polars")


def test_an_answer_without_tokens_has_no_confidence(start: Start) -> None:
    """There is nothing to judge it by."""
    engine = Recorder()
    with start(constant(SURE), constant(UNSURE), engine) as client:
        answer = client.post(CHAT, json=ask(SORTS[0], stop="Documentation")).json()
        assert answer["choices"][0]["message"]["content"] == ""
        assert stage_of(answer)["confidence"] is None
        assert engine.asked == ["polars"]


def test_the_callers_body_is_as_without_the_stage(start: Start) -> None:
    """Log-probabilities are asked of the engine, and given only to who asked for them."""
    found = {}
    for below in (None, 0.5):
        engine = Recorder()
        with start(constant(UNSURE), constant(SURE), engine, gate={"second_stage": {"below": below}}) as client:
            for extra in ({}, {"logprobs": True}, {"logprobs": True, "top_logprobs": 2}, {"top_logprobs": 2}):
                response = client.post(CHAT, json=ask(SORTS[0], **extra)).json()
                found[below, str(extra)] = (set(response), response["choices"], response["usage"])
        assert [body.get("logprobs") for body in engine.bodies] == [True if below else None, True, True, None]
    for (below, extra), answer in found.items():
        assert answer == found[None, extra], (below, extra)
    assert found[0.5, "{}"][1][0]["logprobs"] is None
    assert found[0.5, "{'logprobs': True}"][1][0]["logprobs"]["content"]


@pytest.mark.parametrize("fault", [EngineFailed("broken"), PromptTooLong("too long"), RuntimeError("no memory")])
def test_a_second_answer_that_fails_costs_nobody_the_first(
    start: Start, fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """It is counted and logged, and the caller sees who was asked in vain."""
    engine = Recorder(faults={"base": fault})
    with start(constant(SURE), constant(UNSURE), engine) as client:
        response = client.post(CHAT, json=ask(SORTS[0]))
        stage = stage_of(response.json())
        assert (response.status_code, response.json()["model"]) == (200, "polars")
        assert (stage["asked"], stage["other"], stage["other_confidence"]) == (True, "base", None)
        assert (stage["kept"], stage["discarded_usage"]) == ("polars", None)
        assert sample(client, "pointsman_second_stage_failures_total", other="base") == 1
        assert sample(client, "pointsman_second_stage_total", **{"from": "polars", "kept": "polars"}) == 1
    assert '"base" gave no second answer' in caplog.text


def test_nobody_is_given_an_answer_who_left_during_the_second(start: Start) -> None:
    """The request is counted as given up, not the other model as failed."""
    engine = Recorder(faults={"base": ClientGone("the client closed the connection")})
    with start(constant(SURE), constant(UNSURE), engine) as client:
        assert client.post(CHAT, json=ask(SORTS[0])).status_code == 499
        assert sample(client, "pointsman_second_stage_failures_total", other="base") == 0


def test_a_first_answer_that_fails_is_refused_as_ever(start: Start) -> None:
    """The stage doubts answers; it does not repair failures."""
    engine = Recorder(faults={"polars": EngineFailed("broken")})
    with start(constant(SURE), constant(UNSURE), engine) as client:
        response = client.post(CHAT, json=ask(SORTS[0]))
        assert (response.status_code, response.json()["error"]["code"]) == (500, "engine_failed")
        assert engine.asked == ["polars"]


def test_the_time_limit_holds_for_both_answers_together(start: Start) -> None:
    """A second answer that does not come within it is given up; one alone would have fitted. Both are engine time."""
    engine = Recorder(delay_s=2)
    with start(constant(SURE), constant(UNSURE), engine, limits={"request_s": 3}) as client:
        response = client.post(CHAT, json=ask(SORTS[0]))
        assert (response.status_code, response.json()["model"]) == (200, "polars")
        assert engine.asked == ["polars", "base"]
        assert stage_of(response.json())["other_confidence"] is None
        assert sample(client, "pointsman_second_stage_failures_total", other="base") == 1
        assert engine.running == 0
        assert float(response.headers["server-timing"].partition("engine;dur=")[2].partition(",")[0]) > 2500


def test_a_bundle_without_confidences_is_served_as_ever_and_named_in_the_log(
    encoder: WordEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, at the start; one of the two confidences is none, for nothing could be compared."""
    half = CALIBRATION.model_copy(update={"answers": {"specialist": constant(UNSURE)}})
    for calibration in (CALIBRATION, half):
        caplog.clear()
        engine = Recorder()
        known = specialist("polars", SORTS, encoder, calibration=calibration)
        with ready_client(app(known, encoder, engine)) as client:
            for _ in range(2):
                body = client.post(CHAT, json=ask(SORTS[0])).json()
        assert engine.asked == ["polars", "polars"]
        assert stage_of(body)["confidence"] is None
        assert not any("logprobs" in body for body in engine.bodies)
        assert caplog.text.count('gate.second_stage does nothing for bundle "polars"') == 1


def test_it_is_off_by_default(
    make_app: Callable[..., FastAPI], client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    """No word of it in log, headers or decision."""
    assert is_silent(client.post(CHAT, json=ask(SORTS[0])))
    assert "second_stage" not in caplog.text
