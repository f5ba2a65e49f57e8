"""Sources become an index, and a second build embeds only what is new."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from index import build, search
from index.build import IndexConfig, changes, earlier_index
from index.config import read_config
from index.documents import Document
from index.errors import BundleError, ConfigError, CorpusError
from index.load import load_index
from index.vectors import SAMPLE
from tests.index.conftest import DIMENSION, encode

CONFIGS = sorted((Path(__file__).parents[2] / "configs/index").glob("*.yaml"))


class CountingEncoder:
    """A real, model-free encoder that keeps what it was given."""

    id = "words"
    dimension = DIMENSION

    def __init__(self, fingerprint: str = "first") -> None:
        self.fingerprint = fingerprint
        self.given: list[str] = []

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> np.ndarray:
        """Unit vectors (N, D)."""
        self.given += texts
        return encode(list(texts))


@pytest.fixture
def config(tmp_path: Path, toytable: str) -> Path:
    path = tmp_path / "toy.yaml"
    path.write_text(f"package: {toytable}\nencoder: starter\noutput: {tmp_path / 'out'}\n")
    return path


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_config_is_read_and_tells_its_command(path: Path) -> None:
    """A user copies it from the first line."""
    assert path.read_text().startswith(f"# pointsman index build configs/index/{path.name}\n")
    assert read_config(path, IndexConfig).sources


def test_a_package_alone_is_one_source(config: Path, tmp_path: Path) -> None:
    """The short form means the long one."""
    long = tmp_path / "long.yaml"
    long.write_text(config.read_text().replace("package: toytable", "sources:\n  - package: toytable"))
    assert read_config(config, IndexConfig) == read_config(long, IndexConfig)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pakage: toytable", 'unknown key "pakage"'),
        ("package: toytable\nsources: [{package: toytable}]", 'unknown key "package"'),
        ("sources: []", 'key "sources" is'),
        ("", 'key "sources" is missing'),
        ("package: toytable\nalgorithm: flat", 'key "algorithm" is "flat"'),
    ],
)
def test_a_mistake_names_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    """Refused before anything is read."""
    (tmp_path / "toy.yaml").write_text(f"{text}\noutput: {tmp_path / 'out'}\n")
    with pytest.raises(ConfigError) as caught:
        build.main(tmp_path / "toy.yaml")
    assert "toy.yaml" in str(caught.value) and message in str(caught.value)


@pytest.mark.assets
def test_an_index_is_built_and_searched_with_the_real_encoder(config: Path, tmp_path: Path, capsys) -> None:
    """From a package's name to its best document with both scores, both commands; again, and nothing is embedded."""
    build.main(config)
    count = len(load_index(tmp_path / "out").documents)
    assert f"{count} documents: {count} added, 0 changed text, 0 removed, 0 reused" in capsys.readouterr().out
    assert load_index(tmp_path / "out").encoder == "all-MiniLM-L6-v2"
    assert not (tmp_path / "out.partial").exists()
    search.main("sum up the rows of a table", tmp_path / "out", 1)
    shown = capsys.readouterr().out
    assert "toytable.Table.total" in "".join(shown.split()) and "BM25" in shown
    build.main(config)
    assert f"{count} documents: 0 added, 0 changed text, 0 removed, {count} reused" in capsys.readouterr().out


@pytest.mark.assets
def test_an_index_of_another_encoder_is_not_searched(documents: list[Document], tmp_path: Path) -> None:
    """The same id, other weights: distances between their vectors mean nothing."""
    encoder = CountingEncoder(fingerprint="f" * 64)
    encoder.id = "all-MiniLM-L6-v2"
    build.build(documents, encoder).save(tmp_path / "out")
    with pytest.raises(
        BundleError, match=r'"all-MiniLM-L6-v2 f{12} \(\d+\)", but "all-MiniLM-L6-v2 \w{12} \(384\)" is'
    ):
        search.main("rows", tmp_path / "out", 1)


@pytest.mark.assets
def test_a_failed_build_leaves_the_old_index(config: Path, tmp_path: Path) -> None:
    """Whatever happens to the new one."""
    build.main(config)
    before = tuple(load_index(tmp_path / "out").documents)
    config.write_text(config.read_text().replace("toytable", "no_such_package_here"))
    with pytest.raises(CorpusError, match="no_such_package_here"):
        build.main(config)
    assert tuple(load_index(tmp_path / "out").documents) == before


