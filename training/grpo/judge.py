"""A task and an answer in, a score from 0 to 1 out, by a model behind an OpenAI-compatible endpoint.

A reply that is not exactly one such number, an error and a wait beyond the limit give None; the reasons are counted.
"""

import os
import re
import time
from collections import Counter

import httpx

from training.errors import StageError
from training.grpo.config import JudgeSettings

SCORE = re.compile(r"0(?:\.\d+)?|1(?:\.0+)?|\.\d+")
MAX_BYTES = 1 << 20
MAX_TOKENS = 8


class HttpJudge:
    """Callable; may be used from several threads. Raises StageError when the named key is not in the environment."""

    def __init__(self, settings: JudgeSettings, transport: httpx.BaseTransport | None = None) -> None:
        headers = {}
        if settings.key_variable:
            key = os.environ.get(settings.key_variable)
            if not key:
                raise StageError(
                    f'environment variable "{settings.key_variable}" is not set: put the judge\'s key there'
                )
            headers["Authorization"] = f"Bearer {key}"
        self._settings = settings
        self._client = httpx.Client(timeout=settings.timeout_s, headers=headers, transport=transport)
        self.failures: Counter[str] = Counter()

    def __call__(self, task: str, answer: str) -> float | None:
        """The score; None where there is none."""
        try:
            reply = self._ask(task, answer)
            text = reply["choices"][0]["message"]["content"].strip()
        except httpx.HTTPError as error:
            self.failures[type(error).__name__] += 1
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            self.failures["unreadable"] += 1
        else:
            if SCORE.fullmatch(text):
                return float(text)
            self.failures["no score"] += 1
        return None

    def _ask(self, task: str, answer: str) -> dict[str, list[dict[str, dict[str, str]]]]:
        """The endpoint's reply; the limit holds for the whole of it, which httpx's own timeouts do not."""
        messages = [
            {"role": "system", "content": self._settings.instruction},
            {"role": "user", "content": f"Task:\n{task}\n\nAnswer:\n{answer}"},
        ]
        body = {"model": self._settings.model, "messages": messages, "temperature": 0, "max_tokens": MAX_TOKENS}
        end, received = time.monotonic() + self._settings.timeout_s, bytearray()
        with self._client.stream("POST", f"{self._settings.url.rstrip('/')}/chat/completions", json=body) as response:
            response.raise_for_status()
            for part in response.iter_bytes():
                received += part
                if time.monotonic() > end or len(received) > MAX_BYTES:
                    raise httpx.ReadTimeout("the reply does not end")
            return httpx.Response(200, content=bytes(received)).json()

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()
