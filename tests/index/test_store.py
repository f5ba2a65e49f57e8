"""Search by vector and words at once, and an index on disk that is whole at every moment."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from index.documents import Document
from index.errors import BundleError, ConfigError, CorpusError
from index.facts import MARKER
from index.folder import replace_folder
from index.load import load_index
from index.store import FILES, Index, make_index
from tests.index.conftest import encode

ROOT = Path(__file__).parents[2]


def test_a_document_is_the_nearest_to_its_own_text(index: Index, documents: list[Document]) -> None:
    """Scores are cosines: 1 for the text itself, falling from there."""
    for document in documents:
        hits = index.search_dense(encode([document.text])[0], 3)
        assert hits[0].score == pytest.approx(1, abs=2e-3)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert document in [hit.document for hit in index.search(document.text, encode([document.text])[0], 2)]


@pytest.mark.parametrize(
    "query", ["sum of the rows", "Table.total", "contains text", "put two tables together", "zebra"]
)
def test_both_scores_are_exact_for_every_hit(index: Index, documents: list[Document], query: str) -> None:
    """Whichever side found it: what is told is the cosine of its vector and the BM25 of its words."""
    vector = encode([query])[0]
    cosines = dict(zip(documents, encode([d.text for d in documents]) @ vector, strict=True))
    bm25 = {hit.document: hit.lexical for hit in index.search_lexical(query, 1000)}
    for k in (1, 2, 5, 1000):
        for hit in index.search(query, vector, k):
            assert hit.score == pytest.approx(cosines[hit.document], abs=2e-3)
            assert hit.lexical == bm25.get(hit.document, 0)


def test_the_best_by_vector_and_the_best_by_words_are_among_the_hits(index: Index) -> None:
    """Also where they are different documents: here the vector is that of another question."""
    for query, meant in (("concat", "Add all rows with sum"), ("contains", "concat tables"), ("total", "how")):
        vector = encode([meant])[0]
        for k in (2, 3, 8):
            hits = index.search(query, vector, k)
            assert len(hits) == min(k, len(index.documents))
            assert index.search_dense(vector, 1)[0].score == pytest.approx(max(hit.score for hit in hits), abs=1e-6)
            assert index.search_lexical(query, 1)[0].lexical == max(hit.lexical for hit in hits)


def test_words_find_what_the_vector_misses(index: Index) -> None:
    """An identifier asked for by name comes first, although the vector says nothing."""
    nothing = np.full(index.dimension, index.dimension**-0.5, np.float32)
    assert index.search("TextNamespace.contains", nothing, 3)[0].document.symbol == "toytable.Table.text.contains"


@pytest.mark.parametrize("query", ["", "zebra quagga", "the of", "\n", "\ud800"])
def test_a_query_without_a_known_word_is_searched_by_its_vector(index: Index, query: str) -> None:
    """Every BM25 is 0, and the order is that of the cosines."""
    vector = encode(["add all rows"])[0]
    assert index.search(query, vector, 4) == index.search_dense(vector, 4)
    assert index.search_lexical(query, 4) == []


def test_search_gives_no_more_than_there_is(index: Index) -> None:
    """Asking for more documents than the index holds is no error."""
    zeros = np.zeros(index.dimension, np.float32)
    assert len(index.search("rows", zeros, 1000)) == len(index.search_dense(zeros, 1000)) == len(index.documents)


def test_a_very_long_query_is_searched(index: Index) -> None:
    """100,000 characters of text, of one word, and of code."""
    for query in ("rows of the table " * 6000, "x" * 100_000, "a.b(c)_" * 15_000):
        assert len(index.search(query, encode(["rows"])[0], 3)) == 3


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_vector_that_is_no_vector_is_refused(index: Index, documents: list[Document], broken: float) -> None:
    """In a query, and in a document, which is named: it would be nearest to everything, or to nothing."""
    vectors = encode([d.text for d in documents])
    vectors[2, 5] = broken
    with pytest.raises(CorpusError, match="query vector holds"):
        index.search("rows", vectors[2], 3)
    with pytest.raises(CorpusError, match=f'document "{documents[2].id}" holds'):
        make_index(documents, vectors, "words")


def test_a_vector_of_another_encoder_is_refused(index: Index, documents: list[Document]) -> None:
    """Another dimension, a whole batch, or too few for the documents."""
    for shape in ((32,), (1, 64), ()):
        with pytest.raises(CorpusError, match=r'embed the query with "words"'):
            index.search("rows", np.ones(shape, np.float32), 3)
        with pytest.raises(CorpusError, match=r'embed the query with "words"'):
            index.search_dense(np.ones(shape, np.float32), 3)
    with pytest.raises(CorpusError, match="embed them all"):
        make_index(documents, np.ones((2, 64), np.float32), "words")


def test_an_empty_corpus_is_refused() -> None:
    """An index of nothing would answer every query with nothing, in silence."""
    with pytest.raises(CorpusError, match='"0" documents'):
        make_index([], np.zeros((0, 4), np.float32), "words")


def test_what_is_saved_is_what_is_loaded(index: Index, tmp_path: Path) -> None:
    """Documents, encoder and search results survive the disk, twice."""
    index.save(tmp_path / "one")
    load_index(tmp_path / "one").save(tmp_path / "two")
    loaded = load_index(tmp_path / "two")
    query = encode(["add all rows"])[0]
    assert tuple(loaded.documents) == index.documents
    assert (loaded.encoder, loaded.fingerprint, loaded.dimension) == ("words", "", index.dimension)
    assert loaded.search("add all rows", query, 5) == index.search("add all rows", query, 5)
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_an_index_is_not_saved_over_other_files(index: Index, tmp_path: Path) -> None:
    """`output: docs` must not cost anybody the docs."""
    (tmp_path / "guide.md").write_text("text")
    with pytest.raises(ConfigError, match=r"holds files and no index\.json"):
        index.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["guide.md"]
    assert not tmp_path.with_name(tmp_path.name + ".partial").exists()  # refused before anything was written


def test_a_loaded_index_answers_while_and_after_it_is_replaced(index: Index, tmp_path: Path) -> None:
    """Its files are mapped: a writer that wrote into them would kill the reader."""
    index.save(tmp_path / "out")
    loaded, query = load_index(tmp_path / "out"), encode(["add all rows"])[0]
    before = index.search("add all rows", query, 5)
    make_index(index.documents[:2], encode([d.text for d in index.documents[:2]]), "words").save(tmp_path / "out")
    assert loaded.search("add all rows", query, 5) == before
    assert len(load_index(tmp_path / "out").documents) == 2


# Two versions whose files have equal sizes, so that sizes alone would not tell a mixture.
WRITER = """
import os, sys
from pathlib import Path
from tests.index.test_store import version
folder, versions = Path(sys.argv[1]), [version(name) for name in ("aaa", "bbb")]
versions[0].save(folder)
print("ready", flush=True)
for _ in sys.stdin:
    if (child := os.fork()) == 0:
        while True:
            for index in reversed(versions):
                index.save(folder)
    print(child, flush=True)
    os.waitpid(child, 0)
    print("dead", flush=True)
