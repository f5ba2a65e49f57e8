"""A running service that answers over HTTP, asked as a user would: gate, prompt rendering, adapter and engine."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed

import openai
from openai.types.chat.chat_completion import Choice

from training.errors import ServiceError
from training.evaluate.answers import Answer, Facts, Question, Way

TIMEOUT_S = 600


class Service:
    """Use through `answers`; raises ServiceError when nobody answers at the address."""

    def __init__(self, address: str, concurrency: int) -> None:
        self._address = address.rstrip("/")
        self._concurrency = concurrency
        self._client = openai.OpenAI(base_url=f"{self._address}/v1", api_key="none", max_retries=0, timeout=TIMEOUT_S)

    def identity(self, model: str) -> Facts:
        """The model by name with the content it was loaded from; of "auto" all of them, since any may be routed to."""
        try:
            cards = self._client.with_options(timeout=10).models.list().data
        except openai.OpenAIError as error:
            raise ServiceError(f'no service at "{self._address}" ({error}): start one with `make serve`') from error
        known = {card.id: (card.model_extra or {}).get("fingerprint") for card in cards}
        return {"service": {model: known[model]} if model != "auto" and model in known else known}

    def start(self, model: str) -> None:
        """It runs already."""

    def answers(self, questions: list[Question], way: Way) -> Iterator[Answer]:
        """As they are ready; a refusal ends the run, and what was not sent yet is not sent."""
        pool = ThreadPoolExecutor(self._concurrency)
        try:
            for done in as_completed([pool.submit(self._ask, question, way) for question in questions]):
                yield done.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _ask(self, question: Question, way: Way) -> Answer:
        condition, decoding = way.condition, way.decoding
        try:
            answer = self._client.chat.completions.create(
                model=condition.model, messages=[{"role": "user", "content": question.prompt.user}],
                temperature=decoding.temperature, top_p=decoding.top_p, seed=question.seed,
                max_tokens=way.resolved.max_tokens, stop=way.resolved.stop or None,
                extra_body={"pointsman": {"context": condition.context}},
                logprobs=condition.logprobs or openai.omit,
            )  # fmt: skip
        except openai.OpenAIError as error:
            raise ServiceError(
                f'the service refused a question under "{condition.label}": {error}; correct the model or the limits'
            ) from error
        routing = (answer.model_extra or {}).get("pointsman", {}).get("routing", {})
        if not answer.choices:
            raise ServiceError(f'the service gave no choice under "{condition.label}": look into its log')
        choice, usage = answer.choices[0], answer.usage
        return Answer(
            question.key, choice.message.content or "", choice.finish_reason, usage.prompt_tokens if usage else 0,
            usage.completion_tokens if usage else 0, answer.model,
            {name: routing[name] for name in ("reason", "probability") if name in routing},
            chosen_logprobs(choice) if condition.logprobs else None,
        )  # fmt: skip

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def chosen_logprobs(choice: Choice) -> list[float]:
    """The log-probability of each token of an answer; raises ServiceError where the service gave none."""
    if choice.logprobs is None or choice.logprobs.content is None:
        raise ServiceError("the service gave no log-probabilities: leave `logprobs` out of the condition")
    return [round(token.logprob, 4) for token in choice.logprobs.content]
