import gzip
import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from training.errors import BenchmarkError
from training.evaluate.config import BenchmarkSettings
from training.evaluate.load import fingerprint, load_items
from training.evaluate.sources import file_rows

ROW = {
    "task_id": "t/0", "prompt": "def one() -> int:\n", "entry_point": "one", "canonical_solution": "    return 1\n",
    "test": "def check(candidate):\n    assert candidate() == 1\n",
}  # fmt: skip


def write(path: Path, rows: Iterable[object]) -> Path:
    """Rows as JSON lines, gzipped when the name says so."""
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def load(path: Path, **more: object) -> list[str]:
    """The ids of a file of HumanEval rows."""
    settings = BenchmarkSettings.model_validate({"benchmark": "humaneval", "path": path, **more})
    return [item.id for item in load_items(settings)]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_files_are_read_plain_and_gzipped(tmp_path: Path, name: str) -> None:
    """Two rows, blank lines ignored."""
    path = write(tmp_path / name, [ROW, ROW | {"task_id": "t/1"}])
    assert load(path) == ["t/0", "t/1"]


def test_a_broken_line_is_named_by_file_and_number(tmp_path: Path) -> None:
    """So that it can be looked at."""
    path = write(tmp_path / "rows.jsonl", [ROW])
    path.write_text(path.read_text() + '{"task_id": "cut')
    with pytest.raises(BenchmarkError, match=r'rows.jsonl" line 2 is not JSON'):
        load(path)
    path.write_text("[1]\n")
    with pytest.raises(BenchmarkError, match=r'line 1 is "\[1\]", not an object'):
        load(path)


def test_a_file_that_is_missing_or_no_gzip_is_refused(tmp_path: Path) -> None:
    """With its name and the cure."""
    with pytest.raises(BenchmarkError, match=r'other.jsonl" does not exist: correct `path`'):
        load(tmp_path / "other.jsonl")
    (tmp_path / "rows.jsonl.gz").write_bytes(b"not gzip")
    with pytest.raises(BenchmarkError, match="cannot be read"):
        load(tmp_path / "rows.jsonl.gz")


def test_rows_of_another_benchmark_are_refused(tmp_path: Path) -> None:
    """Naming the key that is missing and those that are there."""
    path = write(tmp_path / "rows.jsonl", [{"question": "?", "answer": "#### 1"}])
    with pytest.raises(BenchmarkError, match=r'has no "task_id", only .*question.*correct `benchmark`'):
        load(path)


def test_double_ids_and_empty_sets_are_refused(tmp_path: Path) -> None:
    """A double would count twice; an empty set has no rate."""
    with pytest.raises(BenchmarkError, match=r'line 2 has the id "t/0" of .*line 1'):
        load(write(tmp_path / "rows.jsonl", [ROW, ROW]))
    with pytest.raises(BenchmarkError, match="holds no item"):
        load(write(tmp_path / "empty.jsonl", []))


def test_items_are_left_out_by_name_and_drawn_by_seed(tmp_path: Path) -> None:
    """The same draw each time, in the order of the file; what is not there cannot be left out."""
    path = write(tmp_path / "rows.jsonl", [ROW | {"task_id": f"t/{n}"} for n in range(20)])
    assert "t/3" not in load(path, exclude=["t/3"])
    drawn = load(path, draw=5)
    assert len(drawn) == 5 and drawn == load(path, draw=5) and drawn == sorted(drawn, key=lambda i: int(i[2:]))
    with pytest.raises(BenchmarkError, match='exclude names "x"'):
        load(path, exclude=["x"])
    with pytest.raises(BenchmarkError, match='draw "21"'):
        load(path, draw=21)


def test_a_data_set_is_read_by_its_folder(tmp_path: Path) -> None:
    """With the library that reads those of the hub; one that cannot be had is refused with the cure."""
    write(tmp_path / "test.jsonl", [ROW])
    settings = BenchmarkSettings(benchmark="humaneval", dataset=str(tmp_path))
    assert [item.id for item in load_items(settings)] == ["t/0"]
    absent = BenchmarkSettings(benchmark="humaneval", dataset=str(tmp_path / "nowhere"))
    with pytest.raises(BenchmarkError, match=r'nowhere".*cannot be read.*give `path`'):
        load_items(absent)


def test_humaneval_comes_from_its_package_when_nothing_is_named() -> None:
    """All 164 of it."""
    assert len(load_items(BenchmarkSettings(benchmark="humaneval"))) == 164


def test_a_changed_check_changes_the_fingerprint(tmp_path: Path) -> None:
    """Grades of another test must not be taken for this one's."""
    found = set()
    for number, test in enumerate((ROW["test"], ROW["test"].replace("== 1", "== 2"))):
        path = write(tmp_path / f"{number}.jsonl", [ROW | {"test": test}])
        found.add(fingerprint(load_items(BenchmarkSettings(benchmark="humaneval", path=path))))
    assert len(found) == 2


def test_lines_end_at_newlines_alone(tmp_path: Path) -> None:
    """Other separators stand inside texts."""
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"a": "x\u2028y\x85z"}, ensure_ascii=False) + "\n")
    assert [row for _, row in file_rows(path)] == [{"a": "x\u2028y\x85z"}]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prompt": None}, '"prompt" is null, not a text'),
        ({"canonical_solution": 3}, '"canonical_solution" is 3, not a text'),
        ({"entry_point": None}, '"entry_point" is null'),
        ({"task_id": ["x"]}, r'"task_id" is \["x"\]'),
        ({"task_id": True}, '"task_id" is true'),
        ({"test": "\ud800"}, '"test" holds half a character'),
    ],
)
def test_values_of_another_type_are_refused(tmp_path: Path, change: dict[str, object], said: str) -> None:
    """Naming line, key and value."""
    with pytest.raises(BenchmarkError, match=rf"line 1: {said}"):
        load(write(tmp_path / "rows.jsonl", [ROW | change]))


def test_excluding_everything_is_refused(tmp_path: Path) -> None:
    """It has no rate either."""
    with pytest.raises(BenchmarkError, match="exclude leaves nothing"):
        load(write(tmp_path / "rows.jsonl", [ROW]), exclude=["t/0"])


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    """Wherever the damage is."""
    path = write(tmp_path / "rows.jsonl.gz", [ROW] * 50)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(BenchmarkError, match="cannot be read"):
        load(path)


def test_mbpp_is_scored_on_its_test_split(tmp_path: Path) -> None:
    """The other rows are for training, validation and prompts; rows of EvalPlus have no split."""
    row = {"text": "?", "code": "def f():\n    return 1", "test_list": ["assert f() == 1"]}
    path = write(tmp_path / "rows.jsonl", [row | {"task_id": n} for n in (1, 11, 510, 511, 601)])
    ids = {
        split: [item.id for item in load_items(BenchmarkSettings(benchmark="mbpp", path=path, split=split))]
        for split in (None, "train", "all")
    }
    assert ids == {None: ["11", "510"], "train": ["601"], "all": ["1", "11", "510", "511", "601"]}
