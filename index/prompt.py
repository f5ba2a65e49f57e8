"""Messages in, the gate's query and the specialist's messages out: one code for training, evaluation and serving."""

from collections.abc import Mapping, Sequence
from typing import Any

from index.documents import Document
from index.store import Hit

EVIDENCE_DOCUMENTS = 3
EVIDENCE_CHARACTERS = 420
QUERY_CHARACTERS = 4000
HEAD = "Documentation that may help:\n\n"
SEPARATOR = "\n\n---\n\n"
Message = Mapping[str, Any]


def text_of(content: Any) -> str:
    """The text of a message's content: a string, or the text parts of a list; anything else has none."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    written = [part for part in parts if isinstance(part, Mapping) and part.get("type", "text") == "text"]
    return "\n".join(part["text"] for part in written if isinstance(part.get("text"), str))


def gate_query(messages: Sequence[Message]) -> str:
    """What the gate embeds: the user's last message, after the one before it when the last is short.

    A follow-up such as "and sorted?" says nothing alone. Cut to QUERY_CHARACTERS.
    """
    asked = [text_of(message.get("content")) for message in messages if message.get("role") == "user"]
    last = asked[-1] if asked else ""
    if len(asked) > 1 and len(last.split()) < 6:
        last = f"{asked[-2]}\n{last}"
    return last[:QUERY_CHARACTERS]


def choose_evidence(hits: Sequence[Hit]) -> list[Hit]:
    """The hits shown to the specialist: best first, one a method name and kind.

    `Expr.str.contains` and `Series.str.contains` document the same thing; three such twins would waste the prompt.
    """
    chosen: dict[tuple[str, str], Hit] = {}
    for hit in hits:
        chosen.setdefault((hit.document.name, hit.document.kind), hit)
    return list(chosen.values())[:EVIDENCE_DOCUMENTS]


def with_evidence(messages: Sequence[Message], documents: Sequence[Document]) -> list[dict[str, Any]]:
    """The messages with these documents put before the user's last message; unchanged without documents."""
    copy = [dict(message) for message in messages]
    position = next((i for i in reversed(range(len(copy))) if copy[i].get("role") == "user"), None)
    if position is None or not documents:
        return copy
    texts = [f"[{n}] {d.text[:EVIDENCE_CHARACTERS].strip()}" for n, d in enumerate(documents, 1)]
    prefix = HEAD + "\n\n".join(texts) + SEPARATOR
    content = copy[position]["content"]
    as_parts = [{"type": "text", "text": prefix}, *content] if isinstance(content, list) else prefix + content
    copy[position]["content"] = as_parts
    return copy
