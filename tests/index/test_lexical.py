"""Which words are counted, and that the scores are those of BM25."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from index.errors import BundleError
from index.lexical import LEXICAL_FILES, LONGEST_WORD, QUERY_WORDS, load_lexical, make_lexical, tokens

TEXTS = ["sort the rows", "group_by_dynamic of a time window", "group rows", "DataFrame.is_in", "nothing here"]


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ('pl.col("a").group_by_dynamic', ["pl", "col", "group_by_dynamic", "group", "by", "dynamic"]),
        ("LazyFrame HTTPServer", ["lazyframe", "lazy", "frame", "httpserver", "http", "server"]),
        ("Int64 utf8 x1 2024", ["int64", "utf8", "x1", "2024"]),
        ("__init__ _private", ["__init__", "init", "_private", "private"]),
        ("Größe ÜBER", ["grösse", "über"]),
        ("____ -> ???", []),
        ("", []),
    ],
)  # fmt: skip
def test_identifiers_are_counted_whole_and_in_parts(text: str, counted: list[str]) -> None:
    """As underscores and capitals divide them, in one case."""
    assert tokens(text) == counted


def test_a_stop_word_counts_only_where_it_is_an_identifier() -> None:
    """Called, reached by a dot, in code marks, or part of a name; not at the end of a sentence."""
    assert tokens("the first of all rows is in it. Then the end") == ["first", "all", "rows", "end"]
    assert tokens("pl.not_(x).is(y) `for` if(x) as.of") == [
        "pl", "not_", "not", "x", "is", "y", "for", "if", "x", "as", "of",
    ]  # fmt: skip
    assert tokens("`for x in rows`") == ["for", "x", "rows"]
    assert tokens("is_in") == ["is_in", "is", "in"]


def test_data_is_no_word() -> None:
    """A line of base64 would fill the vocabulary with what nobody asks for."""
    assert tokens("a1" * LONGEST_WORD + " row") == ["row"]


def test_scores_are_those_of_bm25() -> None:
    """Computed by hand: Lucene's inverse document frequency, k1 1.5, b 0.75."""
    scores = make_lexical(["row row sort", "sort", "row of a table", "other"]).scores("row")
    idf = math.log(1 + (4 - 2 + 0.5) / (2 + 0.5))
    mean = (3 + 1 + 2 + 1) / 4  # "of" and "a" are not counted
    wanted = [idf * n / (n + 1.5 * (0.25 + 0.75 * length / mean)) for n, length in ((2, 3), (0, 1), (1, 2), (0, 1))]
    assert scores == pytest.approx(wanted, abs=1e-6)


def test_a_part_finds_the_identifier_and_the_whole_finds_it_first() -> None:
    """A question says "group", the documentation group_by_dynamic."""
    lexical = make_lexical(TEXTS)
    assert lexical.scores("dynamic window")[1] > 0
    assert int(np.argmax(lexical.scores("group_by_dynamic"))) == 1
    assert int(np.argmax(lexical.scores("DATAFRAME"))) == 3


@pytest.mark.parametrize("query", ["", "the of", "zebra", "??", "\n"])
def test_a_query_without_a_known_word_scores_nothing(query: str) -> None:
    """Every text 0, and no error."""
    assert make_lexical(TEXTS).scores(query).tolist() == [0] * len(TEXTS)


def test_a_word_asked_twice_counts_once() -> None:
    """A pasted log repeats its words."""
    lexical = make_lexical(TEXTS)
    assert lexical.scores("rows rows rows").tolist() == lexical.scores("rows").tolist()


def test_of_a_very_long_query_the_rarest_words_count() -> None:
    """A common word among more than QUERY_WORDS rare ones is left out; alone it counts."""
    names = [f"w{n}x" for n in range(QUERY_WORDS)]
    lexical = make_lexical([" ".join([*names, "common"]), "common", "common"])
    assert lexical.scores("common")[1] > 0
    assert lexical.scores(" ".join(["common", *names]))[1] == 0
    assert lexical.scores(" ".join(["common", *names]))[0] > 0
    assert lexical.scores("x" * 100_000).tolist() == [0, 0, 0]


def test_texts_without_any_word_can_be_searched() -> None:
    """No average length divides anything by nothing."""
    assert make_lexical(["???", ""]).scores("row").tolist() == [0, 0]


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    """Mapped scores are those that were counted, and the files are the same in every build."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        make_lexical(TEXTS).save(tmp_path / name)
    loaded = load_lexical(tmp_path / "one")
    assert loaded.count == len(TEXTS)
    assert loaded.scores("group rows").tolist() == make_lexical(TEXTS).scores("group rows").tolist()
    assert {path.name for path in (tmp_path / "one").iterdir()} == set(LEXICAL_FILES)
    for name in LEXICAL_FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


@pytest.mark.parametrize("name", LEXICAL_FILES)
@pytest.mark.parametrize("content", [None, b"", b"\xff\x00", b"[]"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str, content: bytes | None) -> None:
    """Missing, empty, or of another kind."""
    make_lexical(TEXTS).save(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BundleError, match="words that cannot be read"):
        load_lexical(tmp_path)


def test_numba_is_not_loaded_and_stays_loadable() -> None:
    """In a process that has it vLLM's engine does not start."""
    code = "import sys, index.lexical; assert not {'numba', 'llvmlite'} & set(sys.modules); import numba"
    subprocess.run([sys.executable, "-c", code], check=True)
