"""Folders made from a model folder: whole or absent, made once for a recipe, mended when damaged."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from starter.derived import derived
from starter.errors import ConversionError, ModelError

PROGRAM = """
import sys
from pathlib import Path
source, target = map(Path, sys.argv[1:])
text = (source / "model.txt").read_text()
if text == "unfit":
    print("the model is unfit")
    sys.exit(3)
if text == "broken":
    raise RuntimeError("no memory")
(target / "deep").mkdir()
(target / "deep" / "model.txt").write_text(text.upper())
with (source / "runs").open("a") as runs:
    runs.write(".")
"""


@pytest.fixture
def source(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder, and the program that shouts it on the import path."""
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs" / "shout.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "programs"))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.txt").write_text("words")
    return folder


def shouted(source: Path, **recipe: str) -> Path:
    return derived("owner/small model", recipe, "shout", source)


def runs(source: Path) -> int:
    return len((source / "runs").read_text()) if (source / "runs").is_file() else 0


def test_a_folder_is_made_once_for_a_recipe(source: Path, cache: Path) -> None:
    """Beside the models, under a name without separators, and with a manifest of what is in it."""
    folder = shouted(source, version="1")
    assert folder.parent == cache.parent / "encoders" and folder.name.startswith("owner-small-model-")
    assert (folder / "deep" / "model.txt").read_text() == "WORDS"
    manifest = json.loads((folder / "derived.json").read_text())
    assert manifest["recipe"] == {"version": "1"} and list(manifest["files"]) == ["deep/model.txt"]
    assert shouted(source, version="1") == folder and runs(source) == 1
    assert shouted(source, version="2") != folder and runs(source) == 2
    assert not list(folder.parent.glob(".*.building"))


def cut(folder: Path) -> None:
    (folder / "deep" / "model.txt").write_text("WORD")


def change(folder: Path) -> None:
    (folder / "deep" / "model.txt").write_text("WORMS")


def lose_manifest(folder: Path) -> None:
    (folder / "derived.json").unlink()


def empty_manifest(folder: Path) -> None:
    (folder / "derived.json").write_text("[]")


@pytest.mark.parametrize("damage", [cut, change, lose_manifest, empty_manifest])
def test_a_damaged_folder_is_made_again(
    source: Path, damage: Callable[[Path], None], capfd: pytest.CaptureFixture[str]
) -> None:
    folder = shouted(source)
    damage(folder)
    assert shouted(source) == folder
    assert (folder / "deep" / "model.txt").read_text() == "WORDS"
    assert "it is built again" in capfd.readouterr().err


def test_a_refusal_is_passed_on_and_leaves_nothing(source: Path, cache: Path) -> None:
    (source / "model.txt").write_text("unfit")
    with pytest.raises(ModelError, match=r"^the model is unfit$"):
        shouted(source)
    assert [path.suffix for path in (cache.parent / "encoders").iterdir()] == [".lock"]


def test_a_failure_names_model_program_and_cause(source: Path, cache: Path) -> None:
    (source / "model.txt").write_text("broken")
    with pytest.raises(ConversionError, match='model" could not be converted by shout: "RuntimeError: no memory"'):
        shouted(source)
    assert [path.suffix for path in (cache.parent / "encoders").iterdir()] == [".lock"]
