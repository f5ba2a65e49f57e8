"""What is asked of an engine and what comes back; imports nothing heavy."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Generation:
    """One text wanted: the user's message, the words the answer starts with, and how tokens are chosen."""

    key: str
    user: str
    prefix: str
    adapter: str | None
    temperature: float
    top_p: float
    seed: int | None
    max_tokens: int
    stop: tuple[str, ...]


@dataclass(frozen=True)
class Generated:
    """The text with its prefix, why it ended ("stop" or "length"), and its tokens."""

    key: str
    text: str
    finish: str
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Wanted:
    """One continuation of a prompt's tokens; greedy at temperature 0."""

    key: str
    prompt_ids: list[int]
    temperature: float
    seed: int | None
    max_tokens: int


@dataclass(frozen=True)
class Sampled:
    """The tokens drawn, the end token included, and the log-probability in nats of each, at the temperature drawn at.

    `finish` is "stop" or "length".
    """

    key: str
    token_ids: list[int]
    logprobs: list[float]
    finish: str


# The tokens of a prompt and of what follows it.
Text = tuple[list[int], list[int]]
