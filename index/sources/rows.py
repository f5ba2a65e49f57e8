"""A specialist's training rows in, one document each out: the question and the answer it was trained to give.

Evidence that was rendered into a question is taken out again: it is in the index by itself.
"""

import hashlib
from typing import Any

from index.documents import Document
from index.errors import CorpusError
from index.prompt import HEAD, SEPARATOR, text_of
from index.sources.config import RowsSource
from index.sources.json_lines import json_lines, refused
from index.sources.left_out import LeftOut

SYMBOL_CHARACTERS = 100


def row_documents(source: RowsSource) -> list[Document]:
    """Read rows.jsonl; rows that are the same but for their evidence are one document, and told.

    The id is a hash of the text: rows are shuffled. The symbol is the beginning of the question.
    Raises CorpusError naming the line that is no row.
    """
    left = LeftOut(source.label)
    found: dict[str, Document] = {}
    for number, row in json_lines(source):
        question = said(source, number, row, "prompt")
        text = f"{question}\n\n{said(source, number, row, 'completion')}"
        id_ = f"{source.prefix}:{hashlib.sha256(text.encode(errors='backslashreplace')).hexdigest()[:12]}"
        if id_ in found:
            left.add("rows that are the same as an earlier one", f"line {number}")
            continue
        symbol = question.split("\n", 1)[0][:SYMBOL_CHARACTERS]
        path = source.path.name
        found[id_] = Document(id_, text, source.prefix, source.licence, "row", symbol, path, number, number)
    left.tell()
    if not found:
        raise CorpusError(f"{source.label} holds no rows: name the rows.jsonl of a run")
    return list(found.values())


def said(source: RowsSource, number: int, row: dict[str, Any], key: str) -> str:
    """What the messages of one side say, without system messages and evidence."""
    messages = row.get(key)
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise refused(source, number, f'has no list of messages under "{key}"', "name the rows.jsonl of a run")
    texts = [text_of(message.get("content")) for message in messages if message.get("role") != "system"]
    text = "\n\n".join(without_evidence(text) for text in texts).strip()
    if not text:
        raise refused(source, number, f'says nothing under "{key}"', "name the rows.jsonl of a run")
    return text


def without_evidence(question: str) -> str:
    """A question as it was before `index.prompt.with_evidence`; a question may hold no separator of its own."""
    return question.rpartition(SEPARATOR)[2] if question.startswith(HEAD) else question
