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
