"""What an answer is worth, part by part."""

import json
from collections.abc import Callable

import httpx
import pytest

from training.errors import StageError
from training.evaluate.benchmarks.gsm8k import NumberCheck
from training.evaluate.item import Grade, Item, Run
from training.grpo.config import JudgeSettings, RewardSettings
from training.grpo.judge import HttpJudge
from training.grpo.rewards import format_block, format_exact, number_reward, reward_of


class AnyCheck:
    """A check that is never asked here."""

    rules = ("passed",)

    def grade(self, answer: str, extraction: str, run: Run) -> Grade:
        """Not called."""
        raise AssertionError


ITEM = Item("one", "Add.", AnyCheck(), "MIT", "test")
PASSED = Grade({"passed": True}, "passed")
FAILED = Grade({"passed": False}, "failed")
UNKNOWN = Grade({"passed": False}, "infrastructure_error", counts=False)
BLOCK = "```python\nx = 1\n```"


@pytest.mark.parametrize(
    ("answer", "exact", "block"),
    [
        (BLOCK, 1, 1), (f"\n{BLOCK}\n", 1, 1), ("```py\nx = 1\n```", 1, 1), (f"Here:\n{BLOCK}", 0, 1),
        (f"{BLOCK}\nDone.", 0, 1), (f"{BLOCK}\n{BLOCK}", 0, 1), ("```\nx = 1\n```", 0, 1), ("```python\nx = 1", 0, 0),
        ("x = 1", 0, 0), ("", 0, 0),
    ],
)  # fmt: skip
def test_the_form_of_a_coding_answer(answer: str, exact: float, block: float) -> None:
    """Exact is one Python block alone; a block is closed and anywhere."""
    assert (format_exact(answer), format_block(answer)) == (exact, block)


@pytest.mark.parametrize(
    ("answer", "worth"),
    [
        ("So 40 + 2.\n#### 42", 1), ("#### $42.00", 1), ("\\boxed{42}", 1), ("The answer is 42.", 1),
        ("answer: 42", 1), ("**Answer is** 42 apples", 1), ("It makes 42", 1), ("It makes 1,042", 0), ("#### 41", 0.2),
        ("\\boxed{41} and 42", 0.2), ("The answer is 41, not 42", 0.2), ("It makes 41", 0), ("none", 0), ("", 0),
    ],
)  # fmt: skip
def test_a_number_is_read_in_several_forms(answer: str, worth: float) -> None:
    """Right in any form; wrong in a form that declares it, a share; what is declared stands above a later number."""
    assert number_reward(answer, "42") == worth


def test_the_parts_are_weighed_and_summed() -> None:
    """Correct and in form."""
    settings = RewardSettings(correct=1, format_exact=0.1, format_block=0.05)
    assert reward_of(ITEM, BLOCK, PASSED, settings).total == pytest.approx(1.15)
    assert reward_of(ITEM, f"So {BLOCK}", FAILED, settings).total == pytest.approx(0.0)
    assert reward_of(ITEM, f"So:\n{BLOCK}", FAILED, settings).total == pytest.approx(0.05)


def test_an_infrastructure_error_is_not_wrong() -> None:
    """The sum is unknown, and so is the verdict."""
    found = reward_of(ITEM, BLOCK, UNKNOWN, RewardSettings())
    assert (found.total, found.passed, found.parts["correct"]) == (None, None, None)
    assert found.status == "infrastructure_error"


def test_a_number_has_no_form_of_code() -> None:
    """The share for a stated number does not count as passed."""
    item = Item("n", "How many?", NumberCheck("42"), "MIT", "GSM8K")
    found = reward_of(item, "#### 41", FAILED, RewardSettings())
    assert (found.total, found.passed, list(found.parts)) == (0.2, False, ["correct"])


JUDGE = JudgeSettings(url="http://judge/v1", model="m", weight=0.5)


def judge(handler: Callable[[httpx.Request], httpx.Response], settings: JudgeSettings = JUDGE) -> HttpJudge:
    """A judge behind a transport that calls a function."""
    return HttpJudge(settings, httpx.MockTransport(handler))


def reply(text: object, status: int = 200) -> Callable[[httpx.Request], httpx.Response]:
    """The endpoint that says this."""
    body = {"choices": [{"message": {"content": text}}]}
    return lambda request: httpx.Response(status, json=body)


@pytest.mark.parametrize(("text", "score"), [("0.7", 0.7), (" 1 ", 1), ("0", 0), ("1.0", 1), (".5", 0.5)])
def test_a_judge_says_a_number(text: str, score: float) -> None:
    """From 0 to 1, and the weighted score is part of the sum."""
    assert judge(reply(text))("task", "answer") == score
    settings = RewardSettings(format_exact=0, format_block=0, judge=JUDGE)
    assert reward_of(ITEM, "x", PASSED, settings, judge(reply(text))).total == pytest.approx(1 + score / 2)


@pytest.mark.parametrize("text", ["0.7 out of 1", "2", "-0.1", "1.5", "good", "", "nan", None, 3])
def test_what_is_no_score_is_unknown(text: object) -> None:
    """Nothing is guessed from prose; the sum is unknown then."""
    one = judge(reply(text))
    assert reward_of(ITEM, BLOCK, PASSED, RewardSettings(judge=JUDGE), one).total is None
    assert sum(one.failures.values()) == 1


def test_an_endpoint_that_fails_is_unknown() -> None:
    """A status, a lost connection, something that is no JSON: None, and counted by kind."""

    def lost(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route")

    for handler, kind in (
        (reply("1", 500), "HTTPStatusError"), (lost, "ConnectError"),
        (lambda request: httpx.Response(200, text="<html>"), "unreadable"),
    ):  # fmt: skip
        one = judge(handler)
        assert one("task", "answer") is None
        assert dict(one.failures) == {kind: 1}


def test_a_reply_that_does_not_end_is_cut_off() -> None:
    """The limit holds for the whole reply, however it drips."""

    class Drip(httpx.SyncByteStream):
        def __iter__(self):
            while True:
                yield b" "

    settings = JUDGE.model_copy(update={"timeout_s": 0.2})
    one = judge(lambda request: httpx.Response(200, stream=Drip()), settings)
    assert one("task", "answer") is None
    assert dict(one.failures) == {"ReadTimeout": 1}


def test_a_judge_is_asked_with_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the environment variable that is named; one that is not set is refused."""
    seen = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append((request.headers["authorization"], str(request.url), json.loads(request.content)["model"]))
        return reply("1")(request)

    settings = JUDGE.model_copy(update={"key_variable": "JUDGE_KEY"})
    with pytest.raises(StageError, match="JUDGE_KEY"):
        judge(handler, settings)
    monkeypatch.setenv("JUDGE_KEY", "secret")
    judge(handler, settings)("task", "answer")
    assert seen == [("Bearer secret", "http://judge/v1/chat/completions", "m")]
