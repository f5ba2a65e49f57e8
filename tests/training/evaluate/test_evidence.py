"""Evidence before questions that are asked offline, in the words of the service."""

from dataclasses import replace
from pathlib import Path

import pytest

from index.bundle import SEARCH_DEPTH
from index.documents import Document
from index.embed import load_encoder
from index.prompt import HEAD, choose_evidence, with_evidence
from index.store import LocalIndex, make_index
from training.evaluate.config import BenchmarkSettings
from training.evaluate.load import fingerprint, load_items
from training.tasks import Task, write_tasks

pytestmark = pytest.mark.assets


def saved_index(folder: Path, documents: list[Document]) -> LocalIndex:
    """The toy package's documents, embedded by the starter's static encoder."""
    encoder = load_encoder("starter:static")
    vectors = encoder.encode([document.text for document in documents])
    index = make_index(documents, vectors, encoder.id, fingerprint=encoder.fingerprint)
    index.save(folder)
    return index


def test_questions_stand_after_what_the_index_finds(
    tasks: list[Task], documents: list[Document], tmp_path: Path
) -> None:
    """Word for word what the service would send, and another set of items than without."""
    held = [replace(task, split="held_out") for task in tasks[:3]]
    write_tasks(tmp_path / "tasks.jsonl", held)
    index = saved_index(tmp_path / "index", documents)
    plain = BenchmarkSettings(benchmark="doctests", path=tmp_path / "tasks.jsonl")
    informed = plain.model_copy(update={"evidence": tmp_path / "index"})
    for item, bare in zip(load_items(informed), load_items(plain), strict=True):
        vector = load_encoder("starter:static").encode([bare.prompt])[0]
        hits = choose_evidence(index.search(bare.prompt, vector, SEARCH_DEPTH))
        sent = with_evidence([{"role": "user", "content": bare.prompt}], [hit.document for hit in hits])
        assert item.prompt == sent[0]["content"]
        assert item.prompt.startswith(HEAD) and item.prompt.endswith(bare.prompt)
    assert fingerprint(load_items(informed)) != fingerprint(load_items(plain))