def test_only_new_text_is_embedded(documents: list[Document], tmp_path: Path) -> None:
    """One added, one changed, one moved, one of equal text, two gone; a rebuild of nothing new embeds nothing."""
    first, second = CountingEncoder(), CountingEncoder()
    build.build(documents, first).save(tmp_path / "out")
    assert sorted(first.given) == sorted({d.text for d in documents})
    now = [
        Document("new", "a new text", "s", "MIT", "object", "new"),
        Document("twin", "a new text", "s", "MIT", "object", "twin"),
        replace(documents[0], text="a changed text"),
        replace(documents[1], id="moved"),
        *documents[3:],
    ]
    earlier = earlier_index(tmp_path / "out", second)
    index = build.build(now, second, earlier)
    assert second.given == ["a new text", "a changed text"]
    assert str(changes(now, earlier)) == f"3 added, 1 changed text, 2 removed, {len(documents) - 2} reused"
    assert index.vectors.at(range(len(now))) == pytest.approx(encode([d.text for d in now]), abs=1e-3)
    index.save(tmp_path / "out")
    third = CountingEncoder()
    again = build.build(now, third, earlier_index(tmp_path / "out", third))
    assert third.given == []
    assert np.array_equal(again.vectors.at(range(len(now))), index.vectors.at(range(len(now))))


def test_vectors_of_another_encoder_are_not_reused(documents: list[Document], tmp_path: Path, capsys) -> None:
    """Another fingerprint under the same id is another encoder; the user is told why it takes so long."""
    build.build(documents, CountingEncoder()).save(tmp_path / "out")
    assert earlier_index(tmp_path / "out", CountingEncoder("second")) is None
    assert "every document is embedded again" in (told := capsys.readouterr().err)
    assert "first" in told and "second" in told


@pytest.mark.parametrize("content", ['{"encoder": "words", "dimension": 64, "documents": 3}', "{"])
def test_an_index_that_cannot_be_read_is_built_anew(tmp_path: Path, content: str, capsys) -> None:
    """The first format, or a broken file."""
    (tmp_path / "index.json").write_text(content)
    assert earlier_index(tmp_path, CountingEncoder()) is None
    assert "every document is embedded again" in capsys.readouterr().err
    assert earlier_index(tmp_path / "none", CountingEncoder()) is None


def test_an_approximate_index_is_measured_by_questions(documents: list[Document]) -> None:
    """Embedded pieces of the documents, none of which is in the index."""
    encoder = CountingEncoder()
    many = [replace(d, id=f"{d.id}/{n}", text=f"{d.text} {n}") for d in documents for n in range(60)]
    facts = build.build(many, encoder, algorithm="hnsw").vectors.facts
    asked = encoder.given[len(many) :]
    assert facts.algorithm == "hnsw"
    assert SAMPLE <= facts.queries == len(asked) < 2 * SAMPLE
    assert not {*asked} & {d.text for d in many}


def test_an_output_folder_with_other_files_is_refused_and_kept(config: Path, tmp_path: Path) -> None:
    """Before anything is embedded."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "guide.md").write_text("text")
    with pytest.raises(ConfigError, match=r'out" holds files and no index\.json'):
        build.main(config)
    assert (tmp_path / "out" / "guide.md").read_text() == "text"


def test_a_query_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """A byte of another encoding reaches the command as half a character, which no encoder can read."""
    with pytest.raises(CorpusError, match=r'"caf\\udce9" is not UTF-8 text') as caught:
        search.main("caf\udce9", tmp_path, 5)
    assert str(caught.value).isascii()


def test_an_empty_query_is_refused(tmp_path: Path) -> None:
    """Nothing is nearest to nothing."""
    with pytest.raises(CorpusError, match="empty"):
        search.main("  ", tmp_path, 5)


def test_a_place_is_told_as_editors_take_it() -> None:
    """path:first-last, the path alone, or nothing."""
    document = Document("i", "t", "s", "MIT", "object", "s", "src/a.py", 3, 9)
    assert search.where(document) == "src/a.py:3-9"
    assert search.where(replace(document, first_line=0)) == "src/a.py"
    assert search.where(replace(document, path="", first_line=0)) == ""