"""
SAVED = 50


def version(name: str) -> Index:
    """An index in which each document, vector and word tells the version it is of."""
    documents = [Document(f"{name}:{row}", f"{name} word{row}", name, "MIT", "object", name) for row in range(SAVED)]
    sign = 1 if name == "aaa" else -1
    vectors = np.eye(SAVED, 64, dtype=np.float32) * sign
    return make_index(documents, vectors, name)


def version_of(index: Index) -> str:
    """The version that all parts of an index are of."""
    name = index.encoder
    assert [d.id for d in index.documents] == [f"{name}:{row}" for row in range(SAVED)]
    assert (index.vectors.at(range(SAVED)).diagonal() == (1 if name == "aaa" else -1)).all()
    assert len(index.search_lexical(name, 1000)) == SAVED
    return name


def hold_up(folder: Path) -> None:
    """Make one file of an index a pipe, at which a reader waits."""
    facts = json.loads((folder / MARKER).read_text())
    facts["files"][FILES[-1]]["bytes"] = 0
    (folder / MARKER).write_text(json.dumps(facts))
    (folder / FILES[-1]).unlink()
    os.mkfifo(folder / FILES[-1])


@pytest.mark.parametrize("swaps", [1, 2])
def test_a_folder_that_is_replaced_while_it_is_read_is_read_once_more(tmp_path: Path, swaps: int) -> None:
    """The reader is in the middle of the old folder when the new one comes; twice is told."""
    folders = [tmp_path / "out", *(tmp_path / f"new{n}" for n in range(swaps))]
    for number, folder in enumerate(folders):
        version("aaa" if number % 2 else "bbb").save(folder)
    for folder in folders[:-1]:
        hold_up(folder)

    def swap() -> None:
        for new in folders[1:]:
            with (folders[0] / FILES[-1]).open("wb"):  # opens when the reader does
                replace_folder(new, folders[0], MARKER)

    thread = threading.Thread(target=swap, daemon=True)
    thread.start()
    if swaps == 1:
        assert version_of(load_index(folders[0])) == "aaa"
    else:
        with pytest.raises(BundleError, match="was replaced whenever it was read"):
            load_index(folders[0])
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that starts another one, which saves both versions in turn, at each line it reads."""
    command = [sys.executable, "-W", "ignore", "-c", WRITER, tmp_path / "out"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT, env=environment, start_new_session=True
    ) as process:
        try:
            assert process.stdout and process.stdout.readline() == "ready\n"
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def begin(writer: subprocess.Popen[str]) -> int:
    """Let it start saving; returns the process to kill."""
    assert writer.stdin and writer.stdout
    writer.stdin.write("\n")
    writer.stdin.flush()
    return int(writer.stdout.readline())


def kill(writer: subprocess.Popen[str], process: int) -> None:
    """Kill what saves, as no handler can see it."""
    os.kill(process, signal.SIGKILL)
    assert writer.stdout and writer.stdout.readline() == "dead\n"


def test_a_build_killed_at_any_moment_leaves_the_old_or_the_new_index(
    writer: subprocess.Popen[str], tmp_path: Path
) -> None:
    """At least 30 kills between the first byte and the last deletion; what loads is of one version, all of it."""
    draw, half_done, seen, kills = random.Random(0), 0, set(), 0
    while kills < 30 or half_done < 10 or len(seen) < 2:
        process = begin(writer)
        time.sleep(draw.uniform(0, 0.003 * (kills + 10)))  # longer and longer, for a machine that is busy
        kill(writer, process)
        seen.add(version_of(load_index(tmp_path / "out")))
        half_done += (tmp_path / "out.partial").exists()
        kills += 1
    assert seen == {"aaa", "bbb"}


def test_a_reader_that_meets_a_swap_has_one_version_or_an_error(writer: subprocess.Popen[str], tmp_path: Path) -> None:
    """Never files of both: loads on and on while another process replaces the folder as fast as it can."""
    process, began = begin(writer), time.monotonic()
    seen: list[str] = []
    refused: list[str] = []
    while time.monotonic() < began + 3 or len(set(seen)) < 2:
        try:
            seen.append(version_of(load_index(tmp_path / "out")))
        except BundleError as error:
            refused.append(str(error))
    kill(writer, process)
    assert all("was replaced whenever it was read" in text for text in refused)
