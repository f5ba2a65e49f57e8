"""The same index in Milvus (milvus-lite) and in a folder: equal hits, whole builds, refusals that say the cure."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from index import build
from index.build import IndexConfig, build_in_milvus, changes, earlier_index
from index.bundle import base_facts, load_bundle
from index.config import read_config
from index.documents import Document
from index.errors import BundleError, ConfigError, CorpusError
from index.facts import MARKER, read_facts
from index.features import Vocabulary
from index.load import load_index
from index.milvus.config import MilvusConfig
from index.milvus.server import TEXT_BYTES, Server
from index.milvus.store import FILES, prefix, save_in_milvus
from index.store import Hit, Index, LocalIndex, make_index
from tests.index.conftest import DIMENSION, encode
from tests.index.test_build import CountingEncoder
from tests.index.test_bundle import WordEncoder, calibration, refused, seal, write_adapter, write_base

pytest.importorskip("milvus_lite", reason="the extra `milvus` is not installed")
ROOT = Path(__file__).parents[2]
QUERIES = [
    "sum of the rows", "Table.total contains text", "concat(left, right)", "put two tables together in duckdb", "zebra",
    "", "rows " * 2000,
]  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> Iterator[MilvusConfig]:
    yield MilvusConfig(uri=str(tmp_path / "milvus.db"), collection="toy")
    from milvus_lite.server_manager import server_manager_instance

    server_manager_instance.release_server(str(tmp_path / "milvus.db"))


@pytest.fixture
def save(config: MilvusConfig, tmp_path: Path) -> Callable[..., Index]:
    """Save an index and load it again."""

    def save(index: LocalIndex, queries_QD: np.ndarray | None = None) -> Index:
        save_in_milvus(index, tmp_path / "out", Server(config), config, queries_QD)
        return load_index(tmp_path / "out")

    return save


def shown(hits: list[Hit]) -> list[tuple[str, float, float]]:
    """Hits with rounded cosines: Milvus and faiss add the products in another order. BM25 is the same to the bit."""
    return [(hit.document.id, round(hit.score, 5), hit.lexical) for hit in hits]


def test_both_stores_give_the_same_hits_scores_and_features(
    index: LocalIndex, save: Callable[..., Index], tmp_path: Path
) -> None:
    """Whichever search, however many are asked for; documents, encoder and words too."""
    index.save(tmp_path / "local")
    local, remote = load_index(tmp_path / "local"), save(index)
    assert tuple(remote.documents) == tuple(local.documents) and remote.documents[2:4] == local.documents[2:4]
    assert (remote.encoder, remote.fingerprint, remote.dimension) == (local.encoder, "", DIMENSION)
    vocabularies = [Vocabulary(store, ["toytable"], ["duckdb"]) for store in (local, remote)]
    for query in QUERIES:
        vector = encode([query or "rows"])[0]
        for k in (1, 3, 8, 1000):
            assert shown(remote.search(query, vector, k)) == shown(local.search(query, vector, k))
            assert shown(remote.search_lexical(query, k)) == shown(local.search_lexical(query, k))
            assert shown(remote.search_dense(vector, 1000)) == shown(local.search_dense(vector, 1000))
        hits = [store.search(query, vector, 8) for store in (local, remote)]
        wanted, found = (vocabulary.features(query, one) for vocabulary, one in zip(vocabularies, hits, strict=True))
        assert found == pytest.approx(wanted, abs=1e-6)


def test_the_folder_states_where_the_index_is_and_no_secret(
    index: LocalIndex, config: MilvusConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """index.json and the words; the token stays in its variable."""
    monkeypatch.setenv("MILVUS_TOY_TOKEN", "root:secret")
    config = config.model_copy(update={"token_env": "MILVUS_TOY_TOKEN"})
    save_in_milvus(index, tmp_path / "out", Server(config), config)
    facts = read_facts(tmp_path / "out")
    assert facts.milvus and facts.milvus.build.startswith(prefix(config, tmp_path / "out"))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*FILES, MARKER} == {*facts.files, MARKER}
    assert "secret" not in (tmp_path / "out" / MARKER).read_text()
    monkeypatch.delenv("MILVUS_TOY_TOKEN")
    with pytest.raises(BundleError, match=r'variable "MILVUS_TOY_TOKEN" .* is not set: set it'):
        load_index(tmp_path / "out")


def test_a_rebuild_embeds_only_what_is_new_and_drops_what_is_gone(
    documents: list[Document], config: MilvusConfig, tmp_path: Path
) -> None:
    """As in a folder. A reader keeps the build it loaded until the build after the next one begins."""
    settings = IndexConfig(sources=[{"package": "x"}], store={"milvus": config.model_dump()}, output=tmp_path / "out")
    server, first, second = Server(config), CountingEncoder(), CountingEncoder()
    build_in_milvus(documents, first, None, server, settings)
    before = load_index(tmp_path / "out")
    now = [
        Document("new", "a new text", "s", "MIT", "object", "new"),
        replace(documents[0], text="changed"),
        *documents[3:],
    ]
    earlier = earlier_index(tmp_path / "out", second)
    build_in_milvus(now, second, earlier, server, settings)
    assert second.given == ["a new text", "changed"]
    assert str(changes(now, earlier)) == f"1 added, 1 changed text, 2 removed, {len(documents) - 3} reused"
    after = load_index(tmp_path / "out")
    assert list(after.documents) == now and list(before.documents) == documents
    assert np.array_equal(after.vectors.at(range(2, len(now))), before.vectors.at(range(3, len(documents))))
    gone = {hit.document.id for hit in after.search(documents[1].text, encode([documents[1].text])[0], 1000)}
    assert gone == {d.id for d in now}
    build_in_milvus(now, second, after, server, settings)
    assert len(server.collections()) == 2
    with pytest.raises(BundleError, match="failed to"):
        before.search("rows", encode(["rows"])[0], 3)


def test_a_bundle_may_have_its_index_in_milvus(index: LocalIndex, config: MilvusConfig, tmp_path: Path) -> None:
    """It answers as one with a folder; its manifest lists what index.json names; no collection, no bundle."""
    base, bundle, query = base_facts(write_base(tmp_path / "base")), tmp_path / "toy", "Add all rows with sum"
    write_adapter(bundle / "adapter")
    (bundle / "calibration.json").write_text(calibration().model_dump_json())
    index.save(bundle / "index")
    seal(bundle, base)
    local = load_bundle(bundle, base=base, encoder=WordEncoder()).retrieve(query, encode([query])[0])
    save_in_milvus(index, bundle / "index", Server(config), config)
    seal(bundle, base)
    remote = load_bundle(bundle, base=base, encoder=WordEncoder()).retrieve(query, encode([query])[0])
    assert remote.features == pytest.approx(local.features, abs=1e-6)
    assert shown(list(remote.hits)) == shown(list(local.hits))
    manifest = json.loads((bundle / "manifest.json").read_text())
    del manifest["files"]["index/words.json"]
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    refused(bundle, base, 'lists no "index/words.json"')
    seal(bundle, base)
    Server(config).drop(Server(config).collections()[0])
    refused(bundle, base, "lies in collection", "rebuild it")


KILLED = """
import os, sys
from pathlib import Path
from index.milvus.config import MilvusConfig
from index.milvus.server import Server
from index.milvus.store import save_in_milvus
from tests.index.test_store import version
folder = Path(sys.argv[1])
config = MilvusConfig(uri=str(folder / "milvus.db"), collection="toy")
server = Server(config)
print(sorted({"numba", "llvmlite"} & sys.modules.keys()), flush=True)
save_in_milvus(version("aaa"), folder / "out", server, config)
server.finish = lambda *given: os.kill(os.getpid(), 9)
save_in_milvus(version("bbb"), folder / "out", server, config)
"""


def test_a_killed_build_leaves_the_old_index_and_the_next_build_cleans_up(
    index: LocalIndex, save: Callable[..., Index], config: MilvusConfig, tmp_path: Path
) -> None:
    """Killed when its rows were written. And nothing brings numba, beside which vLLM's engine does not start."""
    killed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED, tmp_path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (killed.returncode, killed.stdout) == (-9, "[]\n"), killed.stderr
    server = Server(config)
    server.create("toy_of_somebody_else", 2, [], [])
    old = load_index(tmp_path / "out")
    assert old.encoder == "aaa" and len(old.search_lexical("aaa", 1000)) == 50
    assert len(server.collections()) == 3
    assert list(save(index).documents) == list(index.documents)
    assert len(server.collections()) == 3  # the killed one is gone; the old one may still be read
    assert "toy_of_somebody_else" in server.collections()


