"""After the answer: one with little calibrated confidence sends the request to the other model, once.

The answer with the higher confidence is given, the first where they are equal; whatever goes wrong with the second
costs nobody the first. A confidence is the probability that an answer passes when executed, from its tokens'
log-probabilities, by the best candidate's bundle: it states base's on its queries as well as its own.

Not covered: what a caller has seen already (streams), several answers at once, tool calls, models asked for by name.
"""

import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, get_args

from index.calibration import AnswerCalibration, Route
from index.confidence import answer_features
from service.config import SecondStageConfig
from service.decision import Decision, SecondOpinion
from service.engines.protocol import Answer, Stream
from service.errors import ClientGone
from service.gate import Gate
from service.metrics import Metrics
from service.request import ChatRequest, RoutingOptions

# For the checker only: importing these loads the encoder library, which takes seconds.
if TYPE_CHECKING:
    from index.bundle import Specialist

logger = logging.getLogger(__name__)

# Asks the engine what was decided; gives the decision as it was carried out.
Generate = Callable[[ChatRequest, Decision], Awaitable[tuple[Decision, Answer | Stream]]]
Calibrations = Mapping[Route, AnswerCalibration]


@dataclass(frozen=True)
class Attempt:
    """One whole answer, by whom, and the confidence in it, None where it cannot be told."""

    decision: Decision
    answer: Answer
    confidence: float | None


class SecondStage:
    """One per service; without `below` it passes every request on."""

    def __init__(
        self,
        config: SecondStageConfig,
        *,
        gate: Gate,
        specialists: "Mapping[str, Specialist]",
        metrics: Metrics,
    ) -> None:
        self._below = config.below
        self._gate = gate
        self._metrics = metrics
        self._calibrations: Mapping[str, Calibrations] = {
            name: one.calibration.answers
            for name, one in specialists.items()
            if one.calibration.answers.keys() == set(get_args(Route))
        }
        for name in specialists.keys() - self._calibrations.keys() if self._below is not None else ():
            logger.warning(
                'gate.second_stage does nothing for bundle "%s", which states no confidence in answers of both models: '
                "run `pointsman gate calibrate` with executed answers",
                name,
            )

    async def answer(
        self, ask: ChatRequest, options: RoutingOptions, decision: Decision, generate: Generate
    ) -> tuple[Decision, Answer | Stream]:
        """The answer of the model decided on, or of the other one; raises what the first attempt raises."""
        if self._below is None or decision.reason == "forced":
            return await generate(ask, decision)
        calibrations = self._calibrations.get(decision.candidate.name) if decision.candidate else None
        if calibrations is None or ask.stream or ask.n > 1:
            return await generate(ask, replace(decision, second=SecondOpinion()))
        judged = ask if ask.wants_logprobs else ask.with_logprobs()
        attempt = partial(judge, judged, generate, calibrations)
        first = await attempt(decision)
        other = self._gate.other(decision, options)
        if first.confidence is None or first.confidence >= self._below or other is None:
            given, opinion = first, SecondOpinion(first.confidence)
        else:
            given, opinion = await self._escalate(first, first.confidence, other, attempt)
        answer = given.answer if judged is ask else without_logprobs(given.answer)
        return replace(given.decision, second=opinion), answer

    async def _escalate(
        self, first: Attempt, confidence: float, other: Decision, attempt: Callable[[Decision], Awaitable[Attempt]]
    ) -> tuple[Attempt, SecondOpinion]:
        """The better of two answers, and what is told of both."""
        second = None
        try:
            second = await attempt(other)
        except ClientGone:
            raise
        except Exception:
            # An addition, like the gate: when it fails, the caller still has an answer.
            logger.exception('"%s" gave no second answer (decision %s); the first is given', other.model, other.id)
            self._metrics.second_stage_failures.labels(other.model).inc()
        given, dropped = first, second
        if second and second.confidence is not None and second.confidence > confidence:
            given, dropped = second, first
        self._metrics.second_stage.labels(first.decision.model, given.decision.model).inc()
        usage = dropped.answer.body.get("usage") if dropped else None
        if dropped and usage:
            self._metrics.count_tokens(usage, dropped.decision.route, dropped.decision.specialist or "none")
        other_confidence = second.confidence if second else None
        return given, SecondOpinion(confidence, other.model, other_confidence, given.decision.model, usage)


async def judge(ask: ChatRequest, generate: Generate, calibrations: Calibrations, decision: Decision) -> Attempt:
    """Ask one model, and how sure it is of its answer."""
    decision, answer = await generate(ask, decision)
    assert isinstance(answer, Answer)
    return Attempt(decision, answer, confidence_in(answer, calibrations[decision.route]))


def confidence_in(answer: Answer, calibration: AnswerCalibration) -> float | None:
    """The probability that an answer is right; None where it holds tool calls, no tokens, or a number that is none."""
    choice = answer.body["choices"][0]
    content = (choice.get("logprobs") or {}).get("content") or []
    logprobs = [token["logprob"] for token in content]
    if choice["message"].get("tool_calls") or not logprobs or not all(map(math.isfinite, logprobs)):
        return None
    return calibration.probability(answer_features(logprobs))


def without_logprobs(answer: Answer) -> Answer:
    """The answer as it is when nobody asks for log-probabilities."""
    return Answer(answer.body | {"choices": [choice | {"logprobs": None} for choice in answer.body["choices"]]})