def test_a_graph_is_measured_in_milvus_too(index: LocalIndex, save: Callable[..., Index], tmp_path: Path) -> None:
    """Its recall stands in index.json, and its scores are as exact as any."""
    vectors = index.vectors.at(range(len(index.documents)))
    graph = save(index, vectors)
    facts = read_facts(tmp_path / "out").vectors
    assert (facts.algorithm, facts.queries) == ("hnsw", len(vectors)) and facts.recall_at_10 >= 0.95
    for hit in graph.search("rows", vectors[0], 3):
        assert hit.score == pytest.approx(float(encode([hit.document.text])[0] @ vectors[0]), abs=2e-3)


def test_what_does_not_fit_the_folder_is_refused_at_the_start(
    index: LocalIndex, save: Callable[..., Index], config: MilvusConfig, tmp_path: Path
) -> None:
    """Another dimension, another number of documents, no collection; a query of another encoder."""
    loaded, path = save(index), tmp_path / "out" / MARKER
    facts = json.loads(path.read_text())
    with pytest.raises(CorpusError, match=r'embed the query with "words"'):
        loaded.search("rows", np.ones(32, np.float32), 3)
    for key, message in (("dimension", "of 999 dimensions"), ("documents", 'states "999" documents')):
        path.write_text(json.dumps(facts | {key: 999}))
        with pytest.raises(BundleError, match=message):
            load_index(tmp_path / "out")
    path.write_text(json.dumps(facts))
    Server(config).drop(facts["milvus"]["build"])
    with pytest.raises(
        BundleError, match=f'collection "{facts["milvus"]["build"]}", which Milvus at .* has not: rebuild'
    ):
        load_index(tmp_path / "out")
    with pytest.raises(BundleError, match=r'Milvus at ".*milvus.db" failed to search .*: start it'):
        loaded.search("rows", encode(["rows"])[0], 3)


def test_a_server_that_is_away_is_told_before_anything_is_embedded(tmp_path: Path) -> None:
    """Nobody listens on port 9 of this machine."""
    path = tmp_path / "toy.yaml"
    path.write_text(
        "package: no_such_package_here\nstore: {milvus: {uri: http://127.0.0.1:9, collection: toy, timeout_s: 1}}\n"
        f"output: {tmp_path / 'out'}\n"
    )
    with pytest.raises(BundleError, match=r'Milvus at "http://127.0.0.1:9" cannot be reached .*: start it'):
        build.main(path)


def test_a_missing_extra_is_told_with_the_cure(config: MilvusConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else needs it."""
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(BundleError, match=r"pip install '\.\[milvus\]'"):
        Server(config)


def test_a_document_that_milvus_cannot_hold_is_named(index: LocalIndex, save: Callable[..., Index]) -> None:
    """Before anything is written."""
    long = replace(index.documents[0], text="row " * TEXT_BYTES)
    with pytest.raises(CorpusError, match=f'document "{long.id}" has a text of "{4 * TEXT_BYTES}" bytes'):
        save(make_index([long], encode([long.text]), "words"))


@pytest.mark.parametrize(
    ("milvus", "message"),
    [
        ("{uri: milvus.db, collection: toy, tokn: A}", 'unknown key "store.milvus.tokn"'),
        ("{uri: milvus.db, collection: a-b}", 'key "store.milvus.collection" is "a-b"'),
        ("{uri: localhost, collection: toy}", "give http://HOST:PORT"),
        ("{uri: http://root:secret@host, collection: toy}", "name a variable in token_env"),
        ("{uri: milvus.db, collection: toy}\nalgorithm: ivfpq", "choose auto, exact or hnsw"),
    ],
)
def test_a_mistake_in_the_config_names_file_and_key(tmp_path: Path, milvus: str, message: str) -> None:
    """Before any server is asked."""
    path = tmp_path / "toy.yaml"
    milvus, _, more = milvus.partition("\n")
    path.write_text(f"package: x\noutput: out\nstore: {{milvus: {milvus}}}\n{more}\n")
    with pytest.raises(ConfigError, match=message) as caught:
        read_config(path, IndexConfig)
    assert str(path) in str(caught.value)
